"""Tables read by Spark: the rows that a scenario starts from, and a Delta table at a version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.spark_errors import root_sentence
from harness.plan import Plan, SourceData

# What Spark and its readers say of a file that is not what it should be.
_UNREADABLE = ("MALFORMED", "Malformed", "CANNOT_READ_FILE", "Could not read footer", "is not a Parquet file")
_READER_OPTIONS = {
    # A row that does not fit is a fault to be named, not a row of nulls.
    "csv": {"header": "true", "inferSchema": "true", "mode": "FAILFAST"},
    "json": {"mode": "FAILFAST"},
}
_OWN_SOURCE: Location = ("table", "source")


def read_source(spark: SparkSession, source: SourceData, at: Location = _OWN_SOURCE) -> DataFrame:
    """The rows of a file or a folder, which is named at a place of the scenario file.

    Raises:
        ScenarioError: Spark can't read them.
    """
    options = {**_READER_OPTIONS.get(source.format, {}), **source.options}
    try:
        return spark.read.format(source.format).options(**options).load(source.uri)
    except (PySparkException, Py4JJavaError) as error:
        raise unreadable(source, error, at) from error


def is_unreadable(error: Exception) -> bool:
    """Whether Spark met a file that is not what it should be; it may do so only when it needs the rows."""
    return any(sign in str(error) for sign in _UNREADABLE)


def unreadable(source: SourceData, error: Exception, at: Location = _OWN_SOURCE) -> ScenarioError:
    """The fault of a file that can't be read as what it is said to be."""
    return ScenarioError([Problem(f"can't read {source.uri} as {source.format}: {root_sentence(error)}", at)])


def read_version(spark: SparkSession, uri: str, version: int) -> DataFrame:
    """The table as it was at a version, whatever came after it."""
    return spark.read.format("delta").option("versionAsOf", version).load(uri)


def read_version_at(spark: SparkSession, uri: str, time: datetime) -> DataFrame:
    """The table as it was at a time, which has a zone."""
    moment = time.isoformat(timespec="milliseconds")
    return spark.read.format("delta").option("timestampAsOf", moment).load(uri)


def quoted(name: str) -> str:
    """A column's name as SQL takes it, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def column(name: str) -> Column:
    """The column of exactly this name: a dot in it does not reach into a struct."""
    return F.col(quoted(name))


def remove_table(spark: SparkSession, plan: Plan) -> None:
    """Remove the table that a run has built, with all its versions; one that was there before stays."""
    if plan.existing_table is None:
        files, path = _place(spark, plan.table_uri)
        files.delete(path, True)


def remove_scratch(spark: SparkSession, plan: Plan) -> None:
    """Remove what the run has laid down in the lake for its processes, and its folder if that is empty."""
    if plan.environment.scratch is not None:
        return  # It goes with the run's other uploads.
    files, path = _place(spark, plan.scratch_uri)
    files.delete(path, True)
    files, path = _place(spark, plan.run_uri)
    if files.exists(path) and not files.listStatus(path):
        files.delete(path, False)


def _place(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """Hadoop's file system and path of a URI: Spark has no public way to remove a folder of a lake."""
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(uri)  # noqa: SLF001
    return path.getFileSystem(context._jsc.hadoopConfiguration()), path  # noqa: SLF001
