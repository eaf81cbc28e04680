"""Source files and versions of a Delta table, read with Spark, and the removal of what a run built."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.spark_errors import summarize_root_cause
from harness.plan import Plan, SourceData

# Messages of Spark and its readers about a file that is not in the expected format.
_FORMAT_ERRORS = (
    "MALFORMED",
    "Malformed",
    "CANNOT_READ_FILE",
    "Could not read footer",
    "is not a Parquet file",
)
_READER_OPTIONS = {
    # A malformed row is an error to report, not a row of nulls.
    "csv": {"header": "true", "inferSchema": "true", "mode": "FAILFAST"},
    "json": {"mode": "FAILFAST"},
}
TABLE_SOURCE: Location = ("table", "source")
"""Location of the table's source in the scenario."""


def read_source(spark: SparkSession, source: SourceData, at: Location = TABLE_SOURCE) -> DataFrame:
    """Read the rows of a source file or folder.

    Args:
        spark: The session.
        source: What to read.
        at: Where the scenario file names the source.

    Raises:
        ScenarioError: Spark can't read it.
    """
    options = {**_READER_OPTIONS.get(source.format, {}), **source.options}
    try:
        return spark.read.format(source.format).options(**options).load(source.uri)
    except (PySparkException, Py4JJavaError) as error:
        raise unreadable_source_error(source, error, at) from error


def is_format_error(error: Exception) -> bool:
    """Return whether an error is about a malformed file; Spark may notice only when it reads rows."""
    return any(sign in str(error) for sign in _FORMAT_ERRORS)


def unreadable_source_error(source: SourceData, error: Exception, at: Location) -> ScenarioError:
    """Return the error for a source that Spark can't read in its declared format."""
    message = f"can't read {source.uri} as {source.format}: {summarize_root_cause(error)}"
    return ScenarioError([Problem(message, at)])


def read_version(spark: SparkSession, uri: str, version: int) -> DataFrame:
    """Read the table at a version."""
    return spark.read.format("delta").option("versionAsOf", version).load(uri)


def read_version_at(spark: SparkSession, uri: str, time: datetime) -> DataFrame:
    """Read the table as it was at a time, which must have a time zone."""
    moment = time.isoformat(timespec="milliseconds")
    return spark.read.format("delta").option("timestampAsOf", moment).load(uri)


def quote_name(name: str) -> str:
    """Quote a column's name for SQL; it may contain any characters."""
    return "`" + name.replace("`", "``") + "`"


def column(name: str) -> Column:
    """Return the column with exactly this name: a dot in it does not select a struct's field."""
    return F.col(quote_name(name))


def remove_table(spark: SparkSession, plan: Plan) -> None:
    """Remove the table that a run has built, with all its versions; never an existing table."""
    if plan.existing_table is None:
        files, path = _locate(spark, plan.table_uri)
        files.delete(path, True)


def remove_scratch(spark: SparkSession, plan: Plan) -> None:
    """Remove the scratch files that the run has left in the lake, and the run's folder if it is empty."""
    if plan.environment.scratch is not None:
        return  # The target removes it with the run's other uploads.
    files, path = _locate(spark, plan.scratch_uri)
    files.delete(path, True)
    files, path = _locate(spark, plan.run_uri)
    if files.exists(path) and not files.listStatus(path):
        files.delete(path, False)


def _locate(spark: SparkSession, uri: str) -> tuple[Any, Any]:
    """Return Hadoop's file system and path of a URI: Spark has no public way to remove a folder in a lake."""
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(uri)  # noqa: SLF001
    return path.getFileSystem(context._jsc.hadoopConfiguration()), path  # noqa: SLF001
