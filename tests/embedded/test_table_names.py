"""Existing tables by their names in a catalog, here in the session's own, ``spark_catalog``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness.errors import ScenarioError
from harness.job.ingest import build_version, open_build
from harness.job.main import run
from harness.job.source_reader import read_source
from harness.job.table_io import read_version
from harness.plan import Plan, SourceData
from harness.results import Verdict
from tests.embedded.runner import make_job, make_plan
from tests.embedded.small import UNPUBLISHED, write_table
from tests.embedded.stepping import FIRST, make_scenario

pytestmark = pytest.mark.spark

SCHEMA = "by_name"


@dataclass(frozen=True)
class Catalog:
    """A schema with a table of two versions: 200 rows, and 100 more."""

    spark: SparkSession
    folder: Path
    name: str = f"spark_catalog.{SCHEMA}.readings"

    @property
    def sql_name(self) -> str:
        """The table's name in SQL."""
        return f"{SCHEMA}.readings"

    @property
    def location(self) -> str:
        """The folder behind the table."""
        [row] = self.spark.sql(f"DESCRIBE DETAIL {self.sql_name}").select("location").collect()
        return str(row[0])

    def plan(self, *reads: object, table: str = "", at: str = "version") -> Plan:
        """Return a plan that reads these versions by the table's name."""
        versions = [{"name": f"v{index}", "read": read, "at": at} for index, read in enumerate(reads)]
        plan = make_plan(make_scenario(*versions), self.folder / "none.csv", self.folder, run_id="named")
        return self.point(plan, table or self.name)

    def point(self, plan: Plan, table: str) -> Plan:
        """Return a plan that reads another table."""
        return plan.model_copy(update={"existing_table": table, "table_name": table})


@pytest.fixture(name="catalog")
def _catalog(spark: SparkSession, tmp_path: Path) -> Iterator[Catalog]:
    spark.sql(f"CREATE SCHEMA {SCHEMA} LOCATION '{tmp_path / 'schema'}'")
    rows = spark.read.csv(str(write_table(tmp_path)), header=True, inferSchema=True)
    for batch in (1, 2):
        part = rows.where(f"batch = {batch}")
        part.write.format("delta").mode("append").saveAsTable(f"{SCHEMA}.readings")
    yield Catalog(spark, tmp_path)
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def count_rows(catalog: Catalog, plan: Plan) -> list[tuple[int, int]]:
    """Return the number and the rows of each version of a plan."""
    build = open_build(catalog.spark, plan)
    found = (build_version(build, index) for index in range(len(plan.scenario.versions)))
    return [(each.number, each.table.count()) for each in found]


def find_problem(catalog: Catalog, plan: Plan) -> str:
    """Return the message of the only problem that reading the versions reports."""
    with pytest.raises(ScenarioError) as caught:
        count_rows(catalog, plan)
    [problem] = caught.value.problems
    return problem.message


def test_versions_are_found_by_name(catalog: Catalog) -> None:
    """By number, as the latest and by time; two levels are enough; backquotes don't matter."""
    [newest] = catalog.spark.sql(f"DESCRIBE HISTORY {catalog.sql_name} LIMIT 1").collect()
    first, last = (0, 200), (1, 300)
    assert count_rows(catalog, catalog.plan(0, "latest", "2999-01-01")) == [first, last, last]
    assert newest["version"] == 1
    assert count_rows(catalog, catalog.plan(0, table=f"{SCHEMA}.readings", at="timestamp")) == [first]


def test_each_version_has_its_own_columns(catalog: Catalog) -> None:
    """Also one from before a column was added, by number and by time."""
    catalog.spark.sql(f"ALTER TABLE {catalog.sql_name} ADD COLUMNS (later INT)")
    for at in ("version", "timestamp"):
        build = open_build(catalog.spark, catalog.plan(1, 2, at=at))
        first, last = (build_version(build, index).table.columns for index in (0, 1))
        assert last == [*first, "later"]


