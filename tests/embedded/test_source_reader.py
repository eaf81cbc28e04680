"""Source files that the job reads with Spark, and what it reports about those that it can't read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from harness.errors import ScenarioError
from harness.job.source_reader import read_source
from harness.plan import SourceData
from harness.scenario.model import Table


def _table(**columns: str) -> Table:
    return Table(key=("id",), columns=columns)


def _rows(spark: SparkSession, file: Path, kind: str, table: Table, **options: str) -> list[dict[str, Any]]:
    source = SourceData(uri=str(file), format=kind, options=options)
    return [row.asDict() for row in read_source(spark, source, table).collect()]


def _to_text(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in row.items()}


def test_stated_types_are_used(spark: SparkSession, tmp_path: Path) -> None:
    """Stated types win over those that follow from the values, also for the key."""
    file = tmp_path / "rows.csv"
    file.write_text("id,zip,opened,amount\n1,01234,31.12.2024,5\n2,,01.01.2025,6.25\n")
    table = _table(id="string", ZIP="string", opened="date 'dd.MM.yyyy'", amount="decimal(6,2)")
    rows = _rows(spark, file, "csv", table)
    assert [("1", "01234"), ("2", None)] == [(row["id"], row["zip"]) for row in rows]
    assert ["2024-12-31", "2025-01-01"] == [str(row["opened"]) for row in rows]
    assert ["5.00", "6.25"] == [str(row["amount"]) for row in rows]


@pytest.mark.parametrize("scheme", ["", "file:"])
def test_values_of_another_type_are_reported(spark: SparkSession, tmp_path: Path, scheme: str) -> None:
    """The message names file, column, type and up to ten values with their lines."""
    file = tmp_path / "rows.csv"
    values = "".join(f"{index},{'x' * index if index % 2 else index}\n" for index in range(1, 30))
    file.write_text("id,amount\n" + values)
    source = SourceData(uri=f"{scheme}{file}", format="csv")
    with pytest.raises(ScenarioError) as caught:
        read_source(spark, source, _table(amount="int"))
    [problem] = caught.value.problems
    assert ("table", "columns", "amount") == problem.location
    assert "column 'amount' of" in problem.message
    assert "is not of type int in 15 rows: 'x' in line 2, 'xxx' in line 4, " in problem.message
    assert problem.message.count(" in line ") == 10


def test_text_in_another_encoding_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """No byte is replaced: the message names the line, the byte and the option."""
    file = tmp_path / "rows.csv"
    file.write_bytes("id,city\n1,Bonn\n2,Köln\n".encode("latin-1"))
    with pytest.raises(ScenarioError, match=r"line 3: byte 19 of the file \(0xF6\) is not UTF-8 text; name"):
        _rows(spark, file, "csv", _table())
    assert "Köln" == _rows(spark, file, "csv", _table(), encoding="iso-8859-1")[1]["city"]


def test_a_json_array_is_read(spark: SparkSession, tmp_path: Path) -> None:
    """An array of objects needs no option, and digits in quotes stay text."""
    file = tmp_path / "rows.json"
    file.write_text('\n[{"id": "01", "x": 1},\n {"id": "02", "x": 2}]\n')
    assert [{"id": "01", "x": 1}, {"id": "02", "x": 2}] == _rows(spark, file, "json", _table())


def test_nanoseconds_are_timestamps(spark: SparkSession, tmp_path: Path) -> None:
    """Timestamps in nanoseconds keep their microseconds, before 1970 too; other numbers stay numbers."""
    instants = [1704132720123456789, -1]
    columns = {"id": [1, 2], "at time": pa.array(instants, pa.timestamp("ns")), "n": instants}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    rows = _rows(spark, tmp_path / "rows.parquet", "parquet", _table())
    times = ["2024-01-01 18:12:00.123456", "1969-12-31 23:59:59.999999"]
    assert times == [str(row["at time"]) for row in rows]
    assert instants == [row["n"] for row in rows]


def test_stated_types_apply_to_every_format(spark: SparkSession, tmp_path: Path) -> None:
    """JSON keeps the digits of the file, and Parquet's values are converted if they fit."""
    (tmp_path / "rows.jsonl").write_text(
        '{"id": 12345678901234567890123, "amount": 1.10, "day": "31.12.2024"}\n'
    )
    (tmp_path / "rows.json").write_text('[{"id": 7, "amount": 2, "day": null}]')
    frame = {"id": [7.0, 8.0], "amount": ["1.1", None], "day": ["01.02.2024", "29.02.2024"]}
    pq.write_table(pa.table(frame), tmp_path / "rows.parquet")
    table = _table(id="string", Amount="decimal(5,2)", day="date 'dd.MM.yyyy'")
    [row] = _rows(spark, tmp_path / "rows.jsonl", "json", table)
    assert {"id": "12345678901234567890123", "amount": "1.10", "day": "2024-12-31"} == _to_text(row)
    [row] = _rows(spark, tmp_path / "rows.json", "json", table)
    assert {"id": "7", "amount": "2.00", "day": "None"} == _to_text(row)
    table = _table(id="int", amount="decimal(5,2)", day="date 'dd.MM.yyyy'")
    rows = _rows(spark, tmp_path / "rows.parquet", "parquet", table)
    assert [(7, "1.10"), (8, "None")] == [(row["id"], str(row["amount"])) for row in rows]


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("rows.jsonl", "json", "in 2 rows: '1.5' in line 1, 'x' in line 3."),
        ("rows.json", "json", "in 1 row: '1.5'."),
        ("rows.parquet", "parquet", "in 1 row: '1.5'."),
    ],
)
def test_misfits_of_every_format_are_reported(
    spark: SparkSession, tmp_path: Path, name: str, kind: str, shown: str
) -> None:
    """A value that would change is a mistake, with its line if the format has lines."""
    (tmp_path / "rows.jsonl").write_text('{"n": 1.5}\n{"n": 2}\n{"n": "x"}\n')
    (tmp_path / "rows.json").write_text('[{"n": 1.5}, {"n": 2}]')
    pq.write_table(pa.table({"n": [1.5, 2.0, None]}), tmp_path / "rows.parquet")
    with pytest.raises(ScenarioError) as caught:
        _rows(spark, tmp_path / name, kind, _table(n="int"))
    [problem] = caught.value.problems
    assert problem.message.endswith(f"{name} is not of type int {shown}")


