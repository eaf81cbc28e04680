"""Columns of a file, a folder or a Delta table, read from its header without Spark."""

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
    """Columns that can't be read without Spark."""


@dataclass(frozen=True)
class Header:
    """Names of a source's columns."""

    name: str
    """Name of the source, for messages."""
    columns: tuple[str, ...]
    """Names of the columns, in order."""
    is_whole: bool = True
    """Whether these are all columns; rows or files that were not read may have others."""


def read_header(path: Path, kind: str, options: dict[str, str]) -> Header:
    """Return the columns of a file or a folder; no columns if it has no rows.

    Args:
        path: A file, or a folder.
        kind: ``csv``, ``json``, ``parquet`` or ``delta``.
        options: Options of Spark's reader.

    Raises:
        ValueError: It can't be read in this format; the message has the reason.
        UnknownHeaderError: It is a Delta table with a feature that can't be read here.
    """
    try:
        if kind == "delta":
            return Header(path.name, read_delta_header(path).columns)
        file, is_only = _find_first_file(path)
        columns, has_all_rows = _READERS[kind](file, options)
        if not columns:
            return Header(path.name, ())
        merged = kind == "json" or _find_option(options, "mergeschema", default="false").lower() == "true"
        is_whole = has_all_rows and (is_only or not merged)
        return Header(path.name, (*columns, *_list_partition_columns(path, file)), is_whole)
    except _READ_ERRORS as error:
        raise ValueError(_summarize(error)) from error


@dataclass(frozen=True)
class DeltaHeader:
    """Columns of a version of a Delta table."""

    version: int
    columns: tuple[str, ...]


def read_delta_header(path: Path, version: int | None = None) -> DeltaHeader:
    """Return the columns of a version of a Delta table (default: the newest).

    Raises:
        ValueError: The table or the version doesn't exist, or the log can't be read.
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
        raise ValueError(_summarize(error)) from error


def _summarize(error: Exception) -> str:
    """Return the first line of an error's message, without its full stop."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else type(error).__name__


def _find_option(options: dict[str, str], *names: str, default: str) -> str:
    """Return an option by any of its names, in any case."""
    given = {name.lower(): value for name, value in options.items()}
    return next((given[name] for name in names if name in given), default)


def _open_text(path: Path, options: dict[str, str]) -> IO[str]:
    encoding = _find_option(options, "encoding", "charset", default="utf-8")
    encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _find_first_file(path: Path) -> tuple[Path, bool]:
    """Return the file, or the first data file of a folder, and whether it is the only one."""
    if path.is_file():
        return path, True
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name[0] not in "._")
    found = list(itertools.islice(files, 2))
    if not found:
        raise ValueError("the folder has no data files")
    return found[0], len(found) == 1


def _list_partition_columns(path: Path, file: Path) -> list[str]:
    """Return the columns that Spark reads from names of folders, such as ``month`` of ``month=3``."""
    folders = file.relative_to(path).parts[:-1]
    return [name for name, equals, _ in (folder.partition("=") for folder in folders) if equals]


def _read_csv_columns(path: Path, options: dict[str, str]) -> tuple[list[str], bool]:
    delimiter = _find_option(options, "sep", "delimiter", default=",").replace("\\t", "\t")
    if not delimiter:
        raise ValueError("the option 'sep' is empty")
    comment = _find_option(options, "comment", default="")
    with _open_text(path, options) as file:
        # Spark skips empty lines and comments, also before the header.
        content = (line for line in file if line.strip() and not (comment and line.startswith(comment)))
        # Spark accepts separators of several characters, Python's csv module doesn't.
        lines = (line.rstrip("\r\n").split(delimiter) for line in content)
        reader = csv.reader(content, delimiter=delimiter) if len(delimiter) == 1 else lines
        rows = list(itertools.islice(reader, 2))
    if _find_option(options, "header", default="true").lower() != "true":
        return ([f"_c{index}" for index in range(len(rows[0]))] if rows else []), True
    return (rows[0] if len(rows) > 1 else []), True


def _read_json_columns(path: Path, options: dict[str, str]) -> tuple[list[str], bool]:
    with _open_text(path, options) as file:
        if _find_option(options, "multiline", default="false").lower() == "true":
            content = json.load(file)
            rows = content if isinstance(content, list) else [content]
        else:
            rows = list(_parse_json_lines(itertools.islice(file, _JSON_LINES)))
        has_all_rows = not file.readline()
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("one JSON object per line is needed, or the option multiLine: 'true'")
    return list(dict.fromkeys(itertools.chain.from_iterable(rows))), has_all_rows


def _parse_json_lines(lines: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{error.msg} in line {number}") from error


def _read_parquet_columns(path: Path, _options: dict[str, str]) -> tuple[list[str], bool]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names), True
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


_READ_ERRORS = (OSError, ValueError, LookupError, EOFError, RecursionError, csv.Error, zlib.error)
_READERS: dict[str, Callable[[Path, dict[str, str]], tuple[list[str], bool]]] = {
    "csv": _read_csv_columns,
    "json": _read_json_columns,
    "parquet": _read_parquet_columns,
}
"""Format to a reader of one file: it returns the columns, and whether all rows with columns were read."""
