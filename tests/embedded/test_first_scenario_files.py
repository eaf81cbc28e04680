"""Scenarios that 'harness init' writes for all kinds of files, and the rows that the job then reads."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession, functions as F

from harness.authoring.first_scenario import write_scenario
from harness.content_digests import ContentDigests
from harness.job.copy_table import copy_table
from harness.job.step_rows import Sources, make_rows
from harness.loading.loader import load_scenario
from harness.resolve import describe_source
from harness.scenario.rows import Rows
from tests.embedded.runner import make_plan

_ROWS = 180
_HEADER = ["id", "age", "work", "opened", "y"]


def _cells() -> list[list[str]]:
    """Return rows of text: a key, a number, a text, a date and a label."""
    return [
        [
            str(1000 + index),
            str(20 + index * 7 % 50),
            ("state", "private", "none")[index % 3],
            f"2024-{1 + index % 12:02d}-{1 + index % 28:02d}",
            "yes" if index % 3 else "no",
        ]
        for index in range(_ROWS)
    ]


def _lines(rows: list[list[str]], separator: str = ",", line_break: str = "\n") -> str:
    return "".join(separator.join(row) + line_break for row in rows)


def _replace(column: int, change: Callable[[int, str], str]) -> list[list[str]]:
    """Return the rows with a changed column."""
    return [
        [change(at, cell) if index == column else cell for index, cell in enumerate(row)]
        for at, row in enumerate(_cells())
    ]


def _csv(rows: list[list[str]], header: list[str] | None = None) -> bytes:
    return _lines([header or _HEADER, *rows]).encode()


def _json(rows: list[list[str]]) -> list[dict[str, object]]:
    return [
        {"id": id_, "age": int(age), "work": work, "opened": opened, "y": y}
        for id_, age, work, opened, y in rows
    ]


def _quote(_: int, text: str) -> str:
    return f'"{text}"'


def _write_delta(folder: Path, *statements: str, **properties: str) -> None:
    """Write the rows as a Delta table, then change it: no statement changes the rows that a version has."""
    spark = SparkSession.active()
    options = {f"delta.{name}": value for name, value in properties.items()}
    rows = spark.createDataFrame(_cells(), _HEADER).withColumns(
        {"id": F.col("id").cast("bigint"), "age": F.col("age").cast("smallint")}
    )
    twice = rows.union(rows.withColumn("id", F.col("id") + 100_000))
    twice.repartition(2).write.format("delta").options(**options).save(str(folder))
    DeltaTable.forPath(spark, str(folder)).delete("id >= 100000")
    for statement in statements:
        spark.sql(statement.format(table=f"delta.`{folder}`"))


FILES: dict[str, bytes | Callable[[Path], object]] = {
    "plain.csv": _csv(_cells()),
    "windows.csv": _lines([_HEADER, *_cells()], line_break="\r\n").encode(),
    "spaces.csv": _lines([_HEADER, *_cells()], separator=", ").encode(),
    "spaces_and_quotes.csv": _lines([_HEADER, *_replace(2, _quote)], separator=", ").encode(),
    "unnamed.csv": _csv(_cells(), ["", *_HEADER[1:]]),
    "twice.csv": _csv(_cells(), ["id", "age", "age", "opened", "y"]),
    "upper_twice.csv": _csv(_cells(), ["id", "age", "AGE", "opened", "y"]),
    "dotted.csv": _csv(_cells(), ["id", "age.years", "work type", "opened at", "y"]),
    "quoted.csv": _csv(_replace(2, lambda at, text: f'"{text} ""{at % 3}"", 12"""')),
    "line_breaks.csv": _csv(_replace(2, lambda at, text: f'"{text}\n{at % 3}"')),
    "codes.csv": _csv(_replace(0, lambda at, _: f"{at:04d}D")),
    "leading_zeros.csv": _csv(_replace(0, lambda at, _: f"{at:06d}")),
    "long_keys.csv": _csv(_replace(0, lambda at, _: f"{10**24 + at}")),
    "negative_keys.csv": _csv(_replace(0, lambda at, _: f"{at - 90}")),
    "times.csv": _csv(_replace(2, lambda at, _: f"{at % 3 + 10}:30")),
    "zoned.csv": _csv(_replace(3, lambda at, text: f"{text}T{at % 24:02d}:30:00{('Z', '-05:00')[at % 2]}")),
    "null_words.csv": _csv(_replace(1, lambda at, text: "NA" if at % 9 == 0 else text)),
    "question_marks.csv": _csv(_replace(1, lambda at, text: "?" if at % 9 == 0 else text)),
    "null_dates.csv": _csv(_replace(3, lambda at, text: "-" if at % 9 == 0 else text)),
    "semicolons.csv": _lines([_HEADER, *_replace(1, lambda at, text: f"{text},{at % 10}")], ";").encode(),
    "thousands.csv": _lines([_HEADER, *_replace(1, lambda _, text: f"1.{text}0,5")], ";").encode(),
    "grouped.csv": _csv(_replace(1, lambda _, text: f'"1,{text}0.5"')),
    "tabs.tsv": _lines([_HEADER, *_cells()], "\t").encode(),
    "tabs.csv": _lines([_HEADER, *_cells()], "\t").encode(),
    "pipes.csv": _lines([_HEADER, *_cells()], "|").encode(),
    "latin.csv": _lines([_HEADER, *_replace(2, lambda _, text: f"ä{text}")]).encode("latin-1"),
    "utf16.csv": _lines([_HEADER, *_cells()]).encode("utf-16"),
    "bom.csv": _lines([_HEADER, *_cells()]).encode("utf-8-sig"),
    "booleans.csv": _csv(_replace(4, lambda at, _: "TRUE" if at % 3 else "FALSE")),
    "comma_label.csv": _csv(_replace(4, lambda _, text: f'"{text}, it is"')),
    "UPPER.CSV": _csv(_cells()),
    "packed.csv.gz": gzip.compress(_csv(_cells())),
    "packed.csv.bz2": bz2.compress(_csv(_cells())),
    "lines.jsonl": "".join(json.dumps(row) + "\n" for row in _json(_cells())).encode(),
    "array.json": json.dumps(_json(_cells()), indent=1).encode(),
    "zeros.jsonl": "".join(
        json.dumps(row) + "\n" for row in _json(_replace(0, lambda at, _: f"{at:05d}"))
    ).encode(),
    "zoned.jsonl": "".join(
        json.dumps(row) + "\n"
        for row in _json(_replace(3, lambda at, day: f"{day}T23:30:00-{at % 9:02d}:00"))
    ).encode(),
    "plain.parquet": lambda file: _frame().to_parquet(file, index=False),
    "decimals.parquet": lambda file: pq.write_table(
        pa.table({**_frame(), "age": pa.array([Decimal(f"{at % 40}.50") for at in range(_ROWS)])}), file
    ),
    "index.parquet": lambda file: _frame().set_index("id").to_parquet(file),
    "categories.parquet": lambda file: _frame().astype({"work": "category"}).to_parquet(file, index=False),
    "folder": lambda folder: _write_parts(folder, "rows {}%.csv", _csv),
    "folder.json": lambda folder: _write_parts(folder, "[{}]#.JSONL", _write_json_lines),
    "delta": _write_delta,
    "vectors": lambda folder: _write_delta(folder, enableDeletionVectors="true"),
    "mapped": lambda folder: _write_delta(
        folder,
        "ALTER TABLE {table} RENAME COLUMN work TO `type of work`",
        "ALTER TABLE {table} RENAME COLUMN opened TO work",
        "ALTER TABLE {table} RENAME COLUMN `type of work` TO opened",
        **{"columnMapping.mode": "name"},
    ),
    "widened": lambda folder: _write_delta(
        folder, "ALTER TABLE {table} ALTER COLUMN age TYPE INT", enableTypeWidening="true"
    ),
    "modern": lambda folder: _write_delta(
        folder,
        "ALTER TABLE {table} ADD COLUMNS (nothing VOID)",
        checkpointPolicy="v2",
        checkpointInterval="1",
        enableInCommitTimestamps="true",
        enableRowTracking="true",
    ),
    "months": lambda folder: _write_parts(folder, "month=0{}/rows.csv", _csv),
    "months.json": lambda folder: _write_parts(folder, "month=2024-0{}-01/rows.json", _write_json_lines),
    "months.parquet": lambda folder: _write_parts(folder, "month=0{}D/rows.parquet", _write_parquet),
    "no_key.csv": _csv([row[1:] for row in _replace(1, lambda at, _: f"{at % 90 / 7}")], _HEADER[1:]),
    "no_key.jsonl": "".join(
        json.dumps({**row, "id": at % 80 / 9, "age": None if at % 7 else at % 5}) + "\n"
        for at, row in enumerate(_json(_cells()))
    ).encode(),
    "no_key.parquet": lambda file: _frame().assign(id=[at % 70 / 9 for at in range(_ROWS)]).to_parquet(file),
    "times.parquet": lambda file: _frame().assign(opened=pd.to_datetime(_frame()["opened"])).to_parquet(file),
}
"""Name of a file to its content, or to a function that writes it."""


