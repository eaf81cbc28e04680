"""What a Delta table's log says: its commits, its protocol, and which versions can still be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.table_io import read_version
from harness.results import Commit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_LEAST_APART = timedelta(milliseconds=1)
_LOOKED_AT = 25
"""Versions that are looked at for those that can be read: each one's list of files has to be worked out."""
_RETENTION = {
    # Delta's defaults, where the table says nothing.
    "delta.deletedFileRetentionDuration": "interval 1 week",
    "delta.logRetentionDuration": "interval 30 days",
}


@dataclass(frozen=True)
class Entry:
    """One commit of the log."""

    version: int
    operation: str
    time: datetime
    """In UTC, to the millisecond."""


@dataclass(frozen=True)
class Protocol:
    """The version of Delta's protocol that a client must know."""

    reader: int
    writer: int


def history(spark: SparkSession, uri: str, limit: int | None = None) -> tuple[Entry, ...]:
    """The commits that the log still has, the newest first, or so many of them; none without a table."""
    if not DeltaTable.isDeltaTable(spark, uri):
        return ()
    found = DeltaTable.forPath(spark, uri).history(limit)
    # As a number: Python is handed a timestamp in the time zone of its own machine.
    rows = found.select("version", "operation", F.unix_millis("timestamp").alias("time")).collect()
    entries = [
        Entry(row["version"], row["operation"], _EPOCH + timedelta(milliseconds=row["time"])) for row in rows
    ]
    return tuple(reversed(_rising(sorted(entries, key=lambda entry: entry.version))))


def _rising(entries: list[Entry]) -> list[Entry]:
    """As Delta reads the log: storage may know times to the second only, and no two commits have the same."""
    found: list[Entry] = []
    for entry in entries:
        earliest = found[-1].time + _AT_LEAST_APART if found else entry.time
        found.append(replace(entry, time=max(entry.time, earliest)))
    return found


def newest(spark: SparkSession, uri: str) -> Entry | None:
    """The newest commit; ``None`` where there is no table."""
    return next(iter(history(spark, uri, 1)), None)


def protocol(spark: SparkSession, uri: str) -> Protocol:
    """The protocol that the table has now."""
    detail = DeltaTable.forPath(spark, uri).detail()
    [row] = detail.select("minReaderVersion", "minWriterVersion").collect()
    return Protocol(row["minReaderVersion"], row["minWriterVersion"])


def commit_of(entry: Entry, spoken: Protocol) -> Commit:
    """A commit as the result tells of it."""
    return Commit(operation=entry.operation, time=entry.time, reader=spoken.reader, writer=spoken.writer)


@contextmanager
def readable(spark: SparkSession, uri: str, name: str, number: int, at: Location) -> Iterator[None]:
    """Reading a version whose files or log are gone is told as that, whatever Spark says of it.

    Args:
        spark: The session.
        uri: The table.
        name: The version's, in the scenario.
        number: Its Delta version.
        at: Its place in the scenario file.

    Raises:
        ScenarioError: The version can't be read any more; names those that can.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if is_readable(spark, uri, number):
            raise
        raise unreadable(spark, uri, name, number, at) from error


def unreadable(spark: SparkSession, uri: str, name: str, number: int, at: Location) -> ScenarioError:
    """The fault of a version that can't be read any more; takes what ``readable`` does."""
    message = f"version '{name}' can't be read any more: Delta version {number} has lost files, or its log."
    return ScenarioError([Problem(f"{message} {_what_is_left(spark, uri)}", at)])


def is_readable(spark: SparkSession, uri: str, number: int) -> bool:
    """Whether the log still leads to a version, and all of its files are there."""
    return _has_all(_Folder(spark, uri), number)


class _Folder:
    """The files below a table's folder, listed once."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self.spark = spark
        self.uri = uri
        # Spark has no public way to list a folder of a lake; Hadoop's file system does it everywhere.
        context: Any = spark.sparkContext
        self._jvm = context._jvm  # noqa: SLF001
        path = self._jvm.org.apache.hadoop.fs.Path(uri)
        self._files = path.getFileSystem(context._jsc.hadoopConfiguration())  # noqa: SLF001
        self._names = set(_names(self._files.listFiles(path, True)))

    def has(self, file: str) -> bool:
        """Whether a file is there; a table may also have files elsewhere, as a clone does."""
        if unquote(file).rpartition("/")[2] in self._names:
            return True
        return bool(self._files.exists(self._jvm.org.apache.hadoop.fs.Path(unquote(file))))


def _names(listing: Any) -> Iterator[str]:
    while listing.hasNext():
        yield listing.next().getPath().getName()


def _has_all(folder: _Folder, number: int) -> bool:
    try:
        files = read_version(folder.spark, folder.uri, number).inputFiles()
    except (PySparkException, Py4JJavaError):
        return False
    return all(folder.has(file) for file in files)


def _what_is_left(spark: SparkSession, uri: str) -> str:
    """The versions that can be read, and for how long the table keeps any."""
    folder = _Folder(spark, uri)
    looked_at = [entry.version for entry in history(spark, uri, _LOOKED_AT)]
    left = sorted(number for number in looked_at if _has_all(folder, number))
    among = f"of its newest {_LOOKED_AT} versions" if len(looked_at) == _LOOKED_AT else "of its versions"
    [row] = DeltaTable.forPath(spark, uri).detail().select("properties").collect()
    kept = {**_RETENTION, **(row["properties"] or {})}
    settings = ", ".join(f"{name} = {kept[name]}" for name in _RETENTION)
    return f"What can be read {among}: {ranges(left) or 'none'}. The table's retention: {settings}."


def ranges(numbers: Iterable[int]) -> str:
    """Rising numbers in a short form, such as ``2, 5 to 9``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ", ".join(" to ".join(str(number) for number in each) for each in found)
