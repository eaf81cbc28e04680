"""Existing tables: found by number, by time and as the latest, and never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from harness.errors import ExitCode, Location, ScenarioError
from harness.job import ingest as build_module
from harness.job.delta_log import format_ranges
from harness.job.ingest import build_version, open_build
from harness.job.main import run
from harness.job.table_io import read_version, remove_table
from harness.plan import Plan
from tests.embedded.runner import change_scenario, make_job, make_plan
from tests.embedded.small import UNPUBLISHED, write_table
from tests.embedded.stepping import (
    BATCH_1,
    BATCH_2,
    FIRST,
    SECOND,
    VersionValues,
    build_all,
    build_plan,
    make_scenario,
    make_tiny_plan,
    read_cells,
)

pytestmark = pytest.mark.spark


@dataclass(frozen=True)
class Existing:
    """A table of another run: a batch, two batches, and the first batch again."""

    folder: Path
    uri: str
    times: list[Any]

    def plan(self, *reads: Any, at: str = "version") -> Plan:
        """Return a plan that reads these versions."""
        versions = [{"name": f"v{index}", "read": read, "at": at} for index, read in enumerate(reads)]
        return self.plan_versions(*versions)

    def plan_versions(self, *versions: VersionValues) -> Plan:
        """Return a plan with these versions on this table."""
        plan = make_plan(make_scenario(*versions), self.folder / "tiny.csv", self.folder, run_id="other")
        return plan.model_copy(update={"existing_table": self.uri})


@pytest.fixture
def existing(spark: SparkSession, tmp_path: Path) -> Existing:
    versions = build_all(spark, tmp_path, FIRST, SECOND, {"name": "third", "delete": "batch = 2"})
    uri = make_tiny_plan(tmp_path, FIRST).table_uri
    return Existing(tmp_path, uri, [each.commit.time for each in versions])


def list_files(folder: str) -> dict[str, tuple[int, int]]:
    """Return every file below a folder with its size and time."""
    found = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def find_problem(spark: SparkSession, plan: Plan) -> tuple[Location, str]:
    """Return the location and the message of the only problem that building the plan reports."""
    with pytest.raises(ScenarioError) as caught:
        build_plan(spark, plan)
    [problem] = caught.value.problems
    return problem.location, problem.message


def test_versions_are_found(spark: SparkSession, existing: Existing) -> None:
    """Versions are found by number, as the latest, and by time: the newest commit up to it."""
    versions = build_plan(spark, existing.plan(1, "latest", existing.times[1], "2999-01-01"))
    assert [1, 2, 1, 2] == [each.number for each in versions]
    assert [BATCH_1 + BATCH_2, BATCH_1] == [read_cells(each.table) for each in versions[:2]]
    assert {None} == {each.commits for each in versions}
    assert ["WRITE", "DELETE"] == [each.commit.operation for each in versions[:2]]


def test_a_version_is_read_by_its_time(spark: SparkSession, existing: Existing) -> None:
    """A version that is read by the time of its commit has the same rows as by number."""
    assert [BATCH_1 + BATCH_2] == [
        read_cells(each.table) for each in build_plan(spark, existing.plan(1, at="timestamp"))
    ]


def test_latest_is_resolved_at_the_start(spark: SparkSession, existing: Existing) -> None:
    """The latest version is resolved at the start; later commits are ignored."""
    table = open_build(spark, existing.plan("latest"))
    DeltaTable.forPath(spark, existing.uri).delete("id = 1")
    assert (2, BATCH_1) == ((version := build_version(table, 0)).number, read_cells(version.table))


def test_an_unknown_version_is_reported(spark: SparkSession, existing: Existing) -> None:
    """An unknown version is reported with the existing ones."""
    location, message = find_problem(spark, existing.plan(3))
    assert ("versions", 0, "read") == location
    assert "the table has no version 3; the log covers version 0" in message


def test_a_time_before_the_table_is_reported(spark: SparkSession, existing: Existing) -> None:
    """A time before the first version is reported with that version's time."""
    _, message = find_problem(spark, existing.plan("2001-01-01"))
    assert (
        f"no version as old as 2001-01-01 00:00:00+00:00; the log covers version 0 ({existing.times[0]:%Y}"
        in message
    )


def test_a_folder_without_a_table_is_reported(spark: SparkSession, existing: Existing) -> None:
    """A folder that is not a Delta table is reported at the location of the URI."""
    plan = existing.plan(0).model_copy(update={"existing_table": f"{existing.folder}/none"})
    location, message = find_problem(spark, plan)
    assert (("table", "uri"), True) == (
        location,
        f"no Delta table at {existing.folder}/none" in message,
    )


