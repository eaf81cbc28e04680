"""Runs that ended without a verdict: which of them can be resumed, and with which plan.

A run is resumed in its own folder, under its own ID, with the steps that its job had finished. That is only
right if the same plan would be made today: the same code, libraries, scenario and data.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import RUN_AGAIN, PrerequisiteError, UsageError
from harness.loading.champion_override import find_champion
from harness.loading.loader import load_scenario
from harness.loading.table_override import find_override
from harness.plan import Plan
from harness.request import RunRequest
from harness.runs import RunFolder, list_runs_of
from harness.storage.uris import remove_password
from harness.targets.base import Settleable
from harness.work import identify_run


def find_interrupted_run(runs: Path, plan: Plan, target: object) -> RunFolder | None:
    """Return the newest run that a plan would repeat, if it ended without a verdict and can be resumed.

    Args:
        runs: The folder of all runs.
        plan: The run that would be started.
        target: Its target.
    """
    work = identify_run(plan)
    if plan.fresh or not work.is_known or not isinstance(target, Settleable):
        return None
    for folder in list_runs_of(runs, plan.scenario.name):
        if folder.read_keys().run == work.key:
            has_begun = bool(folder.finished_steps) and not folder.is_running
            return folder if has_begun and _has_failed(folder) and _is_at_home(folder, plan) else None
    return None


def make_request(folder: RunFolder) -> RunRequest:
    """Return the request that an interrupted run came from.

    Raises:
        UsageError: The run is still running, has a verdict, or is part of something else.
        PrerequisiteError: Its plan can't be read.
    """
    plan, name = folder.read_plan(), folder.path.name
    if folder.is_running:
        raise UsageError(f"Run {name} is still running.", remedy="Wait until it has ended.")
    if folder.has_result and (result := folder.read_result()).failure is None:
        raise UsageError(f"Run {name} has ended with the verdict '{result.verdict}'.", remedy=RUN_AGAIN)
    if plan.probe is not None:
        raise UsageError(f"Run {name} is a replay.", remedy="Start it again: 'harness replay RUN_ID'.")
    if not plan.scenario_file:
        raise UsageError(
            f"Can't resume run {name}: its scenario has no file, because it was given in Python.",
            remedy="Run it again in the same way: harness.run(...) resumes the run if nothing has changed.",
        )
    override = find_override(plan)
    matrix = load_scenario(plan.scenario_file, override, find_champion(plan)).scenario.matrix
    known = {*matrix, *(() if override is None else override.parameters)}
    if plan.proof is not None or not plan.parameters.keys() <= known:
        raise UsageError(
            f"Run {name} is part of a study of the scenario {plan.scenario.name}.",
            remedy="Start the study again; it uses what its runs have measured.",
        )
    return RunRequest(
        plan.scenario_file,
        plan.environment.target,
        override,
        tuple(f"{key}={value}" for key, value in plan.parameters.items() if key in matrix),
        fresh=plan.fresh,
    )


def require_same_work(folder: RunFolder, plan: Plan, target: object) -> None:
    """Require that an interrupted run would still measure the same numbers, in the same places.

    Args:
        folder: The run.
        plan: The plan that is made for it now.
        target: Its target.

    Raises:
        UsageError: Something has changed, or that is not known.
    """
    name, work = folder.path.name, identify_run(plan)
    if not isinstance(target, Settleable):
        raise UsageError(
            f"Can't resume run {name}: runs on the target {plan.environment.target} continue after their "
            "command has ended.",
            remedy=f"Follow it with 'harness attach {name}', or run the scenario again; it uses the models "
            "that were trained.",
        )
    earlier = folder.read_plan()
    changed = [identify_run(earlier).describe_differences(work), *_list_moved(earlier, plan)]
    if any(changed):
        raise UsageError(
            f"Can't resume run {name}: this has changed since it ran: {'; '.join(filter(None, changed))}.",
            remedy=RUN_AGAIN,
        )
    if not work.is_known:
        raise UsageError(
            f"Can't resume run {name}: its data is not on this machine, and may have changed since it ran.",
            remedy=f"{RUN_AGAIN} What is still the same is not trained again.",
        )


def describe_resumption(folder: RunFolder) -> str:
    """Return the line that says which run is resumed."""
    result = folder.read_result() if folder.has_result else None
    ended = folder.last_changed if result is None else result.ended
    return (
        f"Resuming run {folder.path.name}, which stopped at {ended:%Y-%m-%d %H:%M} UTC without a verdict. "
        "Finished steps are not repeated. To start over, add --fresh to 'harness scenario'."
    )


def _has_failed(folder: RunFolder) -> bool:
    try:
        return folder.read_result().failure is not None
    except PrerequisiteError:
        return False  # Another version of the harness wrote it.


def _is_at_home(folder: RunFolder, plan: Plan) -> bool:
    """Return whether the run's table and its MLflow runs are where the plan would have them."""
    try:
        earlier = folder.read_plan()
    except PrerequisiteError:
        return False
    return earlier.proof is None and earlier.probe is None and not _list_moved(earlier, plan)


def _list_moved(earlier: Plan, plan: Plan) -> list[str]:
    """Return in words which of a run's places are other ones now."""
    places = (
        ("lake", earlier.environment.lake, plan.environment.lake),
        ("model store", earlier.environment.model_store, plan.environment.model_store),
        ("tracking_uri", earlier.environment.tracking_uri, plan.environment.tracking_uri),
        ("experiment", earlier.environment.experiment, plan.environment.experiment),
        ("table", earlier.existing_table or "", plan.existing_table or ""),
    )
    return [
        f"{name} is {remove_password(now)}, was {remove_password(then)}"
        for name, then, now in places
        if then != now
    ]
