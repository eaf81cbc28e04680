"""Builds the versions of a tiny table, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.errors import Location, ScenarioError
from harness.job.ingest import BuiltVersion, build_version, open_build
from harness.plan import Plan, SourceData
from harness.scenario.model import Scenario
from tests.embedded.runner import make_plan

VersionValues = dict[str, Any]
"""A version as the scenario file writes it."""
Cells = list[tuple[Any, ...]]
_SOURCE = """id,batch,x,status
1,1,1.5,good
2,1,2.5,bad
3,1,3.5,good
4,2,4.5,bad
5,2,5.5,good
6,2,6.5,bad
"""
FIRST: VersionValues = {"name": "first", "append": {"where": "batch = 1"}}
SECOND: VersionValues = {"name": "second", "append": {"where": "batch = 2"}}
BATCH_1: Cells = [(1, 1, 1.5, "good"), (2, 1, 2.5, "bad"), (3, 1, 3.5, "good")]
BATCH_2: Cells = [(4, 2, 4.5, "bad"), (5, 2, 5.5, "good"), (6, 2, 6.5, "bad")]


def make_scenario(*versions: VersionValues, key: str = "id") -> Scenario:
    """Return a scenario of the tiny table with these versions."""
    return Scenario.model_validate(
        {
            "name": "tiny",
            "table": {"name": "tiny", "source": "tiny.csv", "key": key},
            "pipeline": {
                "label": {"column": "status", "positive": ["bad"], "negative": ["good"]},
                "features": ["x"],
            },
            "versions": versions,
        }
    )


def make_tiny_plan(folder: Path, *versions: VersionValues, others: dict[str, str] | None = None) -> Plan:
    """Return a plan whose sources are written into a folder."""
    for name, text in {"tiny.csv": _SOURCE, **(others or {})}.items():
        (folder / name).write_text(text)
    plan = make_plan(make_scenario(*versions), folder / "tiny.csv", folder)
    data = {name: SourceData(uri=str(folder / name), format="csv") for name in others or {}}
    return plan.model_copy(update={"sources": plan.sources | data})


def build_all(
    spark: SparkSession, folder: Path, *versions: VersionValues, others: dict[str, str] | None = None
) -> list[BuiltVersion]:
    """Build all versions in order."""
    return build_plan(spark, make_tiny_plan(folder, *versions, others=others))


def build_plan(spark: SparkSession, plan: Plan) -> list[BuiltVersion]:
    """Build all versions of a plan in order."""
    table = open_build(spark, plan)
    return [build_version(table, index) for index in range(len(plan.scenario.versions))]


def read_cells(table: DataFrame) -> Cells:
    """Return the rows, sorted by their first column."""
    return sorted((tuple(row) for row in table.collect()), key=lambda row: row[0])


def find_problem(
    spark: SparkSession, folder: Path, *versions: VersionValues, others: dict[str, str] | None = None
) -> tuple[Location, str]:
    """Return the location and the message of the only problem that building these versions reports."""
    with pytest.raises(ScenarioError) as caught:
        build_all(spark, folder, *versions, others=others)
    [problem] = caught.value.problems
    return problem.location, problem.message
