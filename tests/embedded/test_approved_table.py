"""Approved tables: readers see the version before or the next one, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from harness.approvals import ApprovedVersion
from harness.errors import PrerequisiteError, ScenarioError
from harness.job import approved_table
from harness.job.approved_table import ApprovedTable
from harness.job.table_io import describe_detail, describe_history, format_table

pytestmark = pytest.mark.spark

SCHEMA = "approving"
ROWS = {
    1: (10, ["id"]),
    2: (30, ["id"]),
    3: (30, ["id", "later"]),
    4: (15, ["id", "later"]),
    5: (0, ["id", "later"]),
}
"""Delta version of the judged table to its rows and columns; vectors delete some rows of version 4."""


@dataclass(frozen=True)
class Tables:
    """A judged table, and the table that shows its approved versions."""

    spark: SparkSession
    source: str
    approved: ApprovedTable
    scratch: Path

    @classmethod
    def create(cls, spark: SparkSession, source: str, approved: str, scratch: Path) -> Tables:
        """Make the judged table."""
        table = format_table(source)
        spark.sql(
            f"CREATE TABLE {table} (id BIGINT) USING delta TBLPROPERTIES "
            "('delta.enableDeletionVectors' = 'true', 'own' = 'yes')"
        )
        for rows in ("0, 10, 1, 1", "10, 30, 1, 1"):
            spark.sql(f"INSERT INTO {table} SELECT id FROM range({rows})")  # noqa: S608 - our own table
        spark.sql(f"ALTER TABLE {table} ADD COLUMNS (later STRING)")
        for condition in ("id % 2 = 0", "true"):
            spark.sql(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608 - our own table
        return cls(spark, source, ApprovedTable(spark, approved, source), scratch)

    def version(self, number: int) -> ApprovedVersion:
        """Return a version as a run approves it."""
        return ApprovedVersion(self.source, number, f"fingerprint {number}", "run", "it's")

    def show(self, number: int) -> None:
        """Approve a version."""
        folder = self.scratch / str(len(list(self.scratch.glob("*"))))
        self.approved.show(self.version(number), str(folder))

    def read(self) -> DataFrame:
        """Return the rows of the approved table."""
        return self.spark.sql(f"SELECT * FROM {format_table(self.approved.uri)}")  # noqa: S608 - the same


@pytest.fixture(name="schema")
def _schema(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    spark.sql(f"CREATE SCHEMA {SCHEMA} LOCATION '{tmp_path / 'schema'}'")
    yield f"spark_catalog.{SCHEMA}"
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture(name="tables")
def _tables(spark: SparkSession, tmp_path: Path) -> Tables:
    return Tables.create(spark, f"{tmp_path}/source", f"{tmp_path}/approved", tmp_path / "scratch")


@pytest.mark.parametrize("by_name", ["neither", "both", "approved"])
def test_each_version_takes_the_place_of_the_one_before(
    spark: SparkSession, tmp_path: Path, schema: str, by_name: str
) -> None:
    """With its rows, columns and properties, in one commit: also an older one, the same one, an empty one."""
    source = f"{schema}.source" if by_name == "both" else f"{tmp_path}/source"
    approved = f"{tmp_path}/approved" if by_name == "neither" else f"{schema}.approved"
    tables = Tables.create(spark, source, approved, tmp_path / "scratch")
    assert tables.approved.find_version() is None
    for commits, number in enumerate((2, 1, 3, 4, 2, 2, 5, 4), 1):
        tables.approved.require_replaceable()
        tables.show(number)
        assert tables.approved.find_version() == tables.version(number)
        assert (tables.read().count(), tables.read().columns) == ROWS[number]
        operations = [row["operation"] for row in describe_history(spark, approved).collect()]
        assert operations == ["CLONE"] * commits
        [detail] = describe_detail(spark, approved).collect()
        assert detail["properties"]["own"] == "yes"


def test_readers_only_see_whole_versions(tables: Tables) -> None:
    """Readers that never stop, in other threads, see 10 or 30 rows, and both."""
    tables.show(1)
    seen: list[int] = []
    is_done = threading.Event()

    def read() -> None:
        while not is_done.is_set():
            seen.append(tables.read().count())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in (2, 1, 2, 1, 2):
            tables.show(number)
    finally:
        is_done.set()
        for reader in readers:
            reader.join()
    assert set(seen) == {10, 30}


def test_a_table_that_can_only_be_appended_to_is_replaced_nevertheless(tables: Tables) -> None:
    """The judged table may be protected like this; the table that shows its versions can't be."""
    source = format_table(tables.source)
    tables.spark.sql(f"ALTER TABLE {source} SET TBLPROPERTIES ('delta.appendOnly' = 'true')")
    tables.spark.sql(f"INSERT INTO {source} SELECT 1, 'a'")
    for number in (7, 6, 7):
        tables.show(number)
    assert tables.read().count() == 1


