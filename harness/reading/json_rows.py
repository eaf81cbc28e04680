"""JSON files read without Spark: one object per line, or one array of objects.

Types are those of JSON, as in Spark: text stays text, even if all of it is digits. A column with numbers of
both kinds is a double; one with text and anything else is text; one with objects or lists is neither.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.reading.csv_text import open_text
from harness.reading.value_typing import LONG_INTEGER

_INT64 = 1 << 63


class JsonError(ValueError):
    """A file that is not JSON as the job can read it; the message names the line."""


@dataclass(frozen=True)
class JsonRows:
    """Rows of a JSON file."""

    rows: list[dict[str, Any]]
    is_whole: bool
    """Whether these are all rows of the file."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in the order in which they occur."""
        return tuple(dict.fromkeys(itertools.chain.from_iterable(self.rows)))


def read_json_rows(path: Path, options: Mapping[str, str], limit: int | None = None) -> JsonRows:
    """Read rows of a JSON file.

    Args:
        path: The file.
        options: Options of Spark's reader.
        limit: Maximum number of rows, if there is one object per line (default: all).

    Raises:
        JsonError: It is not JSON, or its rows are not objects.
        OSError: It can't be opened.
    """
    given = {name.lower(): value for name, value in options.items()}
    encoding = _choose_encoding(options)
    is_array = given.get("multiline", "").lower() == "true" or begins_with_array(path, encoding)
    with open_text(path, encoding) as file:
        try:
            if is_array:
                content = json.load(file)
                rows, is_whole = content if isinstance(content, list) else [content], True
            else:
                rows = list(_read_lines(itertools.islice(file, limit)))
                is_whole = not file.readline()
        except json.JSONDecodeError as error:
            raise JsonError(f"{error.msg} in line {error.lineno}") from error
        except UnicodeDecodeError as error:
            raise JsonError(f"the file is not {encoding.upper()} text: {error.reason}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise JsonError("every row must be an object: one per line, or one array of objects")
    return JsonRows(rows, is_whole)


def _choose_encoding(options: Mapping[str, str]) -> str:
    given = {name.lower(): value for name, value in options.items()}
    return given.get("encoding", given.get("charset", "utf-8"))


def begins_with_array(path: Path, encoding: str = "utf-8") -> bool:
    """Return whether a file is one JSON array rather than one object per line."""
    with open_text(path, encoding) as file:
        return _first_character(file) == "["


def _first_character(file: IO[str]) -> str:
    try:
        return next((line.strip()[0] for line in file if line.strip()), "")
    except UnicodeDecodeError:
        return ""


def _read_lines(lines: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise JsonError(f"{error.msg} in line {number}") from error


def list_json_fields(path: Path, options: Mapping[str, str], name: str) -> Iterator[tuple[int, str | None]]:
    """Yield the line and the text of each value of a column; nothing if the file is one array."""
    encoding = _choose_encoding(options)
    if begins_with_array(path, encoding):
        return
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                # Numbers as they are written, with all of their digits.
                value = json.loads(line, parse_int=str, parse_float=str).get(name)
                if isinstance(value, bool):
                    value = str(value).lower()
                yield number, value if isinstance(value, str) else None


def choose_json_type(values: Iterable[object]) -> str | None:
    """Return the type of a column, as Spark writes it; ``None`` if it has objects or lists."""
    kinds = {_kind_of(value) for value in values if value is not None}
    if None in kinds:
        return None
    for allowed, kind in (
        ({"boolean"}, "boolean"),
        ({"bigint"}, "bigint"),
        ({"bigint", "decimal"}, LONG_INTEGER),
        ({"bigint", "decimal", "double"}, "double"),
    ):
        if kinds and kinds <= allowed:
            return kind
    return "string"


def _kind_of(value: object) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint" if -_INT64 <= value < _INT64 else "decimal"
    if isinstance(value, float):
        return "double"
    return "string" if isinstance(value, str) else None


def convert_json(value: Any, kind: str | None) -> Any:
    """Return a value with the type of its column; in a column of text, a number as JSON writes it."""
    if value is None or kind is None:
        return value
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value)
    return float(value) if kind == "double" else value
