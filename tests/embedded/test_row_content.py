"""Keys from the content of rows, the same with and without Spark."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from harness.authoring.data_file import read_data
from harness.errors import ScenarioError
from harness.job.prepare import HELD_OUT, add_label
from harness.job.step_rows import Sources, make_rows
from harness.pipelines import FOLD
from harness.plan import Plan, SourceData
from harness.scenario.rows import Rows
from tests.embedded.stepping import make_tiny_plan

_AT = ("versions", 0, "append")
_INSTANT = datetime(2024, 2, 29, 12, 30, 15, 120_000, tzinfo=UTC)
_COLUMNS = {
    "whole": pa.array([1, -5, None, 1, 0], pa.int8()),
    "Number": pa.array([1.5, float("nan"), None, 1.5, -0.0]),
    "single": pa.array([0.1, float("-inf"), 1e-30, 0.1, None], pa.float32()),
    "text": pa.array(["ä|1", "", None, "ä|1", "x"]),
    "kind": pa.array(["a", "b", None, "a", "b"]).dictionary_encode(),
    "flag": pa.array([True, False, None, True, False]),
    "amount": pa.array(
        [Decimal("1.50"), Decimal("0E-10"), None, Decimal("1.50"), Decimal(-7)], pa.decimal128(20, 10)
    ),
    "day": pa.array([date(1, 1, 1), date(2024, 2, 29), None, date(1, 1, 1), date(9999, 12, 31)]),
    "instant": pa.array([_INSTANT, None, _INSTANT, _INSTANT, None], pa.timestamp("us", tz="UTC")),
    "nanos": pa.array([-1, 10**18 + 1, None, -1, 0], pa.timestamp("ns", tz="UTC")),
    "local": pa.array(
        [
            _INSTANT.replace(tzinfo=None),
            None,
            (_INSTANT - timedelta(days=20_000)).replace(tzinfo=None),
            _INSTANT.replace(tzinfo=None),
            None,
        ],
        pa.timestamp("us"),
    ),
}
"""Columns of every type that init can digest; the fourth row repeats the first."""


def _plan(folder: Path, name: str, **table: object) -> Plan:
    plan = make_tiny_plan(folder, {"name": "first", "append": {}})
    settings = {"key": ("row",), "key_from": "content", **table}
    changed = plan.scenario.table.model_copy(update=settings)
    source = SourceData(uri=str(folder / name), format=name.rpartition(".")[2])
    scenario = plan.scenario.model_copy(update={"table": changed})
    return plan.model_copy(update={"scenario": scenario, "sources": {name: source}})


def test_keys_are_those_of_the_job(spark: SparkSession, tmp_path: Path) -> None:
    """Every type of value has the same digest in both, and a repeated row has a number."""
    pq.write_table(pa.table(_COLUMNS), tmp_path / "rows.parquet")
    plan = _plan(tmp_path, "rows.parquet")
    rows = make_rows(Sources(spark, plan), Rows.model_validate({"from": "rows.parquet"}), None, _AT)
    in_job = [row[0] for row in rows.select("row").collect()]
    data = read_data(tmp_path / "rows.parquet").with_content_key("row")
    assert data is not None
    assert sorted(in_job) == sorted(data.frame["row"])
    assert [32, 32, 32, 34, 32] == [len(key) for key in data.frame["row"]]


def test_columns_may_move_and_nulls_do_not_count(spark: SparkSession, tmp_path: Path) -> None:
    """The same row of another file has the same key, even if that file has a new column without values."""
    (tmp_path / "a.csv").write_text("id,x\n1,2\n")
    (tmp_path / "b.csv").write_text("X,more,id\n2,,1\n")
    keys = []
    for name in ("a.csv", "b.csv"):
        sources = Sources(spark, _plan(tmp_path, name))
        keys += [
            row["row"] for row in make_rows(sources, Rows.model_validate({"from": name}), None, _AT).collect()
        ]
    assert keys[0] == keys[1]


def test_identical_rows_are_held_out_together(spark: SparkSession, tmp_path: Path) -> None:
    """The number of a repeated row decides neither the split nor the fold."""
    rows = "".join(f"{number % 50},{number % 50}\n" for number in range(200))
    (tmp_path / "rows.csv").write_text(f"id,status\n{rows}")
    plan = _plan(tmp_path, "rows.csv")
    table = make_rows(Sources(spark, plan), Rows.model_validate({"from": "rows.csv"}), None, _AT)
    assert table.select("row").distinct().count() == 200
    sides = add_label(table, plan.scenario).select("id", HELD_OUT, FOLD).distinct()
    assert sides.count() == 50
    assert 5 < sides.where(HELD_OUT).count() < 45


def test_a_column_of_the_same_name_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """The key is never written over a column of the rows."""
    (tmp_path / "rows.csv").write_text("id,x\n1,2\n")
    plan = _plan(tmp_path, "rows.csv", key=("ID",))
    with pytest.raises(ScenarioError, match="the rows have a column 'ID' already; name another key"):
        make_rows(Sources(spark, plan), Rows.model_validate({"from": "rows.csv"}), None, _AT)


def test_lists_have_no_digest_without_spark(tmp_path: Path) -> None:
    """What only the job can digest is not guessed."""
    (tmp_path / "rows.jsonl").write_text(json.dumps({"x": [1]}) + "\n")
    assert read_data(tmp_path / "rows.jsonl").with_content_key("row") is None
    pd.DataFrame({"x": [[1], [2]]}).to_parquet(tmp_path / "rows.parquet")
    assert read_data(tmp_path / "rows.parquet").with_content_key("row") is None
