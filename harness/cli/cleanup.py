"""Deletion of old runs with their tables and bundles, and of what killed runs left; MLflow's records stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from harness.cli.bundle_cleanup import BundleCleanup, RemovableBundles
from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.runs import LATEST, RunFolder, list_runs, read_removed, record_removed
from harness.settings import Settings
from harness.settlement import remove_unfinished_bundles, settle_earlier_runs
from harness.targets.base import Report, open_target
from harness.targets.registry import FALLBACK


def remove_leftovers(settings: Settings, report: Report) -> int:
    """Settle earlier runs, and remove what they did not finish: temporary files and tables, and bundles.

    Returns:
        The number of removed bundles that no run had completed.
    """
    settle_earlier_runs(settings, report)
    return remove_unfinished_bundles(settings, report)


@dataclass(frozen=True)
class Removed:
    """What was removed, or would be."""

    runs: tuple[str, ...]
    """IDs of the runs, oldest first."""
    bundles: tuple[str, ...]
    """URIs of the bundles in model stores."""

    @classmethod
    def of(cls, found: Mapping[RunFolder, RemovableBundles]) -> Removed:
        """Return runs with their bundles; runs may share some."""
        bundles = dict.fromkeys(uri for each in found.values() for uri in each.bundles)
        return cls(tuple(run.path.name for run in found), tuple(bundles))


def remove_old_runs(
    settings: Settings, keep: int, report: Report = lambda _line: None, *, is_dry_run: bool = False
) -> Removed:
    """Remove all but the newest runs, with their tables and bundles. Runs that have not ended are kept.

    Args:
        settings: Settings that locate the runs.
        keep: Number of newest runs to keep.
        report: Shows which bundles stay, and why.
        is_dry_run: Whether to remove nothing, and only find what would be removed.

    Raises:
        UsageError: ``keep`` is negative.
        PrerequisiteError: A run's tables, bundles or folder can't be removed; the other runs are removed
            nevertheless.
    """
    if keep < 0:
        raise UsageError(f"--keep-runs is {keep}: the number of runs to keep must be 0 or more.")
    ended = [run for run in list_runs(settings.runs) if not run.is_running]
    old = ended[: max(0, len(ended) - keep)]
    errors: list[HarnessError] = []
    found = _find_bundles(settings, old, report, errors)
    if is_dry_run:
        _raise_first(errors)
        return Removed.of(found)
    cleared = [run for run in found if _succeeds(partial(_remove_tables, settings, run), errors)]
    if len(cleared) < len(found):  # The others are kept, with what they use.
        found = _find_bundles(settings, cleared, report, errors)
    removed = {
        run: bundles
        for run, bundles in found.items()
        if _succeeds(partial(_remove_run, settings, run, bundles), errors)
    }
    latest = settings.runs / LATEST
    if latest.is_symlink() and not latest.exists():
        latest.unlink()
    _raise_first(errors)
    return Removed.of(removed)


def _find_bundles(
    settings: Settings, old: Sequence[RunFolder], report: Report, errors: list[HarnessError]
) -> dict[RunFolder, RemovableBundles]:
    """Return the bundles that can be removed with each run, without the runs whose store can't be read."""
    removed = {*read_removed(settings.runs), *(run.path.name for run in old)}
    cleanup = BundleCleanup(settings, [run for run in list_runs(settings.runs) if run not in old], removed)
    found: dict[RunFolder, RemovableBundles] = {}
    for run in old:
        try:
            found[run] = cleanup.find(run)
        except HarnessError as error:
            errors.append(error)
    if len(found) < len(old):  # A run that is left out is kept, with what it uses.
        return _find_bundles(settings, list(found), report, errors)
    for line in cleanup.stays:
        report(line)
    return found


def _remove_tables(settings: Settings, run: RunFolder) -> None:
    open_target(settings.for_target(run.target or FALLBACK)).remove_run(run.path.name)


def _remove_run(settings: Settings, run: RunFolder, bundles: RemovableBundles) -> None:
    """Remove the bundles and the folder of a run.

    Raises:
        PrerequisiteError: One of them can't be removed.
    """
    bundles.remove()
    record_removed(settings.runs, run.path.name)
    run.remove()
    if run.path.exists():
        raise PrerequisiteError(
            f"Can't remove {run.path}.", remedy="Check who owns it, or remove it manually."
        )


def _succeeds(action: Callable[[], None], errors: list[HarnessError]) -> bool:
    """Return whether an action succeeds; otherwise, its error is added to the others."""
    try:
        action()
    except HarnessError as error:
        errors.append(error)
        return False
    return True


def _raise_first(errors: Sequence[HarnessError]) -> None:
    if errors:
        raise errors[0]
