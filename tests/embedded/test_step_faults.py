"""Problems of steps: errors, and steps that don't do what the scenario declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.errors import Location, ScenarioError
from harness.job.delta_log import is_readable
from harness.job.ingest import build_version, open_build
from harness.job.main import build_versions, check_versions
from tests.embedded.runner import make_job
from tests.embedded.stepping import (
    BATCH_1,
    FIRST,
    VersionValues,
    build_all,
    find_problem,
    make_tiny_plan,
    read_cells,
)

pytestmark = pytest.mark.spark

_TEXT_FOR_NUMBER: VersionValues = {"append": {"set": {"x": "'much'"}}}
_TWICE = {"from": "twice.csv"}
_FILES = {"twice.csv": "id,x\n1,2.5\n1,3.5\n", "broken.csv": "id,x\n1,2.5\n1,3.5,7,8\n"}


@pytest.mark.parametrize(
    ("second", "key", "message"),
    [
        pytest.param(
            {"append": {"where": "batch = 99"}},
            "append",
            "its append made no Delta commit, not 1. It added or changed no row. "
            "If that is right, write 'commits: 0'.",
            id="no row",
        ),
        pytest.param(
            {"delete": "id = 1", "commits": 2},
            "commits",
            "its delete made 1 Delta commit, not 2. If that is right, write 'commits: 1'.",
            id="fewer commits than declared",
        ),
        pytest.param(
            {"append": {"set": {"note": "'new'"}}},
            "append",
            "version 'second' can't be created: its append fails: [_LEGACY_ERROR_TEMP_DELTA_0007] "
            "A schema mismatch detected",
            id="a new column without merge_schema",
        ),
        pytest.param(
            {"merge": {"where": "id = 1", "set": {"note": "'new'"}}},
            "merge",
            "can't be created: its merge fails: [DELTA_MERGE_UNRESOLVED_EXPRESSION] Cannot resolve",
            id="a merge with a new column without merge_schema",
        ),
        pytest.param(
            {"merge": _TWICE},
            "merge",
            "its merge fails: [DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE]",
            id="two rows for one key",
        ),
        pytest.param(
            {"sql": "DELETE {table}"}, "sql", "its sql fails: [PARSE_SYNTAX_ERROR]", id="invalid SQL"
        ),
        pytest.param(
            {"update": {"set": {"y": "1"}}},
            "update",
            "its update fails: [UNRESOLVED_",
            id="an unknown column to update",
        ),
        pytest.param(
            {"append": {"where": "bach = 1"}}, ("append", "where"), "the rows can't be selected", id="where"
        ),
        pytest.param(
            {"append": {"set": {"x": "y + 1"}}}, ("append", "set", "x"), "'x' can't be set", id="set"
        ),
        pytest.param(
            {"append": {"shuffle": "statis"}},
            ("append", "shuffle"),
            "the rows have no column 'statis' to shuffle. Did you mean 'status'?",
            id="shuffle",
        ),
        pytest.param(
            {"append": {"rows": [{"id": 1}, {"id": 2, "statis": "bad"}]}},
            ("append", "rows", 1, "statis"),
            "the type of column 'statis' is unknown: neither the table nor its source has it. "
            "Did you mean 'status'?",
            id="an unknown column",
        ),
        pytest.param(
            {"append": {"rows": [{"id": 1.5}]}},
            ("append", "rows", 0, "id"),
            "1.5 is not of type int.",
            id="a value of another type",
        ),
        pytest.param(
            {"append": {"from": "broken.csv"}}, ("append", "from"), "can't read", id="a broken file"
        ),
        pytest.param(
            {"append": {"where": "batch = 2"}, "expect_error": "DELTA_FAILED_TO_MERGE_FIELDS"},
            "expect_error",
            "version 'second': its append must fail with DELTA_FAILED_TO_MERGE_FIELDS, but it succeeded.",
            id="no error",
        ),
        pytest.param(
            _TEXT_FOR_NUMBER | {"expect_error": "DELTA_FILE_NOT_FOUND"},
            "expect_error",
            "must fail with DELTA_FILE_NOT_FOUND, but failed with another error: [DELTA_FAILED_TO_",
            id="another error",
        ),
        pytest.param(
            {"append": {"rows": [{"y": 1}]}, "expect_error": "DELTA_FILE_NOT_FOUND"},
            ("append", "rows", 0, "y"),
            "the type of column 'y' is unknown: neither the table nor its source has it.",
            id="a mistake instead of the expected error",
        ),
    ],
)
def test_a_problem_of_a_step_has_its_location(
    spark: SparkSession, tmp_path: Path, second: VersionValues, key: str | Location, message: str
) -> None:
    """A problem of the second step is reported with its location and a remedy."""
    location, reported = find_problem(spark, tmp_path, FIRST, {"name": "second", **second}, others=_FILES)
    path = (key,) if isinstance(key, str) else key
    assert (("versions", 1, *path), True) == (location, message in reported), reported


@pytest.mark.parametrize(
    ("step", "error"),
    [
        pytest.param(_TEXT_FOR_NUMBER, "DELTA_FAILED_TO_MERGE_FIELDS", id="raised by Delta"),
        pytest.param(
            {"append": {"set": {"note": "'new'"}}}, "_LEGACY_ERROR_TEMP_DELTA_0007", id="a new column"
        ),
        pytest.param(
            {"append": {"where": "bach = 1"}}, "UNRESOLVED_COLUMN", id="raised by Spark, with a subclass"
        ),
        pytest.param(
            {"append": {"where": "batch = 2"}},
            "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES",
            id="raised by a Spark task",
        ),
    ],
)
def test_an_expected_error_changes_nothing(
    spark: SparkSession, tmp_path: Path, step: VersionValues, error: str
) -> None:
    """A step that fails as expected changes nothing and adds no commit; its error class is recorded."""
    constraint = {"name": "strict", "sql": "ALTER TABLE {table} ADD CONSTRAINT one CHECK (batch = 1)"}
    refused = {"name": "refused", "expect_error": error, **step}
    version = build_all(spark, tmp_path, FIRST, constraint, refused)[2]
    assert (1, 0, BATCH_1) == (version.number, version.commits, read_cells(version.table))
    assert (version.error or "").startswith(error)


def test_the_first_step_must_create_the_table(spark: SparkSession, tmp_path: Path) -> None:
    """A first step that does not create the table is reported."""
    location, message = find_problem(spark, tmp_path, {"name": "first", "sql": "SELECT 1"})
    assert ("versions", 0, "sql") == location
    assert "its sql created no table; the first step must." in message


def test_a_vacuum_that_breaks_a_pinned_version_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """A vacuum may not remove files of a version that the run trains on, unless it is told to."""
    plan = make_tiny_plan(
        tmp_path,
        FIRST,
        {"name": "replaced", "overwrite": {"where": "batch = 2"}},
        {"name": "young", "vacuum": {"retain_hours": 1}},
        {"name": "clean", "vacuum": {"retain_hours": 0}},
        {"name": "told", "vacuum": {"retain_hours": 0, "break_pins": True}},
    )
    table = open_build(spark, plan)
    for index in range(3):
        build_version(table, index)
    with pytest.raises(ScenarioError) as caught:
        build_version(table, 3)
    [problem] = caught.value.problems
    assert ("versions", 3, "vacuum") == problem.location
    expected = "version 'clean': its vacuum would remove files of 'first' (Delta version 0), which the run"
    assert problem.message.startswith(expected)
    assert "VACUUM END" == build_version(table, 4).commit.operation
    assert not is_readable(spark, plan.table_uri, 0)


def test_a_vacuumed_version_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A vacuumed version is reported with the readable versions, and no table is left behind."""
    replaced = {"name": "replaced", "overwrite": {"where": "batch = 2"}}
    clean = {"name": "clean", "vacuum": {"retain_hours": 0}}
    plan = make_tiny_plan(tmp_path, FIRST | {"train": False}, replaced, clean)
    job = make_job(spark, plan)
    with pytest.raises(ScenarioError) as caught:
        check_versions(job, build_versions(job))
    [problem] = caught.value.problems
    assert ("versions", 0, "append") == problem.location
    assert (
        "version 'first' can't be read any more: files or the log of Delta version 0 are missing."
        in problem.message
    )
    assert "Readable versions: 1 to 3." in problem.message
    assert "delta.deletedFileRetentionDuration = interval 1 week" in problem.message
    assert not Path(plan.table_uri).exists()
