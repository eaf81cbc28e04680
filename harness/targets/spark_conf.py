"""Spark configuration for small and large data."""

from __future__ import annotations

from harness.setting_types import AUTO_MEMORY, count_bytes
from harness.storage.uris import SCHEME, StorageUri

_SMALL_BYTES = 64 << 20
_SMALL_HEAP_MB = 2 << 10
"""Enough for small data; a JVM starts with it, whatever it may grow to."""
_LEAST_HEAP_MB = 512
"""Spark doesn't start with less than 450 MB."""
_MOST_HEAP_MB = 31 << 10
"""With more, a JVM's references take twice the memory."""
_COMMON_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    # A run compiles about 300 classes; with the default, 100, some are compiled repeatedly.
    "spark.sql.codegen.cache.maxEntries": "2000",
}
# Tables of thousands of rows: only the fixed costs of a job matter.
_FOR_SMALL_DATA = {
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Number of tasks in which a vacuum lists the table; by default ten thousand.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.adaptive.enabled": "false",
    # Compiling a stage takes longer than interpreting it on so few rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.shuffle.compress": "false",
    "spark.broadcast.compress": "false",
}
_SESSION_PREFIXES = ("spark.sql.", "spark.databricks.delta.")
# The same everywhere: other locales write other digits, and change letters in other ways.
_LOCALE = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
# In a run of a minute the JVM's second compiler costs more than it gains.
_JVM_FOR_ONE_SMALL_RUN = ("-XX:TieredStopAtLevel=1",)
# The first compiler alone has a code cache of 48 MB by default; it stops when that is full.
_JVM_FOR_SMALL_DATA = ("-XX:ReservedCodeCacheSize=240m", "-XX:+UseSerialGC")

# By default, a method of more than 8,000 bytes is never compiled, such as Spark's code for a stage that
# computes a hundred numbers.
_JVM_FOR_MUCH_DATA = ("-XX:-DontCompileHugeMethods",)


def is_small(source_bytes: int | None) -> bool:
    """Return whether only fixed costs matter; data of unknown size is not small."""
    return source_bytes is not None and source_bytes < _SMALL_BYTES


def make_spark_settings(lake: str, *, small: bool) -> dict[str, str]:
    """Return the configuration of a Spark that the harness starts.

    Args:
        lake: Root of the lake.
        small: Whether the data is small.
    """
    settings = {**_COMMON_SETTINGS, **(_FOR_SMALL_DATA if small else {})}
    if lake.startswith(SCHEME):
        uri = StorageUri.parse(lake)
        # MLflow copies what Spark has saved from the default file system, regardless of the path.
        settings["spark.hadoop.fs.defaultFS"] = str(StorageUri(uri.container, uri.account))
        settings["spark.hadoop.fs.azure.createRemoteFileSystemDuringInitialization"] = "true"
        # About 20 s until an account that does not answer is an error; by default a quarter of an hour.
        settings["spark.hadoop.fs.azure.io.retry.max.retries"] = "6"
        settings["spark.hadoop.fs.azure.io.retry.max.backoff.interval"] = "5000"
    return settings


def make_session_settings(*, small: bool) -> dict[str, str]:
    """Return the configuration of a session in a Spark that runs already, as on a cluster.

    Args:
        small: Whether the data is small.
    """
    chosen = _FOR_SMALL_DATA if small else {}
    return {name: value for name, value in chosen.items() if name.startswith(_SESSION_PREFIXES)}


def choose_heap(memory: str, limit: int | None, *, small: bool) -> str:
    """Return the heap of a JVM on this machine.

    Args:
        memory: The setting: a size or ``auto``.
        limit: The bytes of memory that this process may use; ``None`` if that is unknown.
        small: Whether the data is small.
    """
    if memory != AUTO_MEMORY:
        return memory
    half = _SMALL_HEAP_MB if limit is None else limit >> 21
    chosen = max(_LEAST_HEAP_MB, min(half, _SMALL_HEAP_MB if small else _MOST_HEAP_MB))
    return f"{chosen >> 10}g" if chosen >= _SMALL_HEAP_MB else f"{chosen}m"


def java_options(memory: str, *, small: bool, warm: bool = False) -> tuple[str, ...]:
    """Return options of the driver's or an executor's JVM.

    Args:
        memory: The most memory of its heap. It starts with up to 2 GB of that, because a small one is
            collected all the time until it has grown; young objects get half of it.
        small: Whether the data is small.
        warm: Whether the JVM stays for several runs.
    """
    start = memory if count_bytes(memory) < _SMALL_HEAP_MB << 20 else f"{_SMALL_HEAP_MB}m"
    return (
        f"-Xms{start}",
        "-XX:NewRatio=1",
        *_LOCALE,
        *(_JVM_FOR_ONE_SMALL_RUN if small and not warm else ()),
        *(_JVM_FOR_SMALL_DATA if small else _JVM_FOR_MUCH_DATA),
    )
