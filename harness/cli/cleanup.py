"""Deletion of old runs with their tables, and of what killed runs left; bundles and MLflow's records stay."""

from __future__ import annotations

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.runs import LATEST, list_runs
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


def remove_old_runs(settings: Settings, keep: int) -> list[str]:
    """Remove all but the newest runs, with the tables they built. Runs that have not ended are kept.

    Args:
        settings: Settings that locate the runs.
        keep: Number of newest runs to keep.

    Returns:
        The IDs of the removed runs, oldest first.

    Raises:
        UsageError: ``keep`` is negative.
        PrerequisiteError: A run's tables or folder can't be removed; the other runs are removed nevertheless.
    """
    if keep < 0:
        raise UsageError(f"--keep-runs is {keep}: the number of runs to keep must be 0 or more.")
    runs = [run for run in list_runs(settings.runs) if not run.is_running]
    old = runs[: max(0, len(runs) - keep)]
    errors: list[HarnessError] = []
    for run in old:
        try:
            open_target(settings.for_target(run.target or FALLBACK)).remove_run(run.path.name)
        except HarnessError as error:
            errors.append(error)
        else:
            run.remove()
    latest = settings.runs / LATEST
    if latest.is_symlink() and not latest.exists():
        latest.unlink()
    if errors:
        raise errors[0]
    remaining = [run.path for run in old if run.path.exists()]
    if remaining:
        raise PrerequisiteError(
            f"Can't remove {remaining[0]}.", remedy="Check who owns it, or remove it manually."
        )
    return [run.path.name for run in old]
