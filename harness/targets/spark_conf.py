"""How Spark is set wherever the harness starts it itself."""

from __future__ import annotations

from harness.storage.uri import SCHEME, StorageUri

_SMALL_BYTES = 64 << 20
_ALWAYS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    # A run compiles some 300 classes, and some of them again where only 100 are kept, as is the default.
    "spark.sql.codegen.cache.maxEntries": "2000",
}
# Tables of thousands of rows: a job's fixed costs are all that counts.
_FOR_SMALL_DATA = {
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    # A vacuum lists the table in so many tasks, by default ten thousand.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.adaptive.enabled": "false",
    # Compiling a stage takes longer than interpreting it on so few rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.shuffle.compress": "false",
    "spark.broadcast.compress": "false",
}
_OF_A_SESSION = ("spark.sql.", "spark.databricks.delta.")
# In a run of a minute the JVM's second compiler costs more than it gains; the first alone keeps its code
# in 48 MB where it is not told otherwise, which is too small, and stops when they are full.
_JVM_FOR_SMALL_DATA = ("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m", "-XX:+UseSerialGC")


def is_small(source_bytes: int | None) -> bool:
    """Whether fixed costs are all that counts; data of unknown size is not small."""
    return source_bytes is not None and source_bytes < _SMALL_BYTES


def spark_settings(lake: str, *, small: bool) -> dict[str, str]:
    """Spark's settings.

    Args:
        lake: Its root.
        small: For small data.
    """
    settings = {**_ALWAYS, **(_FOR_SMALL_DATA if small else {})}
    if lake.startswith(SCHEME):
        uri = StorageUri.parse(lake)
        # MLflow copies what Spark has saved from the default file system, whatever the path says.
        settings["spark.hadoop.fs.defaultFS"] = str(StorageUri(uri.container, uri.account))
        settings["spark.hadoop.fs.azure.createRemoteFileSystemDuringInitialization"] = "true"
        # Some 20 s until an account that does not answer is given up; the default is a quarter of an hour.
        settings["spark.hadoop.fs.azure.io.retry.max.retries"] = "6"
        settings["spark.hadoop.fs.azure.io.retry.max.backoff.interval"] = "5000"
    return settings


def session_settings(*, small: bool) -> dict[str, str]:
    """What a session takes where Spark runs already, as it does on a cluster.

    Args:
        small: For small data.
    """
    chosen = _FOR_SMALL_DATA if small else {}
    return {name: value for name, value in chosen.items() if name.startswith(_OF_A_SESSION)}


def java_options(memory: str, *, small: bool) -> tuple[str, ...]:
    """Options of a JVM that works: the driver's, or an executor's.

    Args:
        memory: Of its heap: one that starts small is collected all the time until it has grown; young
            objects get half of it.
        small: For small data.
    """
    return (f"-Xms{memory}", "-XX:NewRatio=1", *(_JVM_FOR_SMALL_DATA if small else ()))
