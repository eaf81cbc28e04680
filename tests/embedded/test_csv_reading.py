"""CSV files are read with the same names, types, values and nulls with and without Spark."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from harness.job.csv_source import read_csv
from harness.reading.csv_columns import read_csv_columns
from harness.reading.csv_dialect import CsvDialect, parse_dialect
from harness.reading.value_typing import TypedValue
from tests.properties import HealthCheck, example, given, settings, st

_WORDS = (
    *("0", "7", "-12", "+3", "007", "2147483648", "9223372036854775808", "1" * 38, "1" * 39, "9" * 400),
    *("1.5", ".5", "5.", "-0.0", "1e3", "1E-400", "1e999", "1.8e308", "1,5", "1.234,5", "1,234.5"),
    *("1D", "2F", "0x1F", "Infinity", "NaN", "-", "?", "NA", "null", "true", "FALSE", "yes"),
    *(
        "2024-02-29",
        "2023-02-29",
        "0000-01-01",
        "2024-1-1",
        "20240101",
        "2024-02-29T12:30",
        "2024-02-29 12:30:15",
    ),
    *(
        "2024-02-29T23:30:15.123456789Z",
        "2024-02-29 00:30+05:30",
        "2024-02-29 24:00",
        "12:30",
        "2024-02-29 12:60",
    ),
    *(
        " 5",
        "5 ",
        "\t5",
        " a",
        "a b",
        "",
        " ",
        '"',
        '""',
        'say "hi"',
        "two\nlines",
        "two\r\nlines",
        "a,b",
        "a;b",
    ),
    *("#5", "ä", "日本", "\u00a05", "a\\", "'", "`x`"),
)
_VALUES = st.one_of(
    st.sampled_from(_WORDS),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd\ufeff\u2028\u2029\x85"),
        max_size=6,
    ),
)
_NAMES = st.one_of(st.sampled_from(["", "a", "A", "a_2", "_c0", " b ", "x y", "c.d"]), _VALUES)
_DIALECTS: tuple[dict[str, str], ...] = (
    {},
    {"sep": ";", "decimal": ",", "thousands": "."},
    {"sep": "\\t", "nulls": "NA, ?, -"},
    {"encoding": "utf-16", "trim": "true"},
    {"sep": "||"},
    {"header": "false", "thousands": ","},
)


@st.composite
def _files(draw: st.DrawFn) -> tuple[dict[str, str], str]:
    """Draw a dialect, and the text of a file in it."""
    options = draw(st.sampled_from(_DIALECTS))
    width = draw(st.integers(2, 4))
    header = draw(st.lists(_NAMES, min_size=width, max_size=width))
    columns = [draw(st.lists(_VALUES, min_size=3, max_size=3)) for _ in range(width)]
    rows = [header, *map(list, zip(*columns, strict=True))]
    return options, _write(
        rows, options.get("sep", ",").replace("\\t", "\t"), draw(st.sampled_from(["\n", "\r\n"]))
    )


def _write(rows: list[list[str]], separator: str, line_break: str) -> str:
    if len(separator) == 1:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=separator, lineterminator=line_break).writerows(rows)
        return text.getvalue()
    quoted = [[f'"{field.replace(chr(34), chr(34) * 2)}"' for field in row] for row in rows]
    return "".join(separator.join(row) + line_break for row in quoted)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=_files())
@example(drawn=({}, ',"two\r\nlines"\n0,0\n'))
@example(drawn=({}, '"a\nb",c\r\n0,0\r\n0,"two\r\nlines"\r\n'))
def test_both_readers_agree(spark: SparkSession, tmp_path: Path, drawn: tuple[dict[str, str], str]) -> None:
    """Whatever a file contains, both readers return the same names, types and values."""
    options, text = drawn
    dialect = parse_dialect(options)
    file = tmp_path / "rows.csv"
    file.write_bytes(text.encode(dialect.encoding))
    assert _read_without_spark(file, dialect) == _read_with_spark(spark, file, dialect)


Read = tuple[tuple[str, ...], tuple[str, ...], list[tuple[TypedValue, ...]]]
"""The names, the types and the rows of a file."""


def _read_without_spark(file: Path, dialect: CsvDialect) -> Read:
    columns = read_csv_columns(file, dialect)
    kinds = columns.find_kinds(["a"])
    rows = zip(*(map(_local, each) for each in columns.convert(kinds)), strict=True)
    return columns.names, kinds, list(rows)


def _read_with_spark(spark: SparkSession, file: Path, dialect: CsvDialect) -> Read:
    rows = read_csv(spark, str(file), dialect, ["a"])
    kinds = tuple(kind for _, kind in rows.dtypes)
    return tuple(rows.columns), kinds, [tuple(row) for row in rows.collect()]


def _local(value: TypedValue) -> TypedValue:
    """Return a time as Spark's Python rows have it, without its zone."""
    return value.astimezone().replace(tzinfo=None) if isinstance(value, datetime) else value
