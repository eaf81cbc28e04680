"""Versions of a Delta table, read with Spark, and the removal of what a run built."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.plan import Plan
from harness.reading.column_naming import quote_name


def read_version(spark: SparkSession, uri: str, version: int) -> DataFrame:
    """Read the table at a version."""
    return spark.read.format("delta").option("versionAsOf", version).load(uri)


def read_version_at(spark: SparkSession, uri: str, time: datetime) -> DataFrame:
    """Read the table as it was at a time, which must have a time zone."""
    moment = time.isoformat(timespec="milliseconds")
    return spark.read.format("delta").option("timestampAsOf", moment).load(uri)


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
