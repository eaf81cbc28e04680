"""The Spark session that the job works in."""

from __future__ import annotations

from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from harness.scenario.plan import Environment
from harness.storage.credentials import hadoop_settings, read_secret

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
# Pages and logs of Spark show what a setting holds unless its name matches.
_REDACTED = {"spark.redaction.regex": "(?i)secret|password|token|access[.]key|account[.]key"}


def is_open() -> bool:
    """Whether this process has a Spark already."""
    return SparkContext._active_spark_context is not None  # noqa: SLF001 - there is no public way to ask


def open_session(environment: Environment) -> SparkSession:
    """The session of this process, made or found, configured as the environment says."""
    builder = SparkSession.builder.appName("harness")
    for name, value in {**environment.spark, **_REDACTED}.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    # Not in the configuration above: PySpark puts all of that onto the JVM's command line.
    context: Any = spark.sparkContext
    for account in environment.accounts:
        secret = read_secret(account.secret, account.name)
        for name, value in hadoop_settings(account, secret).items():
            context._jsc.hadoopConfiguration().set(name, value)  # noqa: SLF001 - there is no public way
    for name, value in _ALWAYS.items():
        spark.conf.set(name, value)
    return spark
