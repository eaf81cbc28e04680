"""Checks of an existing table on this machine: its versions and columns, without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Location, Problem, did_you_mean
from harness.loading import required_columns
from harness.loading.headers import DeltaHeader, UnknownHeaderError, read_delta_header
from harness.loading.local_commits import find_commit, list_local_commits
from harness.scenario.model import Scenario, Version
from harness.storage.uris import describe_password, explain_unusable, find_table_folder

_AT: Location = ("table", "uri")


def resolve_table_uri(uri: str, folder: Path) -> str:
    """Return a table's URI, or its absolute path if it is on this machine.

    Args:
        uri: URI or path.
        folder: Folder that a path is relative to.
    """
    path = find_table_folder(uri, folder)
    return uri if path is None else str(path)


def check_existing_table(scenario: Scenario, folder: Path) -> Iterator[Problem]:
    """Yield everything that is wrong with an existing table; the job checks one that is not on this machine.

    Args:
        scenario: Names the table and its versions.
        folder: Folder that its path is relative to.
    """
    uri = scenario.table.uri
    if uri is None or not uri.strip():
        return
    if password := describe_password(uri):
        yield Problem(f"the table's URI contains {password}; remove it.", _AT)
        return
    if reason := explain_unusable(uri):
        yield Problem(reason, _AT)
        return
    try:
        path = find_table_folder(uri, folder)
        if path is None:
            return
        newest = _read_newest_header(uri, path)
    except (OSError, ValueError, RuntimeError) as error:
        yield Problem(f"can't read the table {uri!r}: {error}.", _AT)
    except _NoTableError as error:
        yield Problem(str(error), _AT)
    except UnknownHeaderError:
        return  # Spark may be able to read it.
    else:
        yield from _TableCheck(scenario, path, newest).problems()


class _NoTableError(Exception):
    """A missing table, or one that is not a Delta table; the message is for the scenario's author."""


def _read_newest_header(uri: str, path: Path) -> DeltaHeader:
    if not path.exists():
        near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, near)
        where = "" if uri == str(path) else f" ({path})"
        raise _NoTableError(f"the table {uri} doesn't exist{where}.{hint}")
    if not (path / "_delta_log").is_dir():
        raise _NoTableError(f"{path} is not a Delta table: it has no folder _delta_log.")
    return read_delta_header(path)


@dataclass(frozen=True)
class _TableCheck:
    scenario: Scenario
    path: Path
    newest: DeltaHeader

    def problems(self) -> Iterator[Problem]:
        """Report versions that don't exist and columns missing from trained versions."""
        reported: set[str] = set()
        yield from self._check_sensitive_columns()
        for index, version in enumerate(self.scenario.versions):
            number = version.read.version if version.read is not None else None
            if isinstance(number, int) and number > self.newest.version:
                message = f"the table {self.path.name} has no version {number}"
                yield Problem(f"{message}; its newest is {self.newest.version}.", self._location(index))
            elif (early := self._explain_early_time(version)) is not None:
                yield Problem(early, self._location(index))
            elif number is not None and version.is_trained:
                yield from self._check_columns(number, reported)

    def _check_sensitive_columns(self) -> Iterator[Problem]:
        """Report sensitive columns that no version has; the job checks versions that are read by a time."""
        numbers = [version.read.version for version in self.scenario.versions if version.read is not None]
        known = [*self.newest.columns, *self.scenario.pipeline.derive]
        try:
            for number in numbers:
                if number is None:
                    return
                known += read_delta_header(self.path, number).columns if isinstance(number, int) else ()
        except (ValueError, UnknownHeaderError):
            return  # The log of this version was removed.
        names = {name.lower() for name in known}
        for index, name in enumerate(self.scenario.table.sensitive):
            if name.lower() not in names:
                message = f"the table {self.path.name} has no column '{name}'.{did_you_mean(name, known)}"
                yield Problem(message, ("table", "sensitive", index))

    def _explain_early_time(self, version: Version) -> str | None:
        """Explain that a time is before the first commit of the log; ``None`` if it isn't."""
        commits = list_local_commits(self.path)
        read = version.read
        if read is None or read.timestamp is None or not commits or find_commit(commits, read) is not None:
            return None
        return (
            f"the table {self.path.name} has no version as old as {read.timestamp}; "
            f"its log begins with {commits[0]}."
        )

    def _location(self, index: int) -> Location:
        listed = self.scenario.table.versions
        return ("versions", index, "read") if listed is None else ("table", "versions", index)

    def _check_columns(self, number: int | str, reported: set[str]) -> Iterator[Problem]:
        try:
            found = self.newest if isinstance(number, str) else read_delta_header(self.path, number)
        except (ValueError, UnknownHeaderError):
            return  # The log of this version was removed: the job checks whether it can still be read.
        known = {name.lower() for name in found.columns}
        for each in required_columns.list_required_columns(self.scenario):
            if each.name.lower() not in known | reported:
                reported.add(each.name.lower())
                hint = did_you_mean(each.name, found.columns)
                message = (
                    f"the table {self.path.name} has no column '{each.name}' at version {found.version}."
                )
                yield Problem(message + hint, each.at)
