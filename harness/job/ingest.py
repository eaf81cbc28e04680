"""The versions of the table: each step applied, and its outcome checked against the scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from harness.errors import Location, Problem, ScenarioError
from harness.job.apply_steps import Work, apply_step
from harness.job.delta_log import (
    LogEntry,
    ProtocolVersions,
    find_protocol_change,
    make_commit,
    read_history,
    read_newest_entry,
    read_protocol,
    translate_read_errors,
    unreadable_version_error,
)
from harness.job.spark_errors import (
    attribute_step_error,
    format_error,
    list_causes,
    translate_storage_error,
)
from harness.job.step_record import StepRecord
from harness.job.step_rows import Sources
from harness.job.table_io import read_version, read_version_at, remove_commits_after, remove_table
from harness.plan import Plan
from harness.results import Commit
from harness.scenario.model import Version
from harness.scenario.read_step import Read
from harness.table_names import is_table_name

INGEST = "ingest"
"""Name of the step."""
_BEFORE_FIRST_VERSION = -1
_TABLE_URI: Location = ("table", "uri")


@dataclass(frozen=True)
class BuiltVersion:
    """A version of the table, ready to be read."""

    name: str
    number: int
    """The Delta version."""
    table: DataFrame
    commits: int | None
    """How many commits the step made; ``None`` for a version of an existing table."""
    commit: Commit
    error: str | None = None
    """The class of the error with which the step failed, as expected."""

    @property
    def facts(self) -> dict[str, Any]:
        """All of it but the rows, in the form of JSON."""
        commit = self.commit.model_dump(mode="json")
        return {"number": self.number, "commits": self.commits, "commit": commit, "error": self.error}


@dataclass
class Build:
    """A table that is being built, or an existing one that is being read."""

    spark: SparkSession
    plan: Plan
    sources: Sources
    existing_log: tuple[LogEntry, ...]
    """The log of an existing table as it was at the start; empty if the table is built."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Name of a version to its Delta version."""
    newest: LogEntry | None = None
    """The newest commit of a table that is being built; ``None`` before the first one."""
    protocol: ProtocolVersions | None = None
    """The protocol of the newest version, or of an existing table; ``None`` until it is known."""


def open_build(spark: SparkSession, plan: Plan) -> Build:
    """Prepare to build the table, or read the log of an existing one; later commits to it are ignored.

    Raises:
        ScenarioError: The existing table is missing, or has a feature that Spark can't read.
    """
    return Build(spark, plan, Sources(spark, plan), _read_existing_log(spark, plan))


def _read_existing_log(spark: SparkSession, plan: Plan) -> tuple[LogEntry, ...]:
    uri = plan.existing_table
    if uri is None:
        return ()
    with attribute_step_error(f"the table {uri} can't be read", _TABLE_URI):
        log = read_history(spark, uri)
    if not log:
        message = (
            f"the table {uri} doesn't exist, or you can't read it."
            if is_table_name(uri)
            else f"no Delta table at {uri}; check that the URI is the table's folder."
        )
        raise ScenarioError([Problem(message, _TABLE_URI)])
    return log


def reopen_versions(build: Build, steps: StepRecord) -> list[BuiltVersion]:
    """Open the versions that were built before the run was interrupted, and undo what came after them.

    If the table is not as it was then, everything is built again, and nothing counts as finished.
    """
    finished: list[Mapping[str, Any]] = []
    for version in build.plan.scenario.versions:
        if (facts := steps.find(INGEST, version.name)) is None:
            break
        finished.append(facts)
    if build.plan.existing_table is None:
        log = {entry.version: entry for entry in read_history(build.spark, build.plan.table_uri)}
        later = bool(finished) and finished[-1]["number"] < max(log, default=_BEFORE_FIRST_VERSION)
        # A catalog lets nobody remove commits from a log.
        is_fixed = later and is_table_name(build.plan.table_uri)
        if is_fixed or not all(_is_in_log(facts, log) for facts in finished):
            finished = []
            steps.forget()
        if not finished:
            remove_table(build.spark, build.plan)
        elif later:
            remove_commits_after(build.spark, build.plan.table_uri, finished[-1]["number"])
    return [_reopen_version(build, index, facts) for index, facts in enumerate(finished)]


def _is_in_log(facts: Mapping[str, Any], log: Mapping[int, LogEntry]) -> bool:
    entry, commit = log.get(facts["number"]), _read_commit(facts)
    return entry is not None and (entry.operation, entry.time) == (commit.operation, commit.time)


def _read_commit(facts: Mapping[str, Any]) -> Commit:
    return Commit.model_validate_json(json.dumps(facts["commit"]))


def _reopen_version(build: Build, index: int, facts: Mapping[str, Any]) -> BuiltVersion:
    version, at = build.plan.scenario.versions[index], step_location(build.plan, index)
    commit = _read_commit(facts)
    entry = LogEntry(facts["number"], commit.operation, commit.time)
    build.protocol = ProtocolVersions(commit.reader, commit.writer)
    if build.plan.existing_table is None:
        build.newest = entry
    return _open_version(build, version, entry, facts["commits"], facts["error"], at)


def step_location(plan: Plan, index: int) -> Location:
    """Return the location of a version's step in the scenario file."""
    return ("versions", index, plan.scenario.versions[index].kind)


