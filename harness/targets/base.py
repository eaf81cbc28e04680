"""Targets: the protocol that each one implements, optional capabilities, and how one is opened by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar, cast, runtime_checkable

from harness.errors import PrerequisiteError, UsageError
from harness.events import Listener
from harness.plan import Environment, Plan, SourceData
from harness.results import Result
from harness.runs import RunFolder
from harness.setting_types import Settings
from harness.targets.checks import Check
from harness.targets.registry import (
    AUTO,
    FALLBACK,
    TARGETS,
    Capability,
    find_definition,
    list_auto_candidates,
    select_capable,
)
from harness.targets.target_definition import TargetDefinition
from harness.tracked_run import TrackedRun
from harness.used_models import BundleRecords

Report = Callable[[str], None]
"""Shows the user one line."""


class Target(Protocol):
    """A target that is open: it starts the job and returns its result."""

    def environment(self, source_bytes: int | None, store: str) -> Environment:
        """Return everything that is specific to this target.

        Args:
            source_bytes: Size of the data that the scenario starts from; ``None`` if it is unknown.
            store: Name of the model store that the scenario publishes to.
        """

    def locate_source(self, source: SourceData) -> SourceData:
        """Return a source as the job reads it; :meth:`prepare` copies its rows there if needed.

        Raises:
            PrerequisiteError: The job can't read it, and it can't be copied.
        """

    def locate_table(self, uri: str) -> str:
        """Return the URI of an existing table as the job reads it. A table is never copied.

        Args:
            uri: Its URI, or its absolute path on this machine.

        Raises:
            PrerequisiteError: The job can't read it.
        """

    def checks(self) -> Iterator[Check]:
        """Check the prerequisites one by one, without starting anything."""

    def require_ready(self) -> None:
        """Check what can be checked quickly before a run is planned, without starting anything.

        Raises:
            PrerequisiteError: A prerequisite is missing.
        """

    def prepare(self, plan: Plan) -> None:
        """Provide everything that the job needs.

        Raises:
            PrerequisiteError: A prerequisite is missing.
        """

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run the job until it ends.

        Args:
            folder: The run's local folder, which contains the plan; result and log are written into it.
            listener: Receives every event as it arrives.

        Raises:
            JobError: The job ended without a result.
            InterruptedRunError: Ctrl-C; the job has ended, too.
        """

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables."""


@runtime_checkable
class Attachable(Protocol):
    """A target whose runs outlive their command, so that another command can follow them."""

    def attach(self, folder: Path, listener: Listener) -> Result:
        """Follow a run that an earlier command submitted, until it ends.

        Args:
            folder: The run's local folder.
            listener: Receives every event as it arrives.

        Raises:
            PrerequisiteError: The run was never submitted.
        """


@runtime_checkable
class Settleable(Protocol):
    """A target whose runs end with their command, so that a command can settle what a job has left.

    See :mod:`harness.settlement`.
    """

    def reach(self, environment: Environment) -> Environment:
        """Return a run's environment with the addresses and secrets by which this machine reaches it.

        Raises:
            PrerequisiteError: It can't be reached now.
        """

    def end_job(self, run_id: str) -> None:
        """End what is left of the job of a command that was killed, and remove its temporary files."""

    def release(self) -> None:
        """Stop the services that a failed run has started, unless they should be kept."""


@runtime_checkable
class KeepsWarm(Protocol):
    """A target that can keep processes for the next run of the same command, which then starts sooner."""

    def keep_warm(self) -> AbstractContextManager[None]:
        """Return a block in which processes stay between runs; at its end, they end."""


@runtime_checkable
class Schedulable(Protocol):
    """A target that can run a scenario on a schedule."""

    def write_schedule(self, plan: Plan, folder: Path, *, on_update: bool = False) -> Path:
        """Write everything that deploys the scheduled job, and return the main file.

        Args:
            plan: Plan of the scenario on this target.
            folder: Folder to write into.
            on_update: Whether an update of the scenario's table starts the job, instead of a schedule.

        Raises:
            UsageError: Nothing would report an update of this table.
        """


@runtime_checkable
class Sweepable(Protocol):
    """A target where runs leave files that expire."""

    def sweep(self) -> int:
        """Remove what has expired, and return the number of removed folders and tables."""


@runtime_checkable
class TracksRuns(Protocol):
    """A target with its own MLflow server, which this machine can reach."""

    def is_up(self) -> bool:
        """Return whether the server runs."""

    def tracking_uri(self) -> str:
        """Return the server's address as this machine reaches it."""

    def pages(self) -> Iterator[tuple[str, str]]:
        """Yield name and address of each web page, as soon as it has answered.

        Raises:
            PrerequisiteError: A page does not answer.
        """


