"""The dialect of a CSV file of unknown origin, detected from its content."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from harness.reading.csv_columns import CsvColumns, are_numbers, combine_forms, read_csv_columns
from harness.reading.csv_dialect import parse_dialect
from harness.reading.csv_text import CsvError, guess_encoding, open_csv, open_text
from harness.reading.data_folders import list_data_files
from harness.reading.file_names import is_tsv
from harness.reading.value_typing import choose_type

_SEPARATORS = (",", ";", "\t", "|")
_NULL_WORDS = (
    *("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "nil", "NIL", "#N/A", "#NA", "<NA>"),
    *("?", "-", "--", ".", "*", "missing", "Missing", "MISSING", "unknown"),
)
_SAMPLE = 200
_MAX_NAMED = 5
_NUMBER_FORMS = ({"decimal": ","}, {"decimal": ",", "thousands": "."}, {"thousands": ","})
"""Options for numbers that are text otherwise, the simplest first."""
_REASONS = {"decimal": "numbers have a decimal comma", "thousands": "digits are in groups"}


@dataclass(frozen=True)
class Detection:
    """The options of a CSV source, why each of them is needed, and the file read with them."""

    options: dict[str, str]
    reasons: dict[str, str]
    columns: CsvColumns


def detect_dialect(path: Path) -> Detection:
    """Read a CSV file or a folder of CSV files, and find the options with which it has to be read.

    Raises:
        CsvError: It is not CSV in any dialect.
        OSError: It can't be opened.
    """
    found: dict[str, tuple[str, str]] = {}
    first = next(iter(list_data_files(path)), path)
    encoding = guess_encoding(first)
    if encoding != "utf-8":
        found["encoding"] = (encoding, "the file is not UTF-8 text")
    separator = _find_separator(first, _values(found))
    if separator != ("\t" if is_tsv(path.name) else ","):
        found["sep"] = (separator, "the separator of the fields")
    found |= _find_trim(first, {**_values(found), "sep": separator})
    options = {"sep": separator, **_values(found)}
    columns = read_csv_columns(path, parse_dialect(options))
    for find in (_find_number_form, _find_nulls):
        if more := find(columns):
            found |= more
            columns = read_csv_columns(path, parse_dialect({**options, **_values(found)}))
    return Detection(_values(found), {name: reason for name, (_, reason) in found.items()}, columns)


def _values(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, (value, _) in found.items()}


def _find_separator(path: Path, options: dict[str, str]) -> str:
    """Return the separator with which the first rows have the most fields, and all of them equally many."""
    widths = {}
    for separator in _SEPARATORS:
        try:
            table = open_csv(path, parse_dialect({**options, "sep": separator}))
            for _ in itertools.islice(table.rows, _SAMPLE):
                pass
        except CsvError:
            continue
        widths[separator] = len(table.columns)
    if widths and max(widths.values()) > 1:
        return max(widths, key=lambda each: widths[each])
    # If none fits, the error that the usual separator leads to is the clearest.
    return " " if _is_separated_by_spaces(path, options) else ","


def _is_separated_by_spaces(path: Path, options: dict[str, str]) -> bool:
    """Return whether single spaces separate the fields: text has them too, so no other separator may fit."""
    try:
        table = open_csv(path, parse_dialect({**options, "sep": " "}))
        rows = sum(1 for _ in itertools.islice(table.rows, _SAMPLE))
    except CsvError:
        return False
    has_other = any(separator in name for name in table.columns for separator in _SEPARATORS)
    return rows > 0 and len(table.columns) > 1 and not has_other


def _find_trim(path: Path, options: dict[str, str]) -> dict[str, tuple[str, str]]:
    dialect = parse_dialect(options)
    before_quote = re.compile(re.escape(dialect.separator) + r'[ \t]+"')
    with open_text(path, dialect.encoding) as file:
        if any(before_quote.search(line) for line in itertools.islice(file, _SAMPLE)):
            return {"trim": ("true", "there are spaces before quotes")}
    return {}


def _find_number_form(columns: CsvColumns) -> dict[str, tuple[str, str]]:
    """Find decimal commas and grouped digits: with them, a column of text has only numbers."""
    texts = [
        [value for value in text if value is not None and value not in _NULL_WORDS]
        for kind, text in zip(columns.find_kinds(), columns.text, strict=True)
        if kind == "string"
    ]
    texts = [values for values in texts if any("," in value for value in values)]
    for options in _NUMBER_FORMS:
        if any(are_numbers(values, parse_dialect(options)) for values in texts):
            return {name: (value, _REASONS[name]) for name, value in options.items()}
    return {}


def _find_nulls(columns: CsvColumns) -> dict[str, tuple[str, str]]:
    """Find words that are the only text in columns of numbers, dates or times."""
    words: list[str] = []
    names: list[str] = []
    for name, text in zip(columns.names, columns.text, strict=True):
        present = {value.strip() for value in text if value is not None}
        used = present & set(_NULL_WORDS)
        if used and choose_type(combine_forms(present - used, columns.dialect)) != "string":
            words += sorted(used)
            names.append(name)
    if not words:
        return {}
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    reason = f"these words stand for missing values in {', '.join(names[:_MAX_NAMED])}{more}"
    return {"nulls": (", ".join(dict.fromkeys(words)), reason)}
