"""The columns of a file or a folder, read from its header, without Spark."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_JSON_LINES = 10_000
_UNSUPPORTED = "Unsupported"


class UnknownHeaderError(Exception):
    """Spark may well read the columns; here they can't be told."""


@dataclass(frozen=True)
class Header:
    """What a source's columns are called."""

    name: str
    """Of the source, for messages."""
    columns: tuple[str, ...]
    """In order."""
    is_whole: bool = True
    """Whether Spark finds no others; rows or files that were not looked at may have some."""


def read_header(path: Path, kind: str, options: dict[str, str]) -> Header:
    """The columns of a file or a folder; none where there are no rows.

    Args:
        path: A file, or a folder.
        kind: ``csv``, ``json``, ``parquet`` or ``delta``.
        options: Of Spark's reader.

    Raises:
        ValueError: It can't be read as what it is said to be; the message says why.
        UnknownHeaderError: It is a Delta table with a feature that can't be read here.
    """
    try:
        if kind == "delta":
            return Header(path.name, delta_header(path).columns)
        file, is_only = _first_file(path)
        columns, has_all_rows = _READERS[kind](file, options)
        if not columns:
            return Header(path.name, ())
        merged = kind == "json" or _option(options, "mergeschema", default="false").lower() == "true"
        is_whole = has_all_rows and (is_only or not merged)
        return Header(path.name, (*columns, *_partitions(path, file)), is_whole)
    except _UNREADABLE as error:
        raise ValueError(_first_line(error)) from error


@dataclass(frozen=True)
class DeltaHeader:
    """A Delta table's columns at a version."""

    version: int
    columns: tuple[str, ...]


def delta_header(path: Path, version: int | None = None) -> DeltaHeader:
    """The columns of a Delta table at a version; at its newest one where that is not said.

    Raises:
        ValueError: There is no such table, or no such version, or the log can't be read.
        UnknownHeaderError: The table has a feature that can't be read here.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path, version)
        return DeltaHeader(table.version(), tuple(field.name for field in table.schema().fields))
    except DeltaError as error:
        if _UNSUPPORTED in str(error):
            raise UnknownHeaderError(str(error)) from error
        raise ValueError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    """What an error says, as the end of a sentence."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else type(error).__name__


def _option(options: dict[str, str], *names: str, default: str) -> str:
    """An option by any of its names; Spark knows them whatever their case."""
    given = {name.lower(): value for name, value in options.items()}
    return next((given[name] for name in names if name in given), default)


def _open(path: Path, options: dict[str, str]) -> IO[str]:
    encoding = _option(options, "encoding", "charset", default="utf-8")
    encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _first_file(path: Path) -> tuple[Path, bool]:
    """The file itself, or the first data file of a folder that Spark wrote; and whether that is all."""
    if path.is_file():
        return path, True
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name[0] not in "._")
    found = list(itertools.islice(files, 2))
    if not found:
        raise ValueError("the folder has no data files")
    return found[0], len(found) == 1


def _partitions(path: Path, file: Path) -> list[str]:
    """The columns that Spark takes from the names of folders, such as ``month`` from ``month=3``."""
    folders = file.relative_to(path).parts[:-1]
    return [name for name, equals, _ in (folder.partition("=") for folder in folders) if equals]


def _csv_columns(path: Path, options: dict[str, str]) -> tuple[list[str], bool]:
    delimiter = _option(options, "sep", "delimiter", default=",").replace("\\t", "\t")
    if not delimiter:
        raise ValueError("the option 'sep' is empty")
    comment = _option(options, "comment", default="")
    with _open(path, options) as file:
        # Spark passes over empty lines and comments, in front of the header too.
        said = (line for line in file if line.strip() and not (comment and line.startswith(comment)))
        # It takes separators of several characters, Python's csv does not.
        lines = (line.rstrip("\r\n").split(delimiter) for line in said)
        reader = csv.reader(said, delimiter=delimiter) if len(delimiter) == 1 else lines
        rows = list(itertools.islice(reader, 2))
    if _option(options, "header", default="true").lower() != "true":
        return ([f"_c{index}" for index in range(len(rows[0]))] if rows else []), True
    return (rows[0] if len(rows) > 1 else []), True


def _json_columns(path: Path, options: dict[str, str]) -> tuple[list[str], bool]:
    with _open(path, options) as file:
        if _option(options, "multiline", default="false").lower() == "true":
            content = json.load(file)
            rows = content if isinstance(content, list) else [content]
        else:
            rows = list(_json_lines(itertools.islice(file, _JSON_LINES)))
        has_all_rows = not file.readline()
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("one JSON object per line is needed, or the option multiLine: 'true'")
    return list(dict.fromkeys(itertools.chain.from_iterable(rows))), has_all_rows


def _json_lines(lines: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{error.msg} in line {number}") from error


def _parquet_columns(path: Path, _options: dict[str, str]) -> tuple[list[str], bool]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names), True
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


_UNREADABLE = (OSError, ValueError, LookupError, EOFError, RecursionError, csv.Error, zlib.error)
_READERS: dict[str, Callable[[Path, dict[str, str]], tuple[list[str], bool]]] = {
    "csv": _csv_columns,
    "json": _json_columns,
    "parquet": _parquet_columns,
}
"""Of a single file: its columns, and whether all rows that could have others were looked at."""
