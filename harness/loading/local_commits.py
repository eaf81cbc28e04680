"""The commits of a Delta table on this machine, and the versions that are read by a time, without Spark."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.files import sha256_of
from harness.scenario.model import Scenario
from harness.scenario.read_step import Read
from harness.storage.uris import find_table_folder

_COMMIT = re.compile(r"(\d{20})\.json")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_INTERVAL = timedelta(milliseconds=1)


@dataclass(frozen=True)
class LocalCommit:
    """One commit that the log still has."""

    version: int
    time: datetime
    """In UTC, to the millisecond."""

    def __str__(self) -> str:
        return f"version {self.version} ({self.time:%Y-%m-%d %H:%M:%S} UTC)"


def list_local_commits(table: Path) -> tuple[LocalCommit, ...]:
    """Return the commits that a table's log still has, the oldest first, with the times that Delta uses.

    Raises:
        OSError: The log can't be read.
    """
    commits: list[LocalCommit] = []
    files = {int(found[1]): file for file in (table / "_delta_log").iterdir() if (found := _match(file))}
    for version, file in sorted(files.items()):
        time = _read_time(file)
        # Delta gives each commit a later time than the one before it: storage may round to seconds.
        earliest = commits[-1].time + _MIN_INTERVAL if commits else time
        commits.append(LocalCommit(version, max(time, earliest)))
    return tuple(commits)


def find_commit(commits: tuple[LocalCommit, ...], read: Read) -> LocalCommit | None:
    """Return the commit to read, or ``None`` if the log doesn't have it."""
    if read.version == "latest":
        return commits[-1]
    if read.timestamp is None:
        return next((each for each in commits if each.version == read.version), None)
    moment = read.timestamp
    return next((each for each in reversed(commits) if each.time <= moment), None)


@dataclass(frozen=True)
class ResolvedRead:
    """A version of an existing table on this machine, as it is now."""

    version: int
    explanation: str
    """For one that is read by a time: which version that is; otherwise empty."""


def resolve_reads(scenario: Scenario, folder: Path) -> dict[str, ResolvedRead]:
    """Return the versions that a scenario reads, by name; none of a table that is not on this machine.

    Args:
        scenario: The scenario.
        folder: Folder that the table's path is relative to.
    """
    uri = scenario.table.uri
    path = find_table_folder(uri, folder) if uri else None
    commits = list_local_commits(path) if path is not None and (path / "_delta_log").is_dir() else ()
    resolved: dict[str, ResolvedRead] = {}
    for version in scenario.versions:
        if version.read is None or not commits or (found := find_commit(commits, version.read)) is None:
            continue
        explanation = version.read.explain(found.version, found.time, is_newest=found == commits[-1])
        resolved[version.name] = ResolvedRead(found.version, explanation)
    return resolved


def identify_commits(scenario: Scenario, folder: Path) -> dict[str, str]:
    """Return what identifies the commit of each version that a scenario reads, by name.

    Versions of a table that is not on this machine are left out, and those whose commit was cleaned up.

    Args:
        scenario: The scenario.
        folder: Folder that the table's path is relative to.
    """
    uri = scenario.table.uri
    path = find_table_folder(uri, folder) if uri else None
    if path is None:
        return {}
    identified = {}
    for name, read in resolve_reads(scenario, folder).items():
        file = path / "_delta_log" / f"{read.version:020}.json"
        # A table that was created again has the same version numbers, but other commits.
        identified[name] = f"version {read.version}, {sha256_of(file)}"
    return identified


def _match(file: Path) -> re.Match[str] | None:
    return _COMMIT.fullmatch(file.name)


def _read_time(file: Path) -> datetime:
    """Return a commit's time: the one in the commit if the table keeps it there, otherwise its file's."""
    with file.open("rb") as lines:
        first = next(lines, b"")
    try:
        milliseconds = int(json.loads(first)["commitInfo"]["inCommitTimestamp"])
    except (ValueError, LookupError, TypeError):
        milliseconds = file.stat().st_mtime_ns // 1_000_000
    return _EPOCH + timedelta(milliseconds=milliseconds)
