"""Every kind of step on a tiny table: the resulting rows and commits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.job.delta_log import is_readable
from harness.job.fingerprint import compute_fingerprint
from tests.embedded.stepping import (
    BATCH_1,
    BATCH_2,
    FIRST,
    SECOND,
    Cells,
    VersionValues,
    build_all,
    make_tiny_plan,
    read_cells,
)

pytestmark = pytest.mark.spark

_MERGED = {"rows": [{"id": 3, "status": "bad"}, {"id": 9, "status": "good"}]}


def test_an_append_adds_rows(spark: SparkSession, tmp_path: Path) -> None:
    """An append adds rows in one commit, and earlier versions stay readable."""
    first, second = build_all(spark, tmp_path, FIRST, SECOND)
    assert [(0, 1), (1, 1)] == [(each.number, each.commits) for each in (first, second)]
    assert (BATCH_1, BATCH_1 + BATCH_2) == (read_cells(first.table), read_cells(second.table))


@pytest.mark.parametrize(
    ("step", "commits", "expected"),
    [
        pytest.param({"overwrite": {"where": "batch = 2"}}, 1, BATCH_2, id="overwrite"),
        pytest.param(
            {"overwrite": {"where": "id = 2", "set": {"x": "0D"}, "replace_where": "id = 2"}},
            1,
            [BATCH_1[0], (2, 1, 0.0, "bad"), BATCH_1[2]],
            id="replace_where",
        ),
        pytest.param(
            {"merge": _MERGED},
            1,
            [*BATCH_1[:2], (3, 1, 3.5, "bad"), (9, None, None, "good")],
            id="merge changes only the columns that are given",
        ),
        pytest.param(
            {"merge": _MERGED | {"when_matched": "delete", "when_not_matched": "ignore"}},
            1,
            BATCH_1[:2],
            id="merge deletes",
        ),
        pytest.param(
            {
                "merge": {
                    "where": "id = 2",
                    "when_matched": "ignore",
                    "when_not_matched_by_source": "delete",
                }
            },
            1,
            BATCH_1[1:2],
            id="merge deletes rows that the source lacks",
        ),
        pytest.param(
            {"merge": {"where": "batch = 2", "set": {"batch": "1", "id": "id - 3"}, "on": ["id", "batch"]}},
            1,
            [(1, 1, 4.5, "bad"), (2, 1, 5.5, "good"), (3, 1, 6.5, "bad")],
            id="merge on other columns",
        ),
        pytest.param(
            {"update": {"set": {"status": "'bad'", "x": "x + id"}, "where": "id > 2"}},
            1,
            [*BATCH_1[:2], (3, 1, 6.5, "bad")],
            id="update",
        ),
        pytest.param({"delete": "status = 'bad'"}, 1, [BATCH_1[0], BATCH_1[2]], id="delete"),
        pytest.param({"delete": "id = 99"}, 0, BATCH_1, id="delete without a match"),
        pytest.param(
            {"add_columns": {"note": "string"}}, 1, [(*row, None) for row in BATCH_1], id="add_columns"
        ),
        pytest.param({"optimize": None}, 0, BATCH_1, id="optimize of one file"),
        pytest.param({"sql": "DELETE FROM {table} WHERE id = 1"}, 1, BATCH_1[1:], id="sql"),
    ],
)
def test_a_step_leads_to_its_rows(
    spark: SparkSession, tmp_path: Path, step: VersionValues, commits: int, expected: Cells
) -> None:
    """Each kind of step leads to the expected rows and number of commits."""
    version = build_all(spark, tmp_path, FIRST, {"name": "second", **step})[1]
    assert (expected, commits, commits) == (read_cells(version.table), version.commits, version.number)


def test_new_columns_are_added_if_allowed(spark: SparkSession, tmp_path: Path) -> None:
    """New columns are added with 'merge_schema', and replace all others with 'overwrite_schema'."""
    new = {"set": {"note": "'new'"}, "merge_schema": True}
    versions = build_all(
        spark,
        tmp_path,
        FIRST,
        {"name": "appended", "append": {"where": "id = 4"} | new},
        {"name": "merged", "merge": {"where": "id = 1", "set": {"rank": "id"}, "merge_schema": True}},
        {"name": "replaced", "overwrite": {"rows": [{"id": 7, "x": 1}], "overwrite_schema": True}},
    )
    _, appended, merged, replaced = (each.table for each in versions)
    assert [*((*row, None) for row in BATCH_1), (*BATCH_2[0], "new")] == read_cells(appended)
    assert [(*BATCH_1[0], None, 1), (*BATCH_1[1], None, None)] == read_cells(merged)[:2]
    assert (["id", "x"], [(7, 1.0)]) == (replaced.columns, read_cells(replaced))


def test_a_restored_version_has_the_original_rows(spark: SparkSession, tmp_path: Path) -> None:
    """A restored version has the original fingerprint; restoring the current one makes no commit."""
    first, second, back, again = build_all(
        spark,
        tmp_path,
        FIRST,
        SECOND,
        {"name": "back", "restore": "first"},
        {"name": "again", "restore": "back"},
    )
    fingerprints = [compute_fingerprint(each.table) for each in (first, second, back, again)]
    assert (fingerprints[0], fingerprints[0], True) == (
        fingerprints[2],
        fingerprints[3],
        fingerprints[1] != fingerprints[0],
    )
    assert [(2, 1), (2, 0)] == [(each.number, each.commits) for each in (back, again)]


def test_rewriting_files_changes_no_row(spark: SparkSession, tmp_path: Path) -> None:
    """Compacting and reordering files does not change the fingerprint."""
    versions = build_all(
        spark,
        tmp_path,
        FIRST,
        SECOND,
        {"name": "compact", "optimize": None, "commits": 1},
        {"name": "third", "append": {"rows": [{"id": 8}]}},
        {"name": "ordered", "optimize": {"z_order": "x"}, "commits": 1},
    )
    fingerprints = [compute_fingerprint(each.table) for each in versions]
    assert (fingerprints[1], fingerprints[3]) == (fingerprints[2], fingerprints[4])


def test_vacuum_is_two_commits(spark: SparkSession, tmp_path: Path) -> None:
    """A vacuum makes two commits, and Delta's retention check is enabled again afterwards."""
    name = "spark.databricks.delta.retentionDurationCheck.enabled"
    before = spark.conf.get(name, "true")
    version = build_all(spark, tmp_path, FIRST, {"name": "clean", "vacuum": {"retain_hours": 0}})[1]
    assert (2, BATCH_1, "VACUUM END") == (
        version.commits,
        read_cells(version.table),
        version.commit.operation,
    )
    assert before == spark.conf.get(name, "true")


