"""The job's Spark session, its libraries and its executors."""

from __future__ import annotations

import platform
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mlflow
from pyspark import SparkContext
from pyspark.sql import SparkSession

from harness.job.spark_errors import log_errors
from harness.plan import Environment
from harness.storage.accounts import make_hadoop_settings, read_secret
from harness.wheel import compute_version

# Settings that results depend on, the same on every target. The plan has the settings for speed and access.
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    # Columns in the names of folders have types by the same rules as those of CSV files.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # pandas writes timestamps in nanoseconds; see harness.job.parquet_source.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Dates before 1582 and times before 1900 are written unchanged, in today's calendar.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    # And read so from files that Spark didn't write, such as those of pandas.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.databricks.delta.autoCompact.enabled": "false",
    "spark.databricks.delta.optimizeWrite.enabled": "false",
}
# Spark's pages and logs show the value of a setting unless the setting's name matches this.
_REDACTED = {"spark.redaction.regex": "(?i)secret|password|token|access[.]key|account[.]key"}


def has_active_session() -> bool:
    """Return whether this process has a Spark session already."""
    return SparkContext._active_spark_context is not None  # noqa: SLF001 - no public way to find out


def open_spark_session(environment: Environment, name: str = "harness") -> SparkSession:
    """Create or reuse this process's session, and configure it for the environment.

    Args:
        environment: Has Spark's configuration.
        name: Name of the application, which a cluster's pages show.
    """
    builder = SparkSession.builder.appName(name)
    for key, value in {**environment.spark, **_REDACTED}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    configure_session(spark, environment)
    return spark


def configure_session(spark: SparkSession, environment: Environment) -> None:
    """Configure a session: access to the storage accounts, and the settings that results depend on."""
    # Not in the configuration above, which PySpark passes on the JVM's command line.
    context: Any = spark.sparkContext
    for account in environment.accounts:
        secret = read_secret(account.secret, account.name)
        for key, value in make_hadoop_settings(account, secret).items():
            context._jsc.hadoopConfiguration().set(key, value)  # noqa: SLF001 - no public way
    for key, value in _ALWAYS.items():
        spark.conf.set(key, value)


def find_exit_code(context: Any, timeout_s: float) -> int | None:
    """Return the exit code of the JVM that this process started, or ``None`` if the JVM is still running.

    Args:
        context: The Spark context, or its class if none was created.
        timeout_s: How long to wait for the end of a JVM that has closed its connections.
    """
    process = getattr(context._gateway, "proc", None)  # noqa: SLF001 - no public way
    if process is None:
        return None
    try:
        return int(process.wait(timeout_s))
    except subprocess.TimeoutExpired:
        return None


def find_peak_memory() -> int:
    """Return the most bytes of memory that the JVM used, which has ended; 0 if that is unknown."""
    # Of the largest process that this one has started and waited for, which is the JVM.
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10


_LIBRARIES = ("pyspark", "delta-spark", "synapseml", "numpy", "pandas", "pyarrow")


def list_libraries(spark: SparkSession) -> dict[str, str]:
    """Return the versions of the libraries that the job runs with."""
    # MLflow's own attribute: a cluster's package metadata may be that of an MLflow installed earlier.
    versions = {
        "harness": compute_version(),
        "python": platform.python_version(),
        "mlflow": mlflow.__version__,
    }
    with log_errors():
        versions["spark"] = spark.version
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def fit_in_memory(spark: SparkSession, kept: int) -> int:
    """Return how many of several pieces of work fit into memory at once; at least one.

    Each needs, besides its rows, which are cached already, about as much memory again.

    Args:
        spark: The session.
        kept: Number of pieces whose rows are cached.
    """
    context: Any = spark.sparkContext
    # Of all executors; Spark has no public way to read this from Python.
    executors = context._jsc.sc().getExecutorMemoryStatus().values().iterator()  # noqa: SLF001
    largest = free = 0
    while executors.hasNext():
        status = executors.next()
        largest, free = largest + int(status._1()), free + int(status._2())  # noqa: SLF001
    return fit(free, largest - free, kept)


def fit(free: int, used: int, kept: int) -> int:
    """Return how many pieces of work fit at once, if all of them use some bytes now, and others are free."""
    each = used // max(1, kept)
    return max(1, free // each) if each else max(1, kept)


def count_executor_tasks(spark: SparkSession) -> dict[str, int]:
    """Count the tasks that each executor ran, including executors that have ended."""
    counts: dict[str, int] = {}
    with log_errors():
        # Spark counts them for its pages; it has no public way to read them from Python.
        context: Any = spark.sparkContext
        executors = context._jsc.sc().statusStore().executorList(False)  # noqa: SLF001
        for index in range(executors.size()):
            each = executors.apply(index)
            counts[str(each.id())] = int(each.totalTasks())
    return {name: tasks for name, tasks in sorted(counts.items()) if tasks}
