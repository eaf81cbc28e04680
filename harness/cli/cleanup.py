"""Old runs and their tables, removed. What MLflow holds and what was published stays."""

from __future__ import annotations

from harness.errors import HarnessError, NotThereError, UsageError
from harness.runs import LATEST, list_runs
from harness.settings import Settings
from harness.targets.base import open_target


def remove_old_runs(settings: Settings, keep: int) -> list[str]:
    """Remove all but the newest runs: their folders and the tables they built. A run under way is none.

    Args:
        settings: Where runs lie.
        keep: How many of the newest stay.

    Returns:
        The ids of the runs that were removed, oldest first.

    Raises:
        UsageError: ``keep`` is negative.
        NotThereError: A run's tables or its folder can't be removed; the others are.
    """
    if keep < 0:
        raise UsageError(f"--keep is {keep}; it is the number of runs to keep, 0 or more.")
    runs = [run for run in list_runs(settings.runs) if not run.under_way]
    old = runs[: max(0, len(runs) - keep)]
    faults: list[HarnessError] = []
    for run in old:
        try:
            open_target(settings.of_target(run.target or "embedded")).remove_run(run.path.name)
        except HarnessError as error:
            faults.append(error)
        else:
            run.remove()
    latest = settings.runs / LATEST
    if latest.is_symlink() and not latest.exists():
        latest.unlink()
    if faults:
        raise faults[0]
    left = [run.path for run in old if run.path.exists()]
    if left:
        raise NotThereError(f"Can't remove {left[0]}.", remedy="See who owns it, or remove it by hand.")
    return [run.path.name for run in old]