def test_a_renamed_column_is_shown_by_its_name(tables: Tables) -> None:
    """The judged table then maps columns, which it didn't before, to names in its files."""
    source = format_table(tables.source)
    tables.show(2)
    tables.spark.sql(f"ALTER TABLE {source} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    tables.spark.sql(f"ALTER TABLE {source} RENAME COLUMN later TO last")
    tables.spark.sql(f"INSERT INTO {source} SELECT 1, 'a'")
    tables.show(8)
    assert [row.asDict() for row in tables.read().collect()] == [{"id": 1, "last": "a"}]
    tables.show(2)
    assert (tables.read().count(), tables.read().columns) == ROWS[2]
    tables.show(8)
    assert tables.read().columns == ["id", "last"]


def test_a_changed_table_shows_no_version(tables: Tables) -> None:
    """Somebody else wrote to it: the next run approves its version again, which undoes that."""
    tables.show(1)
    tables.spark.sql(f"DELETE FROM {format_table(tables.approved.uri)} WHERE id < 5")  # noqa: S608 - the same
    assert tables.approved.find_version() is None
    tables.approved.require_replaceable()
    tables.show(1)
    assert (tables.read().count(), tables.approved.find_version()) == (10, tables.version(1))


def test_a_commit_at_the_same_time_is_reported(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two writers at once, the later one fails, and the table is as the first one left it."""
    tables.show(1)
    identify = approved_table._identify

    interrupted: list[bool] = []

    def interfere(file: object) -> tuple[str, str]:
        if not interrupted:
            interrupted.append(True)
            DeltaTable.forPath(tables.spark, tables.approved.uri).delete("id = 0")
        return identify(file)

    monkeypatch.setattr(approved_table, "_identify", interfere)
    with pytest.raises(PrerequisiteError, match=r"can't show version 2 of .*[Cc]oncurrent"):
        tables.show(2)
    assert tables.read().count() == 9


def test_a_table_that_no_run_has_made_is_never_replaced(tables: Tables, schema: str, tmp_path: Path) -> None:
    """A Delta table, a view, a table in another format, any other folder, and one of another judged table."""
    spark = tables.spark
    spark.range(3).write.format("delta").save(f"{tmp_path}/other")
    spark.range(3).write.parquet(f"{tmp_path}/files")
    spark.sql(f"CREATE VIEW {SCHEMA}.shown AS SELECT 1 AS id")
    spark.sql(f"CREATE TABLE {SCHEMA}.text (id INT) USING parquet")
    spark.sql(f"CREATE TABLE {SCHEMA}.own (id INT) USING delta")
    tables.show(1)

    def explain(uri: str, source: str = tables.source) -> str:
        with pytest.raises(ScenarioError) as caught:
            ApprovedTable(spark, uri, source).require_replaceable()
        [problem] = caught.value.problems
        assert problem.location == ("approve",)
        return problem.message

    for uri in (f"{tmp_path}/other", *(f"{schema}.{name}" for name in ("shown", "text", "own"))):
        assert f"the table {uri} exists, but no run has made it" in explain(uri)
    assert "exists, but it is not a Delta table" in explain(f"{tmp_path}/files")
    assert "the schema spark_catalog.none doesn't exist" in explain("spark_catalog.none.approved")
    assert f"shows versions of {tables.source}, not of /another" in explain(tables.approved.uri, "/another")
