"""The part of a Delta table's log that decides how long a version can be read, whoever reads the log.

Delta's protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import unquote

from harness.errors import PrerequisiteError

LOG = "_delta_log"
_LOG_FILE = re.compile(r"(\d{20})\.(json|checkpoint\..*(?:parquet|json))")
_DURATION = re.compile(r"(\d+)\s*(week|day|hour|minute|second|millisecond|microsecond)s?", re.IGNORECASE)
DATA_RETENTION = "delta.deletedFileRetentionDuration"
LOG_RETENTION = "delta.logRetentionDuration"
_LOG_CLEANUP = "delta.enableExpiredLogCleanup"
DEFAULT_RETENTION = {DATA_RETENTION: "interval 1 week", LOG_RETENTION: "interval 30 days"}
"""Delta's defaults, for tables that don't set them."""


@dataclass(frozen=True)
class LogFile:
    """A commit or a checkpoint in a table's log."""

    version: int
    is_checkpoint: bool
    modified: datetime

    @classmethod
    def parse(cls, name: str, modified: datetime) -> LogFile | None:
        """Return the file with a name; ``None`` for any other file of the log's folder."""
        found = _LOG_FILE.fullmatch(name)
        return cls(int(found[1]), found[2] != "json", modified) if found else None


@dataclass(frozen=True)
class Removal:
    """The removal of a data file from the table; the file itself stays until a vacuum."""

    version: int
    """Delta version that removed it."""
    file: str
    """Name of the file, without its folders."""
    time: datetime
    has_vector: bool
    """Whether the file had a deletion vector in a file, which the removal removes too."""


@dataclass(frozen=True)
class Retention:
    """How long a table keeps what its newest version no longer needs."""

    data: timedelta
    """Time from a data file's removal to the first vacuum that deletes it."""
    log: timedelta
    """Age from which a checkpoint's clean-up deletes files of the log."""
    cleans_log: bool
    properties: Mapping[str, str]
    """The table's properties that decide this, with Delta's defaults."""

    @classmethod
    def parse(cls, properties: Mapping[str, str]) -> Retention:
        """Read a table's properties.

        Raises:
            PrerequisiteError: A property is not a duration.
        """
        effective = {name: properties.get(name, default) for name, default in DEFAULT_RETENTION.items()}
        return cls(
            data=_parse_duration(DATA_RETENTION, effective[DATA_RETENTION]),
            log=_parse_duration(LOG_RETENTION, effective[LOG_RETENTION]),
            cleans_log=properties.get(_LOG_CLEANUP, "true").lower() != "false",
            properties=effective,
        )


def _parse_duration(name: str, text: str) -> timedelta:
    parts = _DURATION.findall(text)
    rest = _DURATION.sub("", text).lower().replace("interval", "").strip()
    if not parts or rest:
        raise PrerequisiteError(
            f"The table's property {name} is not a duration: '{text}'.",
            remedy=f"Set it to one such as '{DEFAULT_RETENTION[name]}'.",
        )
    return sum((timedelta(**{f"{unit.lower()}s": int(count)}) for count, unit in parts), timedelta())


class TableReader(Protocol):
    """A Delta table whose log can be read."""

    @property
    def newest(self) -> int:
        """The newest version."""

    @property
    def properties(self) -> Mapping[str, str]:
        """The table's properties."""

    @property
    def has_vectors(self) -> bool:
        """Whether the table may have deletion vectors, which mark rows of a data file as deleted."""

    def list_log(self) -> Sequence[LogFile]:
        """Return the commits and checkpoints that the log still has."""

    def find_time(self, version: int) -> datetime | None:
        """Return the time of a version's commit; ``None`` if the log no longer has it."""

    def list_files(self, version: int) -> frozenset[str] | None:
        """Return the names of a version's data files; ``None`` if the log can't be read at this version."""

    def count_missing(self, version: int) -> int:
        """Return how many of a version's data files no longer exist."""

    def read_removals(self, after: int) -> Iterable[Removal]:
        """Yield every removal by the versions after one, in their order."""


@dataclass(frozen=True)
class VersionState:
    """What is known of a pinned version from its table."""

    version: int
    time: datetime | None
    unreadable: str = ""
    """Why the version can't be read; empty if it can."""
    removed: datetime | None = None
    """When the first of the files that it needs left the table; ``None`` if the newest version has them."""
    oldest_log: datetime | None = None
    """Age of the oldest file of the log that is needed to read it; ``None`` for the newest version."""


def describe_version(table: TableReader, version: int) -> VersionState:
    """Describe whether a version can be read, and what a vacuum or a clean-up of the log can remove."""
    time = table.find_time(version)
    if version > table.newest:
        # Another table is at this location now.
        return VersionState(version, None, f"the table's newest version is {table.newest}")
    files = table.list_files(version)
    if files is None:
        return VersionState(version, time, "its log was removed")
    if missing := table.count_missing(version):
        return VersionState(version, time, f"{missing} of its {len(files)} data files were removed")
    if version == table.newest:
        return VersionState(version, time)
    return VersionState(
        version,
        time,
        removed=_find_removal(table, version, files),
        oldest_log=_find_oldest_log(table.list_log(), version),
    )


def _find_removal(table: TableReader, version: int, files: frozenset[str]) -> datetime | None:
    """Return when the first of a version's files left the table for good."""
    gone = files - (table.list_files(table.newest) or frozenset())
    if not gone and not table.has_vectors:
        return None
    last: dict[str, datetime] = {}
    vectors: dict[str, datetime] = {}
    seen: set[str] = set()
    for removal in table.read_removals(version):
        if removal.file in gone:
            last[removal.file] = removal.time
        # The first removal of a file names the deletion vector that the file had at the version.
        if removal.file in files and removal.file not in seen and removal.has_vector:
            vectors[removal.file] = removal.time
        seen.add(removal.file)
    return min((*last.values(), *vectors.values()), default=None)


def _find_oldest_log(log: Sequence[LogFile], version: int) -> datetime | None:
    """Return the age of the oldest file that a version is read from: a checkpoint, and the commits since it.

    Spark (Delta 3.3) deletes every expired file before the newest checkpoint, also a checkpoint that younger
    versions are read from. So the age of the version's own commit doesn't decide.
    """
    start = max((file.version for file in log if file.is_checkpoint and file.version <= version), default=-1)
    needed = [
        file.modified
        for file in log
        if (file.is_checkpoint and file.version == start)
        or (not file.is_checkpoint and start < file.version <= version)
    ]
    return min(needed, default=None)


def parse_removals(version: int, lines: Iterable[str]) -> Iterator[Removal]:
    """Yield the removals of a commit.

    Args:
        version: Delta version.
        lines: The commit's actions, one JSON object a line.
    """
    for line in lines:
        if '"remove"' not in line:
            continue
        action = json.loads(line).get("remove")
        if action is None:
            continue
        vector = action.get("deletionVector") or {}
        yield Removal(
            version=version,
            file=find_name(action["path"]),
            time=datetime.fromtimestamp(action.get("deletionTimestamp", 0) / 1000, UTC),
            # 'i' is a vector in the log itself.
            has_vector=vector.get("storageType", "i") != "i",
        )


def find_name(path: str) -> str:
    """Return the name of a data file, which is unique, from its path or its URI."""
    return unquote(path).rpartition("/")[2]
