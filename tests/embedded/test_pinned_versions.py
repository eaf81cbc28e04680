"""Pinned versions of a table, as Spark reads them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness.job.pinned_versions import SparkTable, list_retention_warnings
from harness.retention.deltalake_table import open_table
from harness.retention.table_log import describe_version
from tests.embedded.runner import make_plan
from tests.embedded.stepping import FIRST, VersionValues, build_all, make_scenario, make_tiny_plan
from tests.unit.retention_samples import SampleTable

pytestmark = pytest.mark.spark


def sql(name: str, statement: str) -> VersionValues:
    """Return a version that a statement makes."""
    return {"name": name, "sql": statement}


def test_both_readers_find_the_same(spark: SparkSession, tmp_path: Path) -> None:
    """Spark, in a run, and the command without Spark describe every version alike, with deletion vectors."""
    vectors = "SET TBLPROPERTIES (delta.enableDeletionVectors = true, delta.checkpointInterval = 3)"
    build_all(
        spark,
        tmp_path,
        FIRST,
        sql("vectors", f"ALTER TABLE {{table}} {vectors}"),
        sql("one", "DELETE FROM {table} WHERE id = 1"),
        sql("two", "DELETE FROM {table} WHERE id = 2"),
        {"name": "replaced", "overwrite": {"where": "batch = 2"}},
    )
    uri = make_tiny_plan(tmp_path, FIRST).table_uri
    by_spark, by_command = SparkTable(spark, uri), open_table(uri, ())
    assert by_command is not None
    assert (True, True, 4, 4) == (
        by_spark.has_vectors,
        by_command.has_vectors,
        by_spark.newest,
        by_command.newest,
    )
    assert by_spark.properties == by_command.properties
    states = {version: describe_version(by_spark, version) for version in (1, 2, 5)}
    for version, state in states.items():
        other = describe_version(by_command, version)
        assert (state.unreadable, state.removed) == (other.unreadable, other.removed)
        # Spark rounds the times of files to milliseconds.
        assert (state.oldest_log is None) == (other.oldest_log is None)
        if state.oldest_log is not None and other.oldest_log is not None:
            assert abs(state.oldest_log - other.oldest_log) < timedelta(seconds=1)
    # The first vector left the table with the second deletion, before all files did.
    assert states[2].removed is not None
    assert states[1].removed is not None
    assert states[2].removed < states[1].removed
    assert "" != states[5].unreadable


def test_a_run_warns_before_a_version_is_lost(spark: SparkSession, tmp_path: Path) -> None:
    """A run names the pinned versions that the table won't keep, what pins them, and the command to use."""
    table = SampleTable.create(tmp_path)
    bundle = table.pin(0)
    table.pin(2)
    table.age_removals(5)
    plan = make_plan(make_scenario({"name": "now", "read": "latest"}), tmp_path / "none.csv", tmp_path)
    plan = plan.model_copy(update={"existing_table": str(table.path)})
    client = MlflowClient(plan.environment.tracking_uri)
    [warning, hint] = list_retention_warnings(spark, plan, client)
    assert warning.startswith(f"Version 0 is pinned by bundle {bundle}, but from 20")
    assert f"'harness retain {table.path}' shows how to keep these versions." == hint
    table.age_removals(8)
    assert (
        "but the next vacuum deletes files that it needs" in list_retention_warnings(spark, plan, client)[0]
    )
    other = plan.model_copy(update={"existing_table": "/other/table"})
    assert () == list_retention_warnings(spark, other, client)
