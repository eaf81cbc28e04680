"""The runs whose folders are kept on this machine, whatever became of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from harness.errors import ExitCode, PrerequisiteError
from harness.plan import Plan
from harness.results import Result, Verdict, VersionResult
from harness.retention.pins import normalize_table
from harness.runs import RunFolder, RunState, list_runs
from harness.scenario.matrix import describe_parameters
from harness.storage.uris import remove_password
from harness.views.formatting import verdict_mark

ERROR, UNREADABLE = "error", "unreadable"


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its verdict, or why it has none."""

    label: str
    """Its verdict, ``error``, ``interrupted``, ``running`` or ``unreadable``."""
    result: Result | None = None
    reason: str = ""
    """Why it has no verdict, as a sentence; empty if it has one."""

    @property
    def mark(self) -> str:
        """The symbol that is shown next to the label."""
        if self.label in (ERROR, UNREADABLE):
            return verdict_mark(Verdict.FAIL)
        return "…" if self._verdict is None else verdict_mark(self._verdict)

    @property
    def tone(self) -> str:
        """The name of the label's color."""
        if self.label in (ERROR, UNREADABLE):
            return Verdict.FAIL.value
        return "muted" if self._verdict is None else self.label.replace(" ", "-")

    @property
    def _verdict(self) -> Verdict | None:
        return next((verdict for verdict in Verdict if verdict.value == self.label), None)


def read_outcome(folder: RunFolder) -> Outcome:
    """Return what became of a run."""
    state = folder.state
    if state is not RunState.FINISHED:
        return Outcome(state.value, reason=f"The run {folder.describe_missing_result()}.")
    try:
        result = folder.read_result()
    except PrerequisiteError as error:  # Damaged, or written by a newer version of the harness.
        return Outcome(UNREADABLE, reason=error.message)
    if result.failure is None:
        return Outcome(result.verdict.value, result)
    is_interrupted = result.exit_code is ExitCode.INTERRUPTED
    return Outcome(RunState.INTERRUPTED.value if is_interrupted else ERROR, result, result.failure.message)


@dataclass(frozen=True)
class KeptRun:
    """A run whose folder is kept on this machine."""

    folder: RunFolder

    @property
    def run_id(self) -> str:
        """The harness's own id of the run."""
        return self.folder.path.name

    @cached_property
    def outcome(self) -> Outcome:
        """What became of it."""
        return read_outcome(self.folder)

    @cached_property
    def plan(self) -> Plan | None:
        """Its plan; ``None`` if it can't be read."""
        with suppress(PrerequisiteError):
            return self.folder.read_plan()
        return None

    @property
    def started(self) -> datetime | None:
        """When it started, by its id; ``None`` if that names no time."""
        with suppress(ValueError):
            return datetime.strptime(self.run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        return None

    @property
    def target(self) -> str:
        """Name of its target; empty if it is not known."""
        result = self.outcome.result
        return result.target if result is not None else self.folder.target or ""

    @property
    def table(self) -> str:
        """Name by which its scenario, or the command line, gives the table; empty if it is not known."""
        return next(iter(self._list_table_names()), "")

    @property
    def parameters(self) -> str:
        """In which values it differs from its scenario file, as one line."""
        return "" if self.plan is None else remove_password(describe_parameters(self.plan.parameters))

    @property
    def versions(self) -> tuple[VersionResult, ...]:
        """The versions that it has reached."""
        result = self.outcome.result
        return () if result is None else result.versions

    @property
    def delta_versions(self) -> tuple[int, ...]:
        """The versions of the table that it has built or read."""
        return tuple(dict.fromkeys(each.version for each in self.versions if each.version >= 0))

    def is_on_table(self, table: str, version: int | None) -> bool:
        """Return whether it has built or read a table.

        Args:
            table: Name or URI of the table, its name in a catalog, or the fingerprint of one of its versions.
            version: Delta version; ``None`` for any version.
        """
        wanted = normalize_table(table)
        if wanted in {normalize_table(name) for name in self._list_table_names()}:
            return version is None or version in self.delta_versions
        return any(each.fingerprint == table and version in (None, each.version) for each in self.versions)

    def _list_table_names(self) -> Iterator[str]:
        """Yield all names and URIs of its table, that of its scenario first."""
        plan, result = self.plan, self.outcome.result
        if plan is not None:
            yield from filter(None, (plan.table_name, plan.existing_table))
            yield plan.scenario.table.name
        if result is not None:
            if result.inputs is not None:
                yield result.inputs.table
            yield result.table_uri


@dataclass(frozen=True)
class RunFilter:
    """Which of the kept runs are meant; ``None`` means any."""

    scenario: str | None = None
    table: str | None = None
    """Name or URI of a table, its name in a catalog, or the fingerprint of one of its versions."""
    version: int | None = None
    """Delta version of that table."""
    target: str | None = None

    def matches(self, run: KeptRun) -> bool:
        """Return whether a run is meant."""
        return (
            self.scenario in (None, run.folder.scenario)
            and self.target in (None, run.target)
            and (self.table is None or run.is_on_table(self.table, self.version))
        )

    @property
    def description(self) -> str:
        """What it asks for, such as ``scenario loans, target embedded``; empty if it means every run."""
        asked = {
            "scenario": self.scenario,
            "table": self.table and remove_password(self.table),
            "version": self.version,
            "target": self.target,
        }
        return ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)


def list_kept_runs(runs: Path, wanted: RunFilter) -> tuple[KeptRun, ...]:
    """Return the kept runs that a filter means, newest first."""
    kept = (KeptRun(folder) for folder in reversed(list_runs(runs)))
    return tuple(run for run in kept if wanted.matches(run))
