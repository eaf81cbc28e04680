"""Columns of a CSV file with the types that follow from their values, read without Spark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.reading.csv_dialect import CsvDialect
from harness.reading.csv_text import CsvError, open_csv
from harness.reading.data_folders import list_data_files, parse_partitions
from harness.reading.value_typing import Form, TypedValue, choose_type, convert, find_form

_NUMBERS = int(Form.INT | Form.BIGINT | Form.LONG_INTEGER | Form.DOUBLE | Form.CHANGED_AS_INTEGER)


@dataclass(frozen=True)
class TextSample:
    """Why a column is text: its first value that is not a number."""

    value: str
    line: int
    """The line of the value, from 1."""
    file: str | None
    """Name of the file, if there are several."""
    rows: int
    """Number of rows with such a value."""
    has_numbers: bool
    """Whether other values are numbers."""


@dataclass(frozen=True)
class CsvColumns:
    """The columns of a CSV file or folder as text; types and values are found when they are needed."""

    names: tuple[str, ...]
    text: tuple[Sequence[str | None], ...]
    """The fields of each column, in the order of the rows."""
    lines: Sequence[int]
    """The line at which each row begins, from 1."""
    files: Sequence[str]
    """Name of the file that each row is in; empty if there is one file."""
    dialect: CsvDialect
    _samples: dict[str, TextSample | None] = field(default_factory=dict, compare=False, repr=False)

    def find_kinds(self, key: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the type of each column, as Spark writes it.

        Args:
            key: Columns of the table's key, which stay text unless they are whole numbers.
        """
        keys = {name.lower() for name in key}
        return tuple(
            choose_type(combine_forms(column, self.dialect), is_key=name.lower() in keys)
            for name, column in zip(self.names, self.text, strict=True)
        )

    def convert(self, kinds: Iterable[str]) -> Iterator[list[TypedValue]]:
        """Yield the values of each column, with types that :meth:`find_kinds` has returned."""
        for kind, column in zip(kinds, self.text, strict=True):
            yield [self._convert(text, kind) for text in column]

    def sample_text(self, name: str) -> TextSample | None:
        """Return why a column is text; ``None`` if it doesn't exist or has only numbers."""
        if name.lower() not in self._samples:
            self._samples[name.lower()] = self._find_text(name)
        return self._samples[name.lower()]

    def _find_text(self, name: str) -> TextSample | None:
        names = [each.lower() for each in self.names]
        if name.lower() not in names:
            return None
        column = self.text[names.index(name.lower())]
        texts = {text for text in set(column) if text is not None and not are_numbers([text], self.dialect)}
        if not texts:
            return None
        rows = [row for row, text in enumerate(column) if text in texts]
        present = sum(text is not None for text in column)
        return TextSample(
            value=column[rows[0]] or "",
            line=self.lines[rows[0]],
            file=self.files[rows[0]] if self.files else None,
            rows=len(rows),
            has_numbers=len(rows) < present,
        )

    def _convert(self, text: str | None, kind: str) -> TypedValue:
        if text is None or kind == "string":
            return text
        return convert(self.dialect.plain_number(text), kind)


def read_csv_columns(path: Path, dialect: CsvDialect) -> CsvColumns:
    """Read a whole CSV file, or all files of a folder; columns in the names of folders come last.

    Raises:
        CsvError: It is not CSV in this dialect, or the files of a folder have different columns.
        OSError: It can't be opened.
    """
    files = list_data_files(path)
    names = read_csv_header(files, dialect)
    lines: list[int] = []
    of_files: list[str] = []
    rows: list[list[str | None]] = []
    partitions: dict[str, str | None] = {}
    for file in files:
        partitions = parse_partitions(file.relative_to(path))
        last = list(partitions.values())
        for line, fields in open_csv(file, dialect).rows:
            lines.append(line)
            of_files.append(file.name)
            rows.append([*fields, *last] if last else fields)
    names = (*names, *partitions)
    return CsvColumns(
        names=names,
        text=tuple(zip(*rows, strict=True)) if rows else ((),) * len(names),
        lines=lines,
        files=of_files if len(files) > 1 else (),
        dialect=dialect,
    )


def read_csv_header(files: Sequence[Path], dialect: CsvDialect) -> tuple[str, ...]:
    """Return the columns of CSV files, which must be the same in all of them: Spark looks at one file only.

    Raises:
        CsvError: A header can't be read, or two files have different columns.
        OSError: A file can't be opened.
    """
    first: tuple[Path, tuple[str, ...]] | None = None
    for file in files:
        columns = open_csv(file, dialect).columns
        if first is None and columns:
            first = file, columns
        if first is not None and columns not in ((), first[1]):
            raise CsvError(
                f"its files have different columns: {first[0].name} has {', '.join(first[1])}; "
                f"{file.name} has {', '.join(columns)}"
            )
    return () if first is None else first[1]


def are_numbers(column: Iterable[str | None], dialect: CsvDialect) -> bool:
    """Return whether all of a column's fields are numbers or null."""
    return not int(combine_forms(column, dialect)) & ~_NUMBERS


def combine_forms(column: Iterable[str | None], dialect: CsvDialect) -> Form:
    """Return the combined forms of a column's fields; null fields have none."""
    found = 0
    for text in set(column):
        if text is not None:
            found |= int(find_form(dialect.plain_number(text)))
    return Form(found)
