"""The Spark session that the job works in."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mlflow
from pyspark import SparkContext
from pyspark.sql import SparkSession

from harness.job.spark_errors import logged
from harness.plan import Environment
from harness.storage.credentials import hadoop_settings, read_secret
from harness.wheel import content_version

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


_LIBRARIES = ("pyspark", "delta-spark", "synapseml", "numpy", "pandas", "pyarrow")


def libraries(spark: SparkSession) -> dict[str, str]:
    """What the job really runs with."""
    # MLflow says so itself: beside it a cluster has the records of another one, installed before.
    found = {
        "harness": content_version(),
        "python": platform.python_version(),
        "mlflow": mlflow.__version__,
    }
    with logged():
        found["spark"] = spark.version
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def executors(spark: SparkSession) -> dict[str, int]:
    """Tasks that each executor ran, those that are gone among them."""
    found: dict[str, int] = {}
    with logged():
        # Spark counts for its pages; Python has no other way to it.
        context: Any = spark.sparkContext
        listed = context._jsc.sc().statusStore().executorList(False)  # noqa: SLF001
        for index in range(listed.size()):
            each = listed.apply(index)
            found[str(each.id())] = int(each.totalTasks())
    return {name: tasks for name, tasks in sorted(found.items()) if tasks}
