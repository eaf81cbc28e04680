"""A Delta table's log: its commits, its protocol, and the versions that can still be read."""

from __future__ import annotations

import json
import re
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
from harness.job.lake_files import ListedFile, open_lake_files
from harness.job.table_io import describe_detail, describe_history, read_version
from harness.results import Commit
from harness.retention.table_log import DEFAULT_RETENTION
from harness.table_names import is_table_name, quote_table_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_INTERVAL = timedelta(milliseconds=1)
_FILE_MISSING = re.compile("FileNotFound|FILE_NOT_FOUND|FILE_NOT_EXIST|TIME_TRAVEL_BEYOND")
"""In messages of Spark, Delta and Databricks about a version whose files were removed."""
_MAX_VERSIONS_CHECKED = 25
"""How many versions an error message checks for readability; each costs listing the version's files."""


@dataclass(frozen=True)
class LogEntry:
    """One commit of the log."""

    version: int
    operation: str
    time: datetime
    """In UTC, to the millisecond."""


@dataclass(frozen=True)
class ProtocolVersions:
    """The versions of Delta's protocol that a client must support."""

    reader: int
    writer: int


def read_history(spark: SparkSession, uri: str, limit: int | None = None) -> tuple[LogEntry, ...]:
    """Return the commits that the log still has, the newest first; empty if there is no table.

    Args:
        spark: The session.
        uri: The table.
        limit: The largest number of commits to return (default: all).
    """
    if not _exists(spark, uri):
        return ()
    commits = describe_history(spark, uri, limit)
    # As a number: Python receives timestamps in the time zone of its own machine.
    rows = commits.select("version", "operation", F.unix_millis("timestamp").alias("time")).collect()
    entries = [
        LogEntry(row["version"], row["operation"], _EPOCH + timedelta(milliseconds=row["time"]))
        for row in rows
    ]
    return tuple(reversed(_separate_times(sorted(entries, key=lambda entry: entry.version))))


def _exists(spark: SparkSession, table: str) -> bool:
    if is_table_name(table):
        return spark.catalog.tableExists(quote_table_name(table))
    return DeltaTable.isDeltaTable(spark, table)


def _separate_times(entries: list[LogEntry]) -> list[LogEntry]:
    """Give each commit a later time than the one before it, as Delta does: storage may round to seconds."""
    separated: list[LogEntry] = []
    for entry in entries:
        earliest = separated[-1].time + _MIN_INTERVAL if separated else entry.time
        separated.append(replace(entry, time=max(entry.time, earliest)))
    return separated


def read_newest_entry(spark: SparkSession, uri: str) -> LogEntry | None:
    """Return the newest commit, or ``None`` if there is no table."""
    return next(iter(read_history(spark, uri, 1)), None)


def find_protocol_change(spark: SparkSession, uri: str, after: int, until: int) -> ProtocolVersions | None:
    """Return the protocol that some commits set, and the last one of them counts; ``None`` if they set none.

    Args:
        spark: The session.
        uri: The table. A catalog hides a table's log, so that the table's current protocol is returned.
        after: Delta version before the first of these commits.
        until: Delta version of the last one.
    """
    if is_table_name(uri):
        return read_protocol(spark, uri)
    found = None
    for version in range(after + 1, until + 1):
        for action in read_actions(spark, uri, version):
            if (protocol := action.get("protocol")) is not None:
                found = ProtocolVersions(protocol["minReaderVersion"], protocol["minWriterVersion"])
    return found


def read_actions(spark: SparkSession, uri: str, version: int) -> Iterator[dict[str, Any]]:
    """Yield the actions of a commit.

    Raises:
        OSError: The commit doesn't exist, or was removed from the log.
        Py4JJavaError: The same.
    """
    # A Spark job would take a hundred times as long.
    text = open_lake_files(spark, uri).read_text(f"{uri}/_delta_log/{version:020d}.json")
    # Not splitlines: a value in the statistics may have one of Unicode's other line breaks.
    for line in text.split("\n"):
        if line.strip():
            yield json.loads(line)


