"""Tables that runs build in a schema of a catalog, here in the session's own, ``spark_catalog``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.errors import ScenarioError
from harness.job.ingest import INGEST, build_version, open_build, reopen_versions
from harness.job.main import run
from harness.job.step_record import StepRecord
from harness.job.table_io import remove_table
from harness.plan import ManagedTables, Plan
from harness.results import Verdict
from tests.embedded.runner import make_job, make_plan
from tests.embedded.small import SMALL, write_table
from tests.embedded.stepping import FIRST, SECOND, VersionValues, build_plan, make_tiny_plan

pytestmark = pytest.mark.spark

SCHEMA = "built"
_NEW = {"set": {"note": "'new'"}, "merge_schema": True}
STEPS: tuple[VersionValues, ...] = (
    {"name": "first", "append": {"where": "batch = 1"}},
    {"name": "second", "append": {"where": "batch = 2"}},
    {"name": "compacted", "optimize": None},
    {"name": "wider", "append": {"rows": [{"id": 7, "batch": 3}], **_NEW}},
    {"name": "replaced", "overwrite": {"where": "id = 2", "set": {"x": "0D"}, "replace_where": "id = 2"}},
    {"name": "merged", "merge": {"rows": [{"id": 3, "status": "bad"}, {"id": 9, "status": "good"}]}},
    {"name": "extended", "merge": {"where": "id = 1", "set": {"rank": "id"}, "merge_schema": True}},
    {"name": "updated", "update": {"set": {"x": "x + id"}, "where": "id > 2"}},
    {"name": "deleted", "delete": "status = 'bad'"},
    {"name": "added", "add_columns": {"later": "string"}},
    {"name": "refused", "append": {"set": {"odd": "1"}}, "expect_error": "_LEGACY_ERROR_TEMP_DELTA_0007"},
    {"name": "stated", "sql": "DELETE FROM {table} WHERE id = 1"},
    {"name": "restored", "restore": "second"},
    {"name": "whole", "overwrite": {"where": "batch = 2"}},
    {"name": "narrowed", "overwrite": {"rows": [{"id": 7, "x": 1}], "overwrite_schema": True}},
    {"name": "vacuumed", "vacuum": {"retain_hours": 200}, "commits": "any"},
)


@pytest.fixture(name="managed")
def _managed(spark: SparkSession, tmp_path: Path) -> Iterator[ManagedTables]:
    spark.sql(f"CREATE SCHEMA {SCHEMA} LOCATION '{tmp_path / 'schema'}'")
    yield ManagedTables(schema_name=f"spark_catalog.{SCHEMA}", days=14, until="20260518")
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def manage(plan: Plan, managed: ManagedTables, run_id: str = "20260504-101112-tiny-0a1b") -> Plan:
    """Return a plan that builds its table in the schema."""
    environment = plan.environment.model_copy(update={"managed_tables": managed})
    return plan.model_copy(update={"environment": environment, "run_id": run_id})


def list_tables(spark: SparkSession) -> list[str]:
    """Return the names of the tables in the schema, without the temporary views that every schema lists."""
    return [each.name for each in spark.catalog.listTables(SCHEMA) if not each.isTemporary]


def test_every_step_has_the_outcome_that_it_has_in_a_folder(
    spark: SparkSession, tmp_path: Path, managed: ManagedTables
) -> None:
    """The same rows, columns and commits after each step; the table's name has the run and a day."""
    by_path = make_tiny_plan(tmp_path, *STEPS)
    by_name = manage(by_path, managed)
    expected, found = (
        [(each.name, each.number, each.commits, each.error, each.table) for each in build_plan(spark, plan)]
        for plan in (by_path, by_name)
    )
    for there, here in zip(expected, found, strict=True):
        assert here[:4] == there[:4]
        assert here[4].columns == there[4].columns, here[0]
        assert sorted(map(str, here[4].collect())) == sorted(map(str, there[4].collect())), here[0]
    assert list_tables(spark) == ["tiny_run_20260504_101112_tiny_0a1b_until_20260518"]
    remove_table(spark, by_name)
    assert list_tables(spark) == []


def test_columns_may_have_names_that_files_cannot_have(
    spark: SparkSession, tmp_path: Path, managed: ManagedTables
) -> None:
    """The table is created with column mapping, in a single commit."""
    odd = {"name": "odd", "append": {"set": {"a b": "1"}, "merge_schema": True}}
    first, second = build_plan(spark, manage(make_tiny_plan(tmp_path, FIRST, odd), managed))
    assert (first.commits, second.commits, second.table.columns[-1]) == (1, 1, "a b")


def test_a_vacuum_that_would_remove_files_of_a_trained_version_is_refused(
    spark: SparkSession, tmp_path: Path, managed: ManagedTables
) -> None:
    """The message names the version."""
    steps = (FIRST, {"name": "gone", "delete": "id = 1"}, {"name": "clean", "vacuum": {"retain_hours": 0}})
    with pytest.raises(ScenarioError) as caught:
        build_plan(spark, manage(make_tiny_plan(tmp_path, *steps), managed))
    assert "would remove files of 'first' (Delta version 0)" in caught.value.problems[0].message


@pytest.mark.parametrize("later", [False, True])
def test_a_resumed_run_goes_on_or_builds_its_table_again(
    spark: SparkSession, tmp_path: Path, managed: ManagedTables, later: bool
) -> None:
    """A commit after the last finished step can't be removed from the table's log: it is built again."""
    plan = manage(make_tiny_plan(tmp_path, FIRST, SECOND), managed)
    build = open_build(spark, plan)
    steps = StepRecord()
    steps.finish(INGEST, "first", build_version(build, 0).facts)
    if later:
        build_version(build, 1)
    reopened = reopen_versions(open_build(spark, plan), steps)
    assert [each.number for each in reopened] == ([] if later else [0])
    assert list_tables(spark) == ([] if later else ["tiny_run_20260504_101112_tiny_0a1b_until_20260518"])


def test_a_run_has_the_numbers_of_one_in_a_folder(
    spark: SparkSession, tmp_path: Path, managed: ManagedTables
) -> None:
    """Fingerprints, metrics and verdict are the same, and the result names the table."""
    source = write_table(tmp_path)
    in_folder = make_plan(SMALL, source, tmp_path, "in_folder")
    named = manage(make_plan(SMALL, source, tmp_path), managed, "20260504-101112-small-0a1b")
    expected, found = (run(make_job(spark, plan)) for plan in (in_folder, named))
    assert found.failure is None
    assert {expected.verdict, found.verdict} == {Verdict.PASS}
    assert [each.fingerprint for each in found.versions] == [each.fingerprint for each in expected.versions]
    assert [each.metrics for each in found.versions] == [each.metrics for each in expected.versions]
    assert (
        found.table_uri
        == f"spark_catalog.{SCHEMA}.{SMALL.table.name}_run_20260504_101112_small_0a1b_until_20260518"
    )
