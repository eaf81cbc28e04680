"""The Spark session that the job works in."""

from __future__ import annotations

from pyspark.sql import SparkSession

from harness.scenario.plan import Environment

# What results depend on is set here, for every place; what makes a place fast or reachable is the plan's.
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    # Dates before 1582 and times before 1900 are written as they are, in the calendar of today.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.databricks.delta.autoCompact.enabled": "false",
    "spark.databricks.delta.optimizeWrite.enabled": "false",
}


def open_session(environment: Environment) -> SparkSession:
    """The session of this process, made or found, configured as the environment says."""
    builder = SparkSession.builder.appName("harness")
    for name, value in environment.spark.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for name, value in _ALWAYS.items():
        spark.conf.set(name, value)
    return spark
