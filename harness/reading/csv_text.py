"""CSV files as rows of text, split by the same rules as in the job, without Spark."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.reading.column_naming import name_columns, number_columns
from harness.reading.csv_dialect import CsvDialect
from harness.reading.value_typing import BLANKS

_BLOCK = 1 << 20
_STAND_IN = "\x1f"
"""Stands for a separator of several characters, which Python's reader doesn't accept."""
csv.field_size_limit(sys.maxsize)


class CsvError(ValueError):
    """A file that is not CSV in the stated dialect; the message names the line."""


@dataclass(frozen=True)
class CsvTable:
    """The columns of a CSV file, and its rows as they are read."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, list[str | None]]]
    """The line, from 1, at which each row begins, and its fields; null for empty fields and null words."""


def open_csv(path: Path, dialect: CsvDialect) -> CsvTable:
    """Open a CSV file; the rows are read as they are iterated over.

    Empty lines and comments are skipped.

    Raises:
        CsvError: The header can't be read. The rows raise the same error: a row has more or fewer fields than
            the header, quotes are not closed, or the text is not in the stated encoding.
        OSError: The file can't be opened.
    """
    records = _read_records(path, dialect)
    first = next(records, None)
    if first is None:
        return CsvTable((), iter(()))
    line, fields = first
    if dialect.has_header:
        names = name_columns(fields)
        return CsvTable(names, _check_rows(records, len(names), line, dialect))
    names = number_columns(len(fields))
    return CsvTable(names, _check_rows(_chain(first, records), len(names), line, dialect))


def _chain(
    first: tuple[int, list[str]], others: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from others


def _check_rows(
    records: Iterator[tuple[int, list[str]]], width: int, first: int, dialect: CsvDialect
) -> Iterator[tuple[int, list[str | None]]]:
    is_plain = not dialect.trims and not dialect.nulls
    for line, fields in records:
        if len(fields) != width:
            raise CsvError(
                f"line {line} has {_count(len(fields))}, but line {first} has {_count(width)}"
                f"{_hint_at_dialect(fields, dialect)}"
            )
        # Most files need neither; this halves the time for them.
        yield line, [field or None if is_plain else _nullify(field, dialect) for field in fields]


def _count(fields: int) -> str:
    return f"{fields} field{'s' if fields != 1 else ''}"


def _hint_at_dialect(fields: list[str], dialect: CsvDialect) -> str:
    if any(field.startswith(" " + dialect.quote) for field in fields if dialect.quote):
        return "; a space before a quote is part of the field, unless the option trim is 'true'"
    return ""


def _nullify(field: str, dialect: CsvDialect) -> str | None:
    text = field.strip(BLANKS) if dialect.trims else field
    return None if not text or text.strip(BLANKS) in dialect.nulls else text


class _Lines:
    """The lines of a file for Python's reader, without comments between records."""

    def __init__(self, stream: IO[str], dialect: CsvDialect) -> None:
        self._stream = stream
        self._dialect = dialect
        self.number = 0
        """Number of the last line, from 1."""
        self.is_between_records = True

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        while True:
            line = next(self._stream)
            self.number += 1
            comment = self._dialect.comment
            if self.is_between_records and comment and line.startswith(comment):
                continue
            self.is_between_records = False
            separator = self._dialect.separator
            return line if len(separator) == 1 else line.replace(separator, _STAND_IN)


def _read_records(path: Path, dialect: CsvDialect) -> Iterator[tuple[int, list[str]]]:
    separator = dialect.separator
    with open_text(path, dialect.encoding) as stream:
        lines = _Lines(stream, dialect)
        reader = csv.reader(
            lines,
            delimiter=separator if len(separator) == 1 else _STAND_IN,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
            doublequote=not dialect.escape,
            escapechar=dialect.escape or None,
            skipinitialspace=dialect.trims,
            strict=True,
        )
        while True:
            lines.is_between_records = True
            begin = lines.number + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise CsvError(f"line {begin}: {_explain(error, dialect)}") from error
            except UnicodeDecodeError as error:
                raise CsvError(explain_bad_bytes(path, dialect.encoding)) from error
            if fields is None:
                return
            if fields:
                if len(separator) > 1:
                    fields = [each.replace(_STAND_IN, separator) for each in fields]
                # Spark reads every line break inside quotes as one character.
                yield begin, [each.replace("\r\n", "\n") if "\r" in each else each for each in fields]


def _explain(error: csv.Error, dialect: CsvDialect) -> str:
    text = str(error)
    if "end of data" in text:
        return f"a quote ({dialect.quote}) is opened and never closed"
    if "expected after" in text:
        return f"a field goes on after its closing quote; double the quotes inside it ({dialect.quote * 2})"
    return text


def open_text(path: Path, encoding: str) -> IO[str]:
    """Open a text file, decompressed and without a byte order mark; line breaks stay as they are.

    Raises:
        OSError: The file can't be opened.
    """
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(open_bytes(path), encoding=codec, newline="")


def open_bytes(path: Path) -> IO[bytes] | gzip.GzipFile | bz2.BZ2File:
    """Open a file, decompressed if its ending is that of a compressed one."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    if path.suffix.lower() == ".bz2":
        return bz2.open(path, "rb")
    return path.open("rb")


def guess_encoding(path: Path) -> str:
    """Return the encoding of a file: UTF-8 if all of it is that, else the likeliest one."""
    with open_bytes(path) as stream:
        return _guess_encoding(stream.read())


def _guess_encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "cp1252" if any(0x80 <= byte < 0xA0 for byte in content) else "iso-8859-1"  # noqa: PLR2004 - C1
    return "utf-8"


def require_encoding(path: Path, encoding: str) -> None:
    """Read a whole file, and require that all of it is text in an encoding.

    Raises:
        CsvError: It is not; the message names the line and the byte.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_bytes(path) as stream:
        try:
            while block := stream.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise CsvError(explain_bad_bytes(path, encoding)) from error


def explain_bad_bytes(path: Path, encoding: str) -> str:
    """Return where the first byte is that is not text in an encoding, and what to do."""
    with open_bytes(path) as stream:
        content = stream.read()
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02X}" if error.start < len(content) else "the last one"
        return (
            f"line {line}: byte {error.start + 1:,} of the file ({byte}) is not {encoding.upper()} text; "
            f"name the file's encoding, such as options: {{ encoding: {_guess_encoding(content)} }}"
        )
    return f"the file is not {encoding.upper()} text"