def test_files_of_a_folder_have_one_header(spark: SparkSession, tmp_path: Path) -> None:
    """Columns in another order would be read under wrong names, so they are a mistake."""
    (tmp_path / "a.csv").write_text('id,"x,\ny"\n1,2\n')
    (tmp_path / "b.csv").write_text('id,"x,\ny"\n3,4\n')
    assert 2 == len(_rows(spark, tmp_path, "csv", _table()))
    (tmp_path / "b.csv").write_text("x,id\n3,4\n")
    with pytest.raises(ScenarioError, match=r"its files have different columns: .*a\.csv|b\.csv has"):
        _rows(spark, tmp_path, "csv", _table())


def test_folders_name_columns(spark: SparkSession, tmp_path: Path) -> None:
    """Values in the names of folders have types by the rules for CSV, whatever the format of the files."""
    for value in ("01", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / f"id={value}" / "day=2024-02-29"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x\n1\n")
    rows = _rows(spark, tmp_path, "csv", _table())
    assert {("01", 1, "2024-02-29"), (None, 1, "2024-02-29")} == {
        (row["id"], row["x"], str(row["day"])) for row in rows
    }


def test_units_of_timestamps_are_not_mixed(spark: SparkSession, tmp_path: Path) -> None:
    """Nanoseconds in one file and microseconds in another would be a thousand times too large or small."""
    for unit in ("ns", "us"):
        pq.write_table(pa.table({"at": pa.array([10**18], pa.timestamp(unit))}), tmp_path / f"{unit}.parquet")
    with pytest.raises(ScenarioError, match="some of its files have timestamps in nanoseconds and others"):
        _rows(spark, tmp_path, "parquet", _table())
