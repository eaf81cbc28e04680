"""The rows that a step adds, which are the same in every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.job.fingerprint import compute_fingerprint
from harness.job.step_rows import Sources, make_rows
from harness.scenario.rows import Rows
from tests.embedded.stepping import VersionValues, make_tiny_plan, read_cells

pytestmark = pytest.mark.spark

_MANY = "id,x,status\n" + "".join(f"{number},{number / 2},s{number % 7}\n" for number in range(1, 1001))


def make_step_rows(
    spark: SparkSession, folder: Path, options: dict[str, Any], source: str = _MANY
) -> DataFrame:
    """Return the rows that a step takes from a source with a thousand rows."""
    first: VersionValues = {"name": "first", "append": {"from": "many.csv"} | options}
    plan = make_tiny_plan(folder, first, others={"many.csv": source})
    step = Rows.model_validate({"from": "many.csv"} | options)
    return make_rows(Sources(spark, plan), step, None, ("versions", 0, "append"))


def test_a_sample_is_drawn_by_the_key(spark: SparkSession, tmp_path: Path) -> None:
    """A sample has about the requested share, and a larger source contains the sample of a smaller one."""
    whole = read_cells(make_step_rows(spark, tmp_path, {"sample": 0.3}))
    half = read_cells(make_step_rows(spark, tmp_path, {"sample": 0.3}, "\n".join(_MANY.splitlines()[:501])))
    assert 250 <= len(whole) <= 350
    assert [row for row in whole if row[0] <= 500] == half


def test_a_shuffle_keeps_the_values(spark: SparkSession, tmp_path: Path) -> None:
    """A shuffle keeps all values of the column and leaves the other columns unchanged."""
    before = read_cells(make_step_rows(spark, tmp_path, {}))
    after = read_cells(make_step_rows(spark, tmp_path, {"shuffle": "X"}))
    assert sorted(row[1] for row in before) == sorted(row[1] for row in after)
    assert [(row[0], row[2]) for row in before] == [(row[0], row[2]) for row in after]
    assert sum(left == right for left, right in zip(before, after, strict=True)) < 10


def test_a_shuffle_does_not_depend_on_partitions(spark: SparkSession, tmp_path: Path) -> None:
    """A shuffle gives the same rows whatever the order of the source's lines."""
    lines = [*_MANY.splitlines()[1:], "1,0.25,again"]
    text = "\n".join(["id,x,status", *lines])
    reversed_text = "\n".join(["id,x,status", *reversed(lines)])
    fingerprints = [
        compute_fingerprint(make_step_rows(spark, tmp_path, {"shuffle": "x"}, each))
        for each in (text, reversed_text)
    ]
    assert fingerprints[0] == fingerprints[1]


def test_values_are_set_from_the_original_rows(spark: SparkSession, tmp_path: Path) -> None:
    """All expressions refer to the original values, and rows are selected before they are changed."""
    options = {"where": "id = 4", "set": {"id": "id * 10", "twice the id": "id * 2"}}
    assert [(40, 2.0, "s4", 8)] == read_cells(make_step_rows(spark, tmp_path, options))


def test_inline_rows_have_the_types_of_the_source(spark: SparkSession, tmp_path: Path) -> None:
    """Rows in the scenario file have the types of the source; missing values are null."""
    plan = make_tiny_plan(tmp_path, {"name": "first", "append": {}})
    step = Rows.model_validate({"rows": [{"id": 7, "x": 1}, {"id": 8, "status": None}, {"status": True}]})
    rows = make_rows(Sources(spark, plan), step, None, ("versions", 0, "append"))
    assert [("id", "int"), ("x", "double"), ("status", "string")] == rows.dtypes
    assert [(7, 1.0, None), (8, None, None), (None, None, "true")] == [tuple(row) for row in rows.collect()]