def _frame() -> pd.DataFrame:
    frame = pd.DataFrame(_cells(), columns=_HEADER)
    return frame.astype({"id": "int64", "age": "int64"})


def _write_json_lines(rows: list[list[str]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in _json(rows)).encode()


def _write_parquet(rows: list[list[str]]) -> bytes:
    frame = pd.DataFrame(rows, columns=_HEADER).astype({"id": "int64", "age": "int64"})
    return frame.to_parquet(index=False)


def _write_parts(folder: Path, name: str, write: Callable[[list[list[str]]], bytes]) -> None:
    """Write the rows into three files of a folder, next to files that are no data."""
    for part in range(3):
        file = folder / name.format(part + 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(write(_cells()[part::3]))
    (folder / "_SUCCESS").touch()
    (folder / ".rows.csv.crc").write_bytes(b"crc")


def _copy(table: Path, folder: Path) -> None:
    """Copy a table as the subprocess of 'init' does, with this test's own session."""
    copy_table(SparkSession.active(), str(table), str(folder))


@pytest.mark.parametrize("name", FILES)
def test_a_first_scenario_fits_its_file(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """The scenario is valid, and each version's condition selects the number of rows that it expects."""
    content = FILES[name]
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        content(tmp_path / name)
    file = write_scenario("first", tmp_path / name, "y", [], None, tmp_path, _copy)
    loaded = load_scenario(str(file))
    digests = ContentDigests(tmp_path)
    described = {path: describe_source(source, digests) for path, source in loaded.sources.items()}
    plan = make_plan(loaded.scenario, file, tmp_path).model_copy(update={"sources": described})
    sources = Sources(spark, plan)
    rows = 0
    for index, version in enumerate(loaded.scenario.versions):
        assert version.append is not None
        rows += make_rows(sources, version.append, None, ("versions", index, "append")).count()
        assert version.expect.rows is not None
        assert [rows] == [bound.equals for bound in version.expect.rows]
    assert rows == _ROWS
    table = sources.read_for(Rows.model_validate({}), ("versions", 0, "append"))
    types = dict(table.dtypes)
    kinds = {types[feature].partition("(")[0] for feature in loaded.scenario.pipeline.features}
    assert kinds <= {"smallint", "int", "bigint", "double", "decimal"}
    [key] = loaded.scenario.table.key
    assert table.select(F.count_distinct(F.col(f"`{key}`"))).first() == (_ROWS,)
