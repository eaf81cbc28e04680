"""The versions of the table: each step carried out and held against what the scenario says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from harness.errors import Location, Problem, ScenarioError
from harness.job.apply_steps import Work, apply_step
from harness.job.delta_log import Entry, commit_of, history, newest, protocol, readable, unreadable
from harness.job.spark_errors import named_errors, storage_fault, told
from harness.job.step_rows import Sources
from harness.job.table_io import read_version, read_version_at
from harness.plan import Plan
from harness.results import Commit
from harness.scenario.model import Version
from harness.scenario.read_step import Read

_NO_VERSION = -1
"""The number before a table's first version."""


@dataclass(frozen=True)
class BuiltVersion:
    """A version of the table as it can be read."""

    name: str
    number: int
    """The Delta version."""
    table: DataFrame
    commits: int | None
    """How many the step made; none for a version that was there already."""
    commit: Commit
    error: str | None = None
    """The class of the error with which the step failed, as it had to."""


@dataclass
class Build:
    """A table under way, or one that is there already."""

    spark: SparkSession
    plan: Plan
    sources: Sources
    there: tuple[Entry, ...]
    """The log of a table that is there already, as it was at the start."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Version to its Delta version."""
    newest: Entry | None = None
    """The newest commit of a table that is built; none before it is there."""


def open_build(spark: SparkSession, plan: Plan) -> Build:
    """Look at the table as it is at the start: what is committed to it meanwhile is not seen.

    Raises:
        ScenarioError: The table should be there, and is not.
    """
    there = history(spark, plan.existing_table) if plan.existing_table is not None else ()
    if plan.existing_table is not None and not there:
        message = f"there is no Delta table at {plan.existing_table}; see that the URI names its folder."
        raise ScenarioError([Problem(message, ("table", "uri"))])
    return Build(spark, plan, Sources(spark, plan), there)


def step_place(plan: Plan, index: int) -> Location:
    """The place of a version's step in the scenario file."""
    return ("versions", index, plan.scenario.versions[index].kind)


def build_version(build: Build, index: int) -> BuiltVersion:
    """Make one version of the scenario, or find it where the table is there already.

    Raises:
        ScenarioError: The step can't be carried out, makes another number of commits than was declared, does
            not fail as it must, or there is no such version to be read.
    """
    version = build.plan.scenario.versions[index]
    at = step_place(build.plan, index)
    if version.read is not None:
        return _found(build, version, version.read, at)
    if build.plan.existing_table is not None:
        message = f"version '{version.name}': a table that is there already is only read, and not changed."
        raise ScenarioError([Problem(f"{message} Take a 'read' step.", at)])
    before = build.newest.version if build.newest else _NO_VERSION
    error = _carried_out(build, version, at)
    build.newest = newest(build.spark, build.plan.table_uri)
    if build.newest is None:
        message = f"version '{version.name}': its {version.kind} made no table, as the first step has to."
        raise ScenarioError([Problem(message, at)])
    made = build.newest.version - before
    _require_commits(version, made, ("versions", index))
    return _opened(build, version, build.newest, made, error, at)


def _carried_out(build: Build, version: Version, at: Location) -> str | None:
    """The class of the error with which the step failed as it must; none for one that succeeded."""
    work = Work(build.spark, build.plan, build.sources, version, at, build.numbers)
    if version.expect_error is None:
        apply_step(work)
        return None
    must = f"version '{version.name}': its {version.kind} must fail with {version.expect_error}"
    place = (*at[:-1], "expect_error")
    try:
        apply_step(work)
    except (ScenarioError, PySparkException, Py4JJavaError) as fault:
        error = fault.__cause__ if isinstance(fault, ScenarioError) else fault
        found = named_errors(error)
        if not found or storage_fault(fault) is not None:
            raise
        names = [each.name for each in found]
        for name in names:
            if name == version.expect_error or name.startswith(f"{version.expect_error}."):
                return name
        first = next((each for each in found if each.has_class), found[0])
        message = f"{must}, and fails with another error: {told(first)}"
        raise ScenarioError([Problem(message, place)]) from error
    raise ScenarioError([Problem(f"{must}, and it did not fail.", place)])


def _require_commits(version: Version, made: int, at: Location) -> None:
    declared = version.declared_commits
    if declared in ("any", made):
        return
    place = (*at, version.kind if version.commits is None else "commits")
    counted = "no Delta commit" if made == 0 else f"{made} Delta commits" if made > 1 else "one Delta commit"
    message = f"version '{version.name}': its {version.kind} made {counted}, and {declared} should be made."
    if version.expect_error is not None:
        raise ScenarioError([Problem(f"{message} A step that fails must change nothing.", place)])
    right = made if made in (0, 1, 2) else "any"
    hint = " No row was brought, or none was changed." if made == 0 else ""
    raise ScenarioError([Problem(f"{message}{hint} Say 'commits: {right}' where that is right.", place)])


def _found(build: Build, version: Version, read: Read, at: Location) -> BuiltVersion:
    """A version that is there, however it is named."""
    number = _number_of(read, build.there)
    if number is None or number > build.there[0].version:
        known = f"the log leads from {_told(build.there[-1])} to {_told(build.there[0])}"
        asked = f"version {number}" if number is not None else f"version as old as {read.timestamp}"
        raise ScenarioError([Problem(f"version '{version.name}': the table has no {asked}; {known}.", at)])
    entry = next((each for each in build.there if each.version == number), None)
    if entry is None:
        raise unreadable(build.spark, build.plan.table_uri, version.name, number, at)
    return _opened(build, version, entry, None, None, at)


def _told(entry: Entry) -> str:
    return f"version {entry.version} ({entry.time:%Y-%m-%d %H:%M:%S} UTC)"


def _number_of(read: Read, entries: tuple[Entry, ...]) -> int | None:
    """The Delta version that is meant; none where the log does not reach back so far."""
    if read.version == "latest":
        return entries[0].version
    if read.timestamp is None:
        return read.version
    moment = read.timestamp
    return next((entry.version for entry in entries if entry.time <= moment), None)


def _opened(
    build: Build, version: Version, entry: Entry, commits: int | None, error: str | None, at: Location
) -> BuiltVersion:
    """A version ready to be read."""
    build.numbers[version.name] = entry.version
    uri = build.plan.table_uri
    with readable(build.spark, uri, version.name, entry.version, at):
        table = read_version(build.spark, uri, entry.version)
        if version.at == "timestamp":
            table = _by_time(build, version, entry.version, table, at)
    commit = commit_of(entry, protocol(build.spark, uri))
    return BuiltVersion(version.name, entry.version, table, commits, commit, error)


def _by_time(build: Build, version: Version, number: int, by_number: DataFrame, at: Location) -> DataFrame:
    """The version read by the time of its commit, which has to lead to the same files and columns."""
    uri = build.plan.table_uri
    # Of the whole log: the times of its commits follow from each other.
    time = next(each.time for each in history(build.spark, uri) if each.version == number)
    by_time = read_version_at(build.spark, uri, time)
    if by_time.schema != by_number.schema or set(by_time.inputFiles()) != set(by_number.inputFiles()):
        message = (
            f"version '{version.name}': at the time of its commit, {time.isoformat()}, Delta finds "
            f"another version than {number}. Read it by 'version'."
        )
        raise ScenarioError([Problem(message, (*at[:-1], "at"))])
    return by_time
