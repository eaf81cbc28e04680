"""The versions of a Delta table: made step by step, and read again by number."""

from __future__ import annotations

import re
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.faults import blamed_on, root_sentence
from harness.scenario.model import Append
from harness.scenario.plan import Plan, SourceData

# What Spark and its readers say of a file that is not what it should be.
_UNREADABLE = ("MALFORMED", "Malformed", "CANNOT_READ_FILE", "Could not read footer", "is not a Parquet file")
_READER_OPTIONS = {
    # A row that does not fit is a fault to be named, not a row of nulls.
    "csv": {"header": "true", "inferSchema": "true", "mode": "FAILFAST"},
    "json": {"mode": "FAILFAST"},
}
_NOT_IN_PARQUET = re.compile(r"[ ,;{}()\n\t=]")


def read_source(spark: SparkSession, source: SourceData) -> DataFrame:
    """The rows that the scenario starts from.

    Raises:
        ScenarioError: Spark can't read them.
    """
    options = {**_READER_OPTIONS.get(source.format, {}), **source.options}
    try:
        return spark.read.format(source.format).options(**options).load(source.uri)
    except (PySparkException, Py4JJavaError) as error:
        raise _unreadable(source, error) from error


def build_version(source: DataFrame, step: Append, plan: Plan, version: int, at: Location) -> None:
    """Carry out one step, and see that it made the version that was predicted.

    Raises:
        ScenarioError: The step can't be carried out, or makes no version.
    """
    rows = source
    name = plan.scenario.versions[version].name
    if step.where is not None:
        with blamed_on(f"version '{name}' can't be appended", (*at, "append", "where")):
            rows = source.where(step.where)
    try:
        with blamed_on(f"version '{name}' can't be appended", (*at, "append")):
            rows.write.format("delta").mode("append").options(**_options(rows)).save(plan.table_uri)
    except (PySparkException, Py4JJavaError) as error:
        if any(sign in str(error) for sign in _UNREADABLE):
            raise _unreadable(plan.source, error) from error
        raise
    made = latest_version(source.sparkSession, plan.table_uri)
    if made != version:
        raise ScenarioError(
            [Problem(f"version '{name}' was to be Delta version {version}, but the table is at {made}.", at)]
        )


def latest_version(spark: SparkSession, uri: str) -> int:
    """The number of the newest version."""
    return int(DeltaTable.forPath(spark, uri).history(1).collect()[0]["version"])


def read_version(spark: SparkSession, uri: str, version: int) -> DataFrame:
    """The table as it was at a version, whatever came after it."""
    return spark.read.format("delta").option("versionAsOf", version).load(uri)


def quoted(name: str) -> str:
    """A column's name as SQL takes it, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def column(name: str) -> Column:
    """The column of exactly this name: a dot in it does not reach into a struct."""
    return F.col(quoted(name))


def remove_table(spark: SparkSession, uri: str) -> None:
    """Remove a table with all its versions."""
    # Spark has no public way to remove a folder of a lake; Hadoop's file system does it everywhere.
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(uri)  # noqa: SLF001
    path.getFileSystem(context._jsc.hadoopConfiguration()).delete(path, True)  # noqa: SLF001


def _options(rows: DataFrame) -> dict[str, str]:
    """Names that a Parquet file can't have, such as those with spaces, are mapped to others inside it."""
    odd = any(_NOT_IN_PARQUET.search(name) for name in rows.columns)
    return {"delta.columnMapping.mode": "name"} if odd else {}


def _unreadable(source: SourceData, error: Exception) -> ScenarioError:
    return ScenarioError(
        [Problem(f"can't read {source.uri} as {source.format}: {root_sentence(error)}", ("table", "source"))]
    )
