"""Names, types and values of the columns of a source, by the rules that every reader follows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from harness.reading.column_naming import name_columns
from harness.reading.csv_columns import read_csv_columns
from harness.reading.csv_dialect import parse_dialect
from harness.reading.json_rows import choose_json_type, convert_json, read_json_rows
from harness.reading.stated_types import StatedType, parse_stated_type
from harness.reading.value_typing import TypedValue


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (["id", " age "], ("id", "age")),
        (["", "age", None], ("Unnamed: 0", "age", "Unnamed: 2")),
        (["age", "age", "AGE"], ("age", "age.1", "AGE.2")),
        (["age", "age", "age.1"], ("age", "age.2", "age.1")),
    ],
)
def test_every_column_has_a_name_of_its_own(header: list[str | None], names: tuple[str, ...]) -> None:
    """Missing and repeated names become distinct ones, whatever their case."""
    assert names == name_columns(header)


@pytest.mark.parametrize(
    ("values", "kind", "typed"),
    [
        (["1", "-2", "+3", " 4 ", "007"], "int", [1, -2, 3, 4, 7]),
        (["1", "2147483648"], "bigint", [1, 2147483648]),
        (["1", "9223372036854775808"], "decimal(38,0)", [Decimal(1), Decimal(9223372036854775808)]),
        (["1", "9" * 39], "double", [1.0, 1e39]),
        (["1", ".5", "2.", "1e3"], "double", [1.0, 0.5, 2.0, 1000.0]),
        (["1", "1e999"], "string", ["1", "1e999"]),
        (["true", "FALSE"], "boolean", [True, False]),
        (["2024-02-29", "0001-01-01"], "date", [date(2024, 2, 29), date(1, 1, 1)]),
        (
            ["2024-02-29", "2024-02-29T12:30:00.1234567+01:00"],
            "timestamp",
            [datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 2, 29, 11, 30, 0, 123456, tzinfo=UTC)],
        ),
        (["2023-02-29"], "string", ["2023-02-29"]),
        (["18:30"], "string", ["18:30"]),
        (["1D", "2F"], "string", ["1D", "2F"]),
        (["Infinity", "NaN", "0x1F"], "string", ["Infinity", "NaN", "0x1F"]),
        (["1", "true"], "string", ["1", "true"]),
        ([" a", "b "], "string", [" a", "b "]),
    ],
)
def test_a_type_follows_from_all_values(
    tmp_path: Path, values: list[str], kind: str, typed: list[TypedValue]
) -> None:
    """All values of a column together decide on its type; what isn't clearly a number stays text."""
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n" + "".join(f"{value},1\n" for value in values))
    columns = read_csv_columns(file, parse_dialect({}))
    kinds = columns.find_kinds()
    assert (kind, typed) == (kinds[0], next(iter(columns.convert(kinds))))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "20"], "int"),
        (["01", "20"], "string"),
        (["+1", "20"], "string"),
        (["1", "1" * 25], "string"),
        (["1.0", "2"], "string"),
        (["2024-01-01"], "string"),
    ],
)
def test_a_key_stays_text_unless_it_is_a_whole_number(tmp_path: Path, values: list[str], kind: str) -> None:
    """A column of the key keeps leading zeros, long numbers and everything else as it is written."""
    file = tmp_path / "rows.csv"
    file.write_text("ID,y\n" + "".join(f"{value},1\n" for value in values))
    columns = read_csv_columns(file, parse_dialect({}))
    assert kind == columns.find_kinds(["id"])[0]


def test_numbers_of_another_dialect_stay_text(tmp_path: Path) -> None:
    """In a file with decimal commas, 18.02 is not a number: the point might separate thousands."""
    file = tmp_path / "rows.csv"
    file.write_text("x;y;z\n18,02;1.234,5;18.02\n")
    columns = read_csv_columns(file, parse_dialect({"sep": ";", "decimal": ",", "thousands": "."}))
    kinds = columns.find_kinds()
    assert ("double", "double", "string") == kinds
    assert [[18.02], [1234.5], ["18.02"]] == list(columns.convert(kinds))


def test_lines_of_rows_count_line_breaks_in_quotes(tmp_path: Path) -> None:
    """A row's line is that at which it begins, also after fields with line breaks, and empty lines."""
    file = tmp_path / "rows.csv"
    file.write_text('x,y\n1,"a\nb"\n\n2,c\n')
    assert [2, 5] == read_csv_columns(file, parse_dialect({})).lines


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("string", StatedType("string")),
        ("INTEGER", StatedType("int")),
        ("decimal(12, 2)", StatedType("decimal(12,2)")),
        ("decimal(5)", StatedType("decimal(5,0)")),
        ("timestamp 'dd.MM.yyyy HH:mm'", StatedType("timestamp", "dd.MM.yyyy HH:mm")),
    ],
)
def test_a_stated_type_is_parsed(text: str, stated: StatedType) -> None:
    """Types are written as in SQL; dates and times may have a format."""
    assert stated == parse_stated_type(text)


@pytest.mark.parametrize(
    "text", ["", "txt", "decimal", "decimal(39,2)", "decimal(2,3)", "int 'dd'", "date dd"]
)
def test_an_unknown_stated_type_is_an_error(text: str) -> None:
    """The error names the type and lists the known ones."""
    with pytest.raises(ValueError, match=r"unknown type '.*'; use one of string, tinyint, .*, date 'FORMAT'"):
        parse_stated_type(text)


@pytest.mark.parametrize(
    ("values", "kind", "typed"),
    [
        ([1, None, 2], "bigint", [1, None, 2]),
        ([1, 2.5], "double", [1.0, 2.5]),
        (["0001", "2"], "string", ["0001", "2"]),
        (["a", 5, True], "string", ["a", "5", "true"]),
        ([True, False], "boolean", [True, False]),
        ([1 << 63], "decimal(38,0)", [1 << 63]),
        ([{"a": 1}], None, [{"a": 1}]),
        ([None], "string", [None]),
    ],
)
def test_json_keeps_its_types(values: list[object], kind: str | None, typed: list[object]) -> None:
    """Digits in quotes are text; numbers of both kinds are doubles; objects are of no type."""
    assert kind == choose_json_type(values)
    assert typed == [convert_json(value, kind) for value in values]


def test_json_lines_are_read_up_to_a_limit(tmp_path: Path) -> None:
    """Columns that only later rows have are unknown, and the result says so."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": 1}\n{"id": 2, "x": 5}\n')
    assert (("id",), False) == ((few := read_json_rows(file, {}, 1)).names, few.is_whole)
    assert (("id", "x"), True) == ((every := read_json_rows(file, {})).names, every.is_whole)