def test_a_table_can_begin_with_sql(spark: SparkSession, tmp_path: Path) -> None:
    """A table can be created by SQL, and its types apply to later rows in the scenario file."""
    create = "CREATE TABLE {table} (id INT, day DATE, price DECIMAL(6, 2)) USING delta"
    day = {"rows": [{"id": 1, "day": "2018-01-31", "price": 1.5}]}
    version = build_all(
        spark, tmp_path, {"name": "created", "sql": create}, {"name": "filled", "append": day}
    )[1]
    assert {"id": "int", "day": "date", "price": "decimal(6,2)"} == dict(version.table.dtypes)
    assert [(1, "2018-01-31", "1.50")] == read_cells(
        version.table.selectExpr("id", "string(day)", "string(price)")
    )


@pytest.mark.parametrize("folder", ["a lake", "50% é"], ids=["blank", "percent"])
def test_a_folder_can_have_any_name(spark: SparkSession, tmp_path: Path, folder: str) -> None:
    """Every kind of step finds its table if the URI contains spaces and special characters."""
    location = tmp_path / folder
    location.mkdir()
    versions = build_all(
        spark,
        location,
        FIRST | {"at": "timestamp"},
        {"name": "second", "sql": "DELETE FROM {table} WHERE id = 1"},
        {"name": "third", "add_columns": {"note": "string"}},
        {"name": "fourth", "merge": {"where": "id = 1"}},
        {"name": "clean", "vacuum": {"retain_hours": 168}},
    )
    assert [(*row, None) for row in BATCH_1] == read_cells(versions[-1].table)
    assert all(
        is_readable(spark, make_tiny_plan(location, FIRST).table_uri, each.number) for each in versions
    )


def test_odd_column_names_can_be_added_later(spark: SparkSession, tmp_path: Path) -> None:
    """A later version can add a column whose name Parquet does not allow."""
    other = {"name": "second", "append": {"from": "other.csv", "merge_schema": True}}
    version = build_all(spark, tmp_path, FIRST, other, others={"other.csv": "id,amount (EUR)\n7,2.5\n"})[1]
    assert [(1, None), (2, None), (3, None), (7, 2.5)] == read_cells(
        version.table.select("id", "`amount (EUR)`")
    )


def test_a_version_is_read_by_its_time(spark: SparkSession, tmp_path: Path) -> None:
    """A version that is read by the time of its commit has the same rows as by number."""
    versions = build_all(spark, tmp_path, FIRST | {"at": "timestamp"}, SECOND | {"at": "timestamp"})
    assert [BATCH_1, BATCH_1 + BATCH_2] == [read_cells(each.table) for each in versions]


def test_a_commit_is_recorded(spark: SparkSession, tmp_path: Path) -> None:
    """A commit is recorded with its operation, its time in UTC and the protocol at that time."""
    before = datetime.now(UTC)
    later = "ALTER TABLE {table} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)"
    versions = build_all(
        spark, tmp_path, FIRST, {"name": "second", "delete": "id = 1"}, {"name": "third", "sql": later}
    )
    commits = [each.commit for each in versions]
    recorded = [(each.operation, each.reader, each.writer) for each in commits]
    assert [("WRITE", 1, 2), ("DELETE", 1, 2), ("SET TBLPROPERTIES", 1, 7)] == recorded
    assert all(abs(each.time - before).total_seconds() < 600 for each in commits)
