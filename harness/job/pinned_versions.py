"""Pinned versions of the run's table: warnings before one is lost, and vacuums that would break one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from mlflow import MlflowClient
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession, functions as F

from harness.job.delta_log import Folder, read_history
from harness.job.table_io import describe_detail, format_table, open_table, read_version
from harness.plan import Plan
from harness.retention.outlook import Safety, judge_version
from harness.retention.pins import Pin, list_pins
from harness.retention.table_log import (
    LOG,
    LogFile,
    Removal,
    Retention,
    describe_version,
    find_name,
    parse_removals,
)
from harness.storage.model_store import open_store
from harness.table_names import is_table_name

_VECTORS = "deletionVectors"


def list_retention_warnings(spark: SparkSession, plan: Plan, client: MlflowClient) -> tuple[str, ...]:
    """Return a warning for each pinned version of the plan's table that can be lost soon, or is lost."""
    uri = plan.table_uri
    if is_table_name(uri):
        return ()  # A catalog hides the log's files, and keeps versions by the table's own properties.
    pins = _find_pins(plan, uri, client)
    if not pins:
        return ()
    table = SparkTable(spark, uri)
    retention = Retention.parse(table.properties)
    now = datetime.now(UTC)
    warnings = []
    for number in sorted({pin.version for pin in pins}):
        outlook = judge_version(describe_version(table, number), retention, now)
        if outlook.safety is not Safety.SAFE:
            holders = ", ".join(pin.text for pin in pins if pin.version == number)
            warnings.append(f"Version {number} is pinned by {holders}, but {outlook.reason}.")
    if warnings:
        warnings.append(f"'harness retain {uri}' shows how to keep these versions.")
    return tuple(warnings)


def _find_pins(plan: Plan, uri: str, client: MlflowClient) -> list[Pin]:
    environment = plan.environment
    store = open_store(environment.model_store, environment.accounts, create=False)
    return list_pins([store], client, environment.experiment, uri)


class SparkTable:
    """A Delta table, read with Spark."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self._spark = spark
        self._uri = uri
        self._folder = Folder(spark, uri)
        self._times = {entry.version: entry.time for entry in read_history(spark, uri)}
        self.newest = max(self._times)
        [row] = describe_detail(spark, uri).select("properties", "tableFeatures").collect()
        self.properties: Mapping[str, str] = row["properties"] or {}
        self.has_vectors = _VECTORS in (row["tableFeatures"] or ())
        self._load = lru_cache(maxsize=None)(self._list_uris)

    def list_log(self) -> Sequence[LogFile]:
        """Return the commits and checkpoints that the log still has."""
        files = (
            LogFile.parse(file.name, datetime.fromtimestamp(file.modified_ms / 1000, UTC))
            for file in self._folder.list_files(LOG)
        )
        return [file for file in files if file is not None]

    def find_time(self, version: int) -> datetime | None:
        """Return the time of a version's commit; ``None`` if the log no longer has it."""
        return self._times.get(version)

    def list_files(self, version: int) -> frozenset[str] | None:
        """Return the names of a version's data files; ``None`` if the log can't be read at this version."""
        uris = self._load(version)
        return None if uris is None else frozenset(find_name(uri) for uri in uris)

    def count_missing(self, version: int) -> int:
        """Return how many of a version's data files no longer exist."""
        return sum(not self._folder.has(uri) for uri in self._load(version) or ())

    def read_removals(self, after: int) -> Iterator[Removal]:
        """Yield every removal by the versions after one, in their order."""
        commits = sorted(file.version for file in self.list_log() if not file.is_checkpoint)
        paths = [f"{self._uri}/{LOG}/{number:020}.json" for number in commits if number > after]
        if not paths:
            return
        lines = self._spark.read.text(paths).where(F.col("value").contains('"remove"'))
        rows = lines.select("value", F.col("_metadata.file_name").alias("file")).collect()
        for row in sorted(rows, key=lambda row: row["file"]):
            yield from parse_removals(int(row["file"].partition(".")[0]), [row["value"]])

    def _list_uris(self, version: int) -> tuple[str, ...] | None:
        try:
            return tuple(read_version(self._spark, self._uri, version).inputFiles())
        except (PySparkException, Py4JJavaError):
            return None


def list_vacuumed_versions(
    spark: SparkSession, uri: str, retain_hours: float, versions: Mapping[str, int]
) -> list[str]:
    """Return the names of the versions whose files a vacuum would remove.

    Args:
        spark: The session; Delta's own check of the period must be disabled.
        uri: The table, or its name in a catalog.
        retain_hours: The vacuum's period.
        versions: Name of a version to its Delta version; all of them can be read.
    """
    files = {
        name: _list_names(read_version(spark, uri, number).inputFiles()) for name, number in versions.items()
    }
    newest = _list_names(open_table(spark, uri).toDF().inputFiles())
    # A dry run lists the whole folder; most vacuums follow steps that removed nothing.
    if all(names <= newest for names in files.values()):
        return []
    statement = f"VACUUM {format_table(uri)} RETAIN {retain_hours:f} HOURS DRY RUN"
    taken = _list_names(row["path"] for row in spark.sql(statement).collect())
    return [name for name, names in files.items() if names & taken]


def _list_names(uris: Iterable[str]) -> frozenset[str]:
    return frozenset(find_name(uri) for uri in uris)
