"""Columns of a file, a folder or a Delta table, read from its header without Spark."""

from __future__ import annotations

import csv
import itertools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.reading.csv_columns import CsvColumns, read_csv_columns, read_csv_header
from harness.reading.csv_dialect import CsvDialect, parse_dialect
from harness.reading.csv_text import open_csv, require_encoding
from harness.reading.data_folders import list_data_files, parse_partitions
from harness.reading.json_rows import read_json_rows
from harness.reading.parquet_columns import require_readable

_MAX_BYTES_TYPED = 4 << 20
"""The values of a CSV file of up to this size are examined."""
_MAX_BYTES_READ = 20 << 20
"""A CSV file of up to this size is split into rows to its end; of a larger one, only the first rows are."""
_MAX_ROWS = 10_000
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
    csv: CsvColumns | None = None
    """The values of a small CSV file."""


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
        files = list_data_files(path)
        if not files:
            raise ValueError("the folder has no data files")
        columns, has_all_rows, csv = _READERS[kind](files, path, options)
        if not columns:
            return Header(path.name, ())
        given = {name.lower(): value.lower() for name, value in options.items()}
        merged = kind == "json" or given.get("mergeschema") == "true"
        is_whole = has_all_rows and (len(files) == 1 or not merged)
        partitions = parse_partitions(files[0].relative_to(path))
        return Header(path.name, tuple(dict.fromkeys((*columns, *partitions))), is_whole, csv)
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


Columns = tuple[Sequence[str], bool, CsvColumns | None]
"""The columns of a file, whether all rows with columns were read, and the values of a small CSV file."""


def _read_csv_columns(files: Sequence[Path], path: Path, options: dict[str, str]) -> Columns:
    dialect = parse_dialect(options)
    size = sum(file.stat().st_size for file in files)
    if size <= _MAX_BYTES_TYPED:
        stamp = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        columns = _read_small_csv(path, stamp, dialect)
        return (columns.names if columns.lines else ()), True, columns
    names = read_csv_header(files, dialect)
    for file in files:
        rows = open_csv(file, dialect).rows
        for _ in itertools.islice(rows, None if size <= _MAX_BYTES_READ else _MAX_ROWS):
            pass
        if size > _MAX_BYTES_READ:
            require_encoding(file, dialect.encoding)
    return names, True, None


@lru_cache(maxsize=4)
def _read_small_csv(path: Path, _stamp: tuple[object, ...], dialect: CsvDialect) -> CsvColumns:
    """Read a CSV file once per process while it stays the same: a command may load several scenarios."""
    return read_csv_columns(path, dialect)


def _read_json_columns(files: Sequence[Path], _path: Path, options: dict[str, str]) -> Columns:
    content = read_json_rows(files[0], options, _MAX_ROWS)
    return content.names, content.is_whole, None


def _read_parquet_columns(files: Sequence[Path], _path: Path, _options: dict[str, str]) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(files[0])
        require_readable(schema)
        return list(schema.names), True, None
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


_READ_ERRORS = (OSError, ValueError, LookupError, EOFError, RecursionError, csv.Error, zlib.error)
_READERS: dict[str, Callable[[Sequence[Path], Path, dict[str, str]], Columns]] = {
    "csv": _read_csv_columns,
    "json": _read_json_columns,
    "parquet": _read_parquet_columns,
}
"""Format to a reader of a source: its data files, its path and its options."""