def build_version(build: Build, index: int) -> BuiltVersion:
    """Build one version of the scenario, or find it in an existing table.

    Raises:
        ScenarioError: The step can't be applied, makes another number of commits than declared or doesn't
            fail as expected, or the version to read doesn't exist.
    """
    version = build.plan.scenario.versions[index]
    at = step_location(build.plan, index)
    if version.read is not None:
        return _find_version(build, version, version.read, at)
    if build.plan.existing_table is not None:
        message = f"version '{version.name}': an existing table is only read, never changed."
        raise ScenarioError([Problem(f"{message} Use a 'read' step.", at)])
    before = build.newest.version if build.newest else _BEFORE_FIRST_VERSION
    error = _apply_step(build, version, at)
    build.newest = read_newest_entry(build.spark, build.plan.table_uri)
    if build.newest is None:
        message = f"version '{version.name}': its {version.kind} created no table; the first step must."
        raise ScenarioError([Problem(message, at)])
    commits = build.newest.version - before
    _require_commits(version, commits, ("versions", index))
    changed = find_protocol_change(build.spark, build.plan.table_uri, before, build.newest.version)
    build.protocol = changed or build.protocol
    return _open_version(build, version, build.newest, commits, error, at)


def _apply_step(build: Build, version: Version, at: Location) -> str | None:
    """Apply a step; return the class of the expected error with which it failed, ``None`` if it succeeded."""
    work = Work(build.spark, build.plan, build.sources, version, at, build.numbers)
    if version.expect_error is None:
        apply_step(work)
        return None
    expectation = f"version '{version.name}': its {version.kind} must fail with {version.expect_error}"
    expectation_at = (*at[:-1], "expect_error")
    try:
        apply_step(work)
    except (ScenarioError, PySparkException, Py4JJavaError) as raised:
        error = raised.__cause__ if isinstance(raised, ScenarioError) else raised
        causes = list_causes(error)
        if not causes or translate_storage_error(raised) is not None:
            raise
        for name in [each.name for each in causes]:
            if name == version.expect_error or name.startswith(f"{version.expect_error}."):
                return name
        first = next((each for each in causes if each.has_error_class), causes[0])
        message = f"{expectation}, but failed with another error: {format_error(first)}"
        raise ScenarioError([Problem(message, expectation_at)]) from error
    raise ScenarioError([Problem(f"{expectation}, but it succeeded.", expectation_at)])


def _require_commits(version: Version, commits: int, at: Location) -> None:
    """Check the number of commits that a step made.

    Raises:
        ScenarioError: It differs from the declared number.
    """
    declared = version.declared_commits
    if declared in ("any", commits):
        return
    location = (*at, version.kind if version.commits is None else "commits")
    message = f"version '{version.name}': its {version.kind} made {_count_commits(commits)}, not {declared}."
    if version.expect_error is not None:
        raise ScenarioError([Problem(f"{message} A step that fails must change nothing.", location)])
    hint = " It added or changed no row." if commits == 0 else ""
    suggested = commits if commits in (0, 1, 2) else "any"
    raise ScenarioError(
        [Problem(f"{message}{hint} If that is right, write 'commits: {suggested}'.", location)]
    )


def _count_commits(commits: int) -> str:
    if commits == 0:
        return "no Delta commit"
    return "1 Delta commit" if commits == 1 else f"{commits} Delta commits"


def _find_version(build: Build, version: Version, read: Read, at: Location) -> BuiltVersion:
    """Find a version of an existing table by its number, by a time, or as the latest."""
    log = build.existing_log
    number = _resolve_number(read, log)
    if number is None or number > log[0].version:
        available = f"the log covers {_describe_entry(log[-1])} to {_describe_entry(log[0])}"
        wanted = f"version {number}" if number is not None else f"version as old as {read.timestamp}"
        message = f"version '{version.name}': the table has no {wanted}; {available}."
        raise ScenarioError([Problem(message, at)])
    entry = next((each for each in log if each.version == number), None)
    if entry is None:
        raise unreadable_version_error(build.spark, build.plan.table_uri, version.name, number, at)
    return _open_version(build, version, entry, None, None, at)


def _describe_entry(entry: LogEntry) -> str:
    return f"version {entry.version} ({entry.time:%Y-%m-%d %H:%M:%S} UTC)"


def _resolve_number(read: Read, log: tuple[LogEntry, ...]) -> int | None:
    """Return the Delta version to read, or ``None`` if the log doesn't reach back to its time."""
    if read.version == "latest":
        return log[0].version
    if read.timestamp is None:
        return read.version
    moment = read.timestamp
    return next((entry.version for entry in log if entry.time <= moment), None)


def _open_version(
    build: Build, version: Version, entry: LogEntry, commits: int | None, error: str | None, at: Location
) -> BuiltVersion:
    """Open a version for reading."""
    build.numbers[version.name] = entry.version
    uri = build.plan.table_uri
    with translate_read_errors(build.spark, uri, version.name, entry.version, at):
        table = read_version(build.spark, uri, entry.version)
        if version.at == "timestamp":
            table = _read_by_time(build, version, entry.version, table, at)
    build.protocol = build.protocol or read_protocol(build.spark, uri)
    commit = make_commit(entry, build.protocol)
    return BuiltVersion(version.name, entry.version, table, commits, commit, error)


def _read_by_time(
    build: Build, version: Version, number: int, by_number: DataFrame, at: Location
) -> DataFrame:
    """Read a version by the time of its commit, and require the same files and columns as by number."""
    uri = build.plan.table_uri
    # The whole log is read, because the times of its commits depend on each other.
    time = next(each.time for each in read_history(build.spark, uri) if each.version == number)
    by_time = read_version_at(build.spark, uri, time)
    if by_time.schema != by_number.schema or set(by_time.inputFiles()) != set(by_number.inputFiles()):
        message = (
            f"version '{version.name}': at the time of its commit, {time.isoformat()}, Delta finds "
            f"another version than {number}. Read it by 'version'."
        )
        raise ScenarioError([Problem(message, (*at[:-1], "at"))])
    return by_time