@runtime_checkable
class SearchesRuns(Protocol):
    """The runs that MLflow has recorded, of a target with its own client for them or in a tracking store."""

    def locate_runs(self) -> str:
        """Return where the runs are recorded, for people."""

    def search_runs(self, condition: str) -> list[TrackedRun]:
        """Return the recorded runs that meet a condition of MLflow's search, newest first.

        Args:
            condition: The condition; empty for all runs.

        Raises:
            PrerequisiteError: MLflow doesn't answer, refuses the request, or has no runs yet.
        """


@runtime_checkable
class KeepsBundles(Protocol):
    """A target whose own client reads the bundles that its runs have published."""

    def open_bundles(self, environment: Environment) -> BundleRecords | None:
        """Return access to the bundles of runs in an environment.

        ``None`` if this machine has no credential for their store.
        """


@runtime_checkable
class SchedulableTarget(Target, Schedulable, Protocol):
    """A target that runs scenarios now and on a schedule."""


_Capable = TypeVar("_Capable")


def open_target(settings: Settings, report: Report = lambda _line: None, *, keep: bool = False) -> Target:
    """Open the target that the settings name; with ``auto``, the best local one that is ready.

    Args:
        settings: Settings with the target's name.
        report: Shows which target ``auto`` chose, and why.
        keep: Whether services that a run starts, and files that it uploads, outlive its failure.

    Raises:
        UsageError: The target is unknown.
    """
    name = settings["target"]
    if name == AUTO:
        return _open_best(settings, report, keep=keep)
    return open_defined(find_definition(name, settings.by_name["target"].origin), settings, report, keep=keep)


def open_defined(
    definition: TargetDefinition, settings: Settings, report: Report, *, keep: bool = False
) -> Target:
    """Open a target by its definition; only now is its code imported."""
    module, _, name = definition.implementation.partition(":")
    implementation = getattr(importlib.import_module(module), name)
    return cast(Target, implementation(settings.for_target(definition.name), report, keep=keep))


class FinishedRun:
    """A run that has its result already: attaching to it reads the result, whatever its target."""

    def attach(self, folder: Path, listener: Listener) -> Result:
        """Return the stored result."""
        del listener
        return RunFolder(folder).read_result()


def open_attachable(settings: Settings, run: RunFolder, report: Report) -> Attachable:
    """Open the target of a run that another command started.

    Args:
        settings: Settings of this command.
        run: Folder of the run, which names its target.
        report: Shows the progress.

    Raises:
        UsageError: Runs on this target end with their command.
    """
    if run.has_result:
        return FinishedRun()
    definition = find_definition(run.target or FALLBACK)
    if not definition.can_attach:
        raise UsageError(
            f"Can't attach to the run {run.path.name}: a run on the {definition.title} target ends with its "
            "command.",
            remedy="'harness scenario NAME' runs the scenario again.",
        )
    return _open_capable(Attachable, definition, settings, report)  # type: ignore[type-abstract] # Only checked against.


def open_settleable(settings: Settings, run: RunFolder) -> Settleable | None:
    """Open the target of an earlier run; return ``None`` if its runs don't end with their command."""
    definition = find_definition(run.target or FALLBACK)
    if not definition.can_settle:
        return None
    return _open_capable(Settleable, definition, settings, lambda _line: None)  # type: ignore[type-abstract] # As above.


def open_bundle_keeper(settings: Settings, run: RunFolder) -> KeepsBundles | None:
    """Open the target of an earlier run; return ``None`` if this machine's clients read its bundles."""
    definition = find_definition(run.target or FALLBACK)
    if not definition.has_own_bundles:
        return None
    return _open_capable(KeepsBundles, definition, settings, lambda _line: None)  # type: ignore[type-abstract] # As above.


def open_schedulable(settings: Settings, report: Report) -> SchedulableTarget:
    """Open the target that can run a scenario on a schedule: the settings' one, or else the first."""
    definition = select_capable(
        settings["target"], lambda each: each.can_schedule, "run a scenario on a schedule"
    )
    return _open_capable(SchedulableTarget, definition, settings, report)  # type: ignore[type-abstract] # As above.