def test_what_cannot_be_read_is_named(catalog: Catalog) -> None:
    """A missing table, a missing version, a view and a table of another format."""
    spark = catalog.spark
    assert "the table spark_catalog.by_name.none doesn't exist" in find_problem(
        catalog, catalog.plan(0, table=f"spark_catalog.{SCHEMA}.none")
    )
    assert "the table has no version 7" in find_problem(catalog, catalog.plan(7))
    spark.sql(f"CREATE VIEW {SCHEMA}.shown AS TABLE {catalog.sql_name}")
    spark.sql(f"CREATE TABLE {SCHEMA}.text (id INT) USING parquet")
    for name, reason in (("shown", "view"), ("text", "only supported for Delta tables")):
        message = find_problem(catalog, catalog.plan(0, table=f"spark_catalog.{SCHEMA}.{name}"))
        assert f"the table spark_catalog.by_name.{name} can't be read" in message
        assert reason in message


def test_a_version_whose_files_are_gone_is_named(catalog: Catalog) -> None:
    """The message doesn't look behind the name: nobody may list the files of a table in a catalog."""
    spark = catalog.spark
    DeltaTable.forName(spark, catalog.sql_name).delete("batch = 1")
    for file in Path(catalog.location.removeprefix("file:")).glob("*.parquet"):
        file.unlink()
    plan = catalog.point(make_plan(UNPUBLISHED, catalog.folder / "none.csv", catalog.folder), catalog.name)
    reads = tuple(
        each.model_copy(update={"read": catalog.plan(1).scenario.versions[0].read, "append": None})
        for each in plan.scenario.versions
    )
    plan = plan.model_copy(update={"scenario": plan.scenario.model_copy(update={"versions": reads})})
    result = run(make_job(spark, plan))
    assert result.failure is not None
    assert "can't be read any more" in str(result.failure)
    assert f"DESCRIBE HISTORY {catalog.name}" in str(result.failure)


def test_rows_may_come_from_a_table(catalog: Catalog) -> None:
    """At its newest version, or at another one by number or time; one that doesn't exist is named."""
    spark = catalog.spark
    [first] = spark.sql(f"DESCRIBE HISTORY {catalog.sql_name}").where("version = 0").collect()
    table = make_scenario(FIRST).table

    def count(name: str = catalog.name, **options: str) -> int:
        source = SourceData(uri=name, format="delta", options=options)
        return read_source(spark, source, table).count()

    assert count() == 300
    assert count(versionAsOf="0") == 200
    assert count(timestampAsOf=f"{first['timestamp']:%Y-%m-%d %H:%M:%S.%f}") == 200
    for name, options in ((f"spark_catalog.{SCHEMA}.none", {}), (catalog.name, {"versionAsOf": "9"})):
        with pytest.raises(ScenarioError) as caught:
            count(name, **options)
        assert f"can't read {name} as delta" in caught.value.problems[0].message


def test_a_run_by_name_has_the_numbers_of_one_by_uri(catalog: Catalog) -> None:
    """MLflow's dataset has the name, from which a catalog makes its lineage; the table isn't changed."""
    spark = catalog.spark
    before = DeltaTable.forPath(spark, catalog.location).history().count()
    results = []
    for run_id, table in (("named", catalog.name), ("direct", catalog.location)):
        plan = make_plan(UNPUBLISHED, catalog.folder / "none.csv", catalog.folder, run_id=run_id)
        reads = tuple(
            each.model_copy(update={"read": catalog.plan(1).scenario.versions[0].read, "append": None})
            for each in plan.scenario.versions
        )
        scenario = plan.scenario.model_copy(update={"versions": reads})
        plan = plan.model_copy(update={"scenario": scenario, "existing_table": table, "fresh": True})
        results.append(run(make_job(spark, plan)))
    named, by_uri = results
    assert {named.verdict, by_uri.verdict} == {Verdict.PASS}, named.failure
    assert named.versions[0].fingerprint == by_uri.versions[0].fingerprint
    assert named.versions[0].metrics == by_uri.versions[0].metrics
    assert read_version(spark, catalog.name, 1).count() == 300
    assert DeltaTable.forPath(spark, catalog.location).history().count() == before
    client = MlflowClient(f"sqlite:///{catalog.folder}/mlflow.db")
    tracked = client.get_run(named.versions[0].run_id or "")
    assert tracked.inputs is not None
    [dataset] = tracked.inputs.dataset_inputs
    source = json.loads(dataset.dataset.source)
    assert (source["delta_table_name"], source["delta_table_version"]) == (catalog.name, "1")
    assert tracked.data.tags["harness.data_path"] == catalog.name