def read_protocol(spark: SparkSession, uri: str) -> ProtocolVersions:
    """Return the table's current protocol."""
    [row] = describe_detail(spark, uri).select("minReaderVersion", "minWriterVersion").collect()
    return ProtocolVersions(row["minReaderVersion"], row["minWriterVersion"])


def make_commit(entry: LogEntry, protocol: ProtocolVersions) -> Commit:
    """Return a commit in the form that results have."""
    return Commit(operation=entry.operation, time=entry.time, reader=protocol.reader, writer=protocol.writer)


@contextmanager
def translate_read_errors(
    spark: SparkSession, uri: str, name: str, number: int, at: Location
) -> Iterator[None]:
    """Report a version as unreadable if its files or log are gone, whatever error Spark raises.

    Args:
        spark: The session.
        uri: The table.
        name: The version's name in the scenario.
        number: Its Delta version.
        at: Its location in the scenario file.

    Raises:
        ScenarioError: The version can't be read any more; the message lists those that can.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        # Nobody can list the files behind a name.
        is_gone = _is_file_missing(error) if is_table_name(uri) else not is_readable(spark, uri, number)
        if not is_gone:
            raise
        raise unreadable_version_error(spark, uri, name, number, at) from error


def _is_file_missing(error: Exception) -> bool:
    return _FILE_MISSING.search(str(error)) is not None


def unreadable_version_error(
    spark: SparkSession, uri: str, name: str, number: int, at: Location
) -> ScenarioError:
    """Return the error for an unreadable version; the arguments are those of ``translate_read_errors``."""
    message = (
        f"version '{name}' can't be read any more: files or the log of Delta version {number} are missing."
    )
    if is_table_name(uri):
        return ScenarioError([Problem(f"{message} DESCRIBE HISTORY {uri} lists the versions.", at)])
    return ScenarioError([Problem(f"{message} {_describe_readable_versions(spark, uri)}", at)])


def is_readable(spark: SparkSession, uri: str, number: int) -> bool:
    """Return whether the log still has a version and all of the version's files exist."""
    return _has_all_files(Folder(spark, uri), number)


class Folder:
    """The files in a table's folder, listed once."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self.spark = spark
        self.uri = uri
        self._files = open_lake_files(spark, uri)
        self._names = {file.name for file in self._files.list_files(uri, below=True)}

    def has(self, file: str) -> bool:
        """Return whether a file exists; some tables, such as clones, have files outside their folder."""
        path = unquote(file)
        return path.rpartition("/")[2] in self._names or open_lake_files(self.spark, path).exists(path)

    def list_files(self, folder: str) -> list[ListedFile]:
        """Return the files in a folder of the table."""
        return list(self._files.list_files(f"{self.uri}/{folder}"))


def _has_all_files(folder: Folder, number: int) -> bool:
    try:
        files = read_version(folder.spark, folder.uri, number).inputFiles()
    except (PySparkException, Py4JJavaError):
        return False
    return all(folder.has(file) for file in files)


def _describe_readable_versions(spark: SparkSession, uri: str) -> str:
    """Describe which versions can be read, and how long the table keeps its files and log."""
    folder = Folder(spark, uri)
    checked = [entry.version for entry in read_history(spark, uri, _MAX_VERSIONS_CHECKED)]
    readable = sorted(number for number in checked if _has_all_files(folder, number))
    limit = f" (of the newest {_MAX_VERSIONS_CHECKED})" if len(checked) == _MAX_VERSIONS_CHECKED else ""
    [row] = describe_detail(spark, uri).select("properties").collect()
    properties = {**DEFAULT_RETENTION, **(row["properties"] or {})}
    settings = ", ".join(f"{name} = {properties[name]}" for name in DEFAULT_RETENTION)
    return (
        f"Readable versions{limit}: {format_ranges(readable) or 'none'}. The table's retention: {settings}."
    )


def format_ranges(numbers: Iterable[int]) -> str:
    """Format rising numbers in a short form, such as ``2, 5 to 9``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], number]
        else:
            ranges.append([number])
    return ", ".join(" to ".join(str(number) for number in each) for each in ranges)