def test_a_version_without_its_log_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A version whose log was cleaned up is reported with the readable ones and the retention."""
    existing = truncate_log(spark, tmp_path, "[01].*")
    location, message = find_problem(spark, existing.plan(0))
    assert ("versions", 0, "read") == location
    assert "version 'v0' can't be read any more" in message
    assert "Readable versions: 2 to 3." in message
    assert "delta.logRetentionDuration = interval 2 days" in message


def truncate_log(spark: SparkSession, folder: Path, removed: str) -> Existing:
    """Return a table of four versions with a checkpoint at the third and some log files missing."""
    often: VersionValues = {
        "name": "often",
        "sql": "ALTER TABLE {table} SET TBLPROPERTIES "
        "(delta.checkpointInterval = 2, delta.logRetentionDuration = 'interval 2 days')",
    }
    more = [{"name": f"more{number}", "append": {"rows": [{"id": number}]}} for number in (7, 8)]
    build_all(spark, folder, FIRST, often, *more)
    existing = Existing(folder, make_tiny_plan(folder, FIRST).table_uri, [])
    for log in Path(existing.uri, "_delta_log").glob(f"*0{removed}"):
        log.unlink()
    # Delta keeps what it has read of a log.
    context: Any = spark.sparkContext
    context._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    return existing


def test_a_version_without_its_commit_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A version of which only a checkpoint is left is reported."""
    location, message = find_problem(spark, truncate_log(spark, tmp_path, "[012].*json").plan(2))
    assert ("versions", 0, "read") == location
    assert "Readable versions: 3." in message


def test_a_time_of_another_version_is_reported(
    spark: SparkSession, existing: Existing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time that Delta resolves to another version is reported."""
    monkeypatch.setattr(
        build_module, "read_version_at", lambda spark, uri, _time: read_version(spark, uri, 0)
    )
    location, message = find_problem(spark, existing.plan(1, at="timestamp"))
    assert ("versions", 0, "at") == location
    assert "Delta finds another version than 1. Read it by 'version'." in message


def test_an_existing_table_is_never_changed(spark: SparkSession, existing: Existing) -> None:
    """A step that would change an existing table is reported, and no file is touched."""
    before = list_files(existing.uri)
    location, message = find_problem(spark, existing.plan_versions(SECOND))
    assert (("versions", 0, "append"), before) == (location, list_files(existing.uri))
    assert "an existing table is only read, never changed" in message
    remove_table(spark, existing.plan(0))
    assert before == list_files(existing.uri)


@pytest.mark.parametrize(
    ("label", "code"), [("outcome", ExitCode.PASS), ("nothing", ExitCode.WRONG_INPUT)], ids=["good", "wrong"]
)
def test_a_run_does_not_change_an_existing_table(
    spark: SparkSession, tmp_path: Path, label: str, code: ExitCode
) -> None:
    """Neither a successful nor a failed run changes the table or leaves a folder in the lake.

    A pinned version that can't be read any more is a warning.
    """
    source = write_table(tmp_path)
    spark.read.csv(str(source), header=True, inferSchema=True).write.format("delta").save(
        f"{tmp_path}/existing"
    )
    before = list_files(f"{tmp_path}/existing")
    reading = change_scenario(
        UNPUBLISHED,
        {
            "versions": [{"name": "now", "read": "latest", "expect": {"rows": 300}}],
            "pipeline": {"label": {"column": label}},
        },
    )
    plan = make_plan(reading, source, tmp_path).model_copy(update={"existing_table": f"{tmp_path}/existing"})
    bundle = tmp_path / "models" / "small" / "v7-r1"
    bundle.mkdir(parents=True)
    manifest = {"table": f"{tmp_path}/existing", "version": 7, "mlflow_run_id": "r1", "run_id": "run"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    result = run(make_job(spark, plan))
    lost = f"Version 7 is pinned by bundle {bundle}, but it can no longer be read: the table's newest version"
    assert (result.failure is None) == any(each.startswith(lost) for each in result.warnings)
    assert (code, before) == (result.exit_code, list_files(f"{tmp_path}/existing"))
    assert [] == list((tmp_path / "lake").glob("runs/*"))


def test_ranges_are_short() -> None:
    """Consecutive version numbers are shown as a range."""
    assert ("2, 5 to 9", "0 to 1", "") == (
        format_ranges([2, 5, 6, 7, 8, 9]),
        format_ranges([0, 1]),
        format_ranges([]),
    )