def open_sweepable(settings: Settings, report: Report) -> Sweepable:
    """Open the target where files expire: the settings' one, or else the first."""
    definition = select_capable(settings["target"], lambda each: each.can_sweep, "remove expired files")
    return _open_capable(Sweepable, definition, settings, report)  # type: ignore[type-abstract] # As above.


def open_tracking(settings: Settings) -> TracksRuns | None:
    """Open the target whose MLflow server has the runs.

    With ``auto`` it is the first one whose server runs.

    Returns:
        The target, or ``None`` if the runs are in the tracking store of the settings.

    Raises:
        UsageError: The target tracks its runs where this machine doesn't look for them.
    """
    name = settings["target"]
    if name == AUTO:
        candidates = [each for each in list_auto_candidates() if each.serves_tracking]
        servers = (_open_server(each, settings) for each in candidates)
        return next((each for each in servers if each.is_up()), None)
    definition = find_definition(name, settings.by_name["target"].origin)
    if not definition.is_local:
        local = ", ".join(each.name for each in TARGETS.values() if each.is_local)
        raise UsageError(
            f"Runs on {definition.title} are tracked there; this command only reads local runs.",
            remedy=f"Look at the MLflow pages of {definition.title}, or use --target {local} or {AUTO}.",
        )
    return _open_server(definition, settings) if definition.serves_tracking else None


def open_run_search(settings: Settings) -> SearchesRuns | None:
    """Open the target that the settings name if only its own client can search its runs.

    Returns:
        The target, or ``None`` if its runs are in a tracking store that MLflow's client reads.
    """
    definition = TARGETS.get(settings["target"])
    if definition is None or not definition.searches_runs:
        return None
    return _open_capable(SearchesRuns, definition, settings, lambda _line: None)  # type: ignore[type-abstract] # As above.


def select_cloud_target(settings: Settings) -> TargetDefinition:
    """Return the target to validate a local run against: the settings' one, or the first one in the cloud."""
    is_in_cloud: Capability = lambda each: not each.is_local  # noqa: E731 - a name for one condition.
    return select_capable(settings["target"], is_in_cloud, "be compared with a local run")


def _open_server(definition: TargetDefinition, settings: Settings) -> TracksRuns:
    return _open_capable(TracksRuns, definition, settings, lambda _line: None)  # type: ignore[type-abstract] # As above.


def _open_capable(
    protocol: type[_Capable], definition: TargetDefinition, settings: Settings, report: Report
) -> _Capable:
    """Open a target whose definition promises a capability."""
    target = open_defined(definition, settings, report)
    if not isinstance(target, protocol):
        raise TypeError(
            f"{definition.implementation} is not {protocol.__name__}, but its definition promises it."
        )
    return target


def _open_best(settings: Settings, report: Report, *, keep: bool) -> Target:
    """Choose a target for ``auto``.

    The candidates are the targets with a preference, the preferred one first. A target that costs money has
    none: it is only used if somebody names it. If the settings name folders of this machine, only targets
    that can use such folders count. The first one that is ready is chosen; the last one is the fallback and
    is not checked.
    """
    candidates = list_auto_candidates()
    if (folder := _find_local_folder(settings)) is not None:
        local = [each for each in candidates if each.uses_local_folders]
        report(f"Target: {local[0].name}, because '{folder}' is a local folder.")
        return open_defined(local[0], settings, report, keep=keep)
    fallback, reasons = candidates[-1], list[str]()
    for definition in candidates[:-1]:
        target = open_defined(definition, settings, report, keep=keep)
        try:
            target.require_ready()
        except PrerequisiteError as error:
            reason = f"{error.message} {error.remedy or ''}".strip()
            reasons.append(f"{definition.title} is not ready: {reason}")
        else:
            report(
                f"Target: {definition.name}, because it is ready. "
                f"To use another, add --target {fallback.name}."
            )
            return target
    report(" ".join((f"Target: {fallback.name}.", *reasons)))
    return open_defined(fallback, settings, report, keep=keep)


def _find_local_folder(settings: Settings) -> str | None:
    """Return the name of a setting that is set to a folder of this machine."""
    names = ("lake", "stores.models")
    return next((name for name in names if "://" not in (settings.value_if_set(name) or "://")), None)
