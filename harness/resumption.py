"""Runs that ended before their verdict: which of them can go on, and with which plan.

A run goes on in its own folder, under its own ID, with the steps that its job had finished. That is only
right if the same plan would be made today: the same code, libraries, scenario and data.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from harness.errors import PrerequisiteError, UsageError
from harness.loading.loader import load_scenario
from harness.loading.table_override import TABLE_URI, find_override
from harness.plan import Plan
from harness.request import RunRequest
from harness.results import Result
from harness.runs import RunFolder, list_runs_of
from harness.targets.base import Settleable
from harness.work import identify_run

_ANEW = "Run the scenario again: make scenario NAME=..."


def find_interrupted_run(runs: Path, plan: Plan, target: object) -> RunFolder | None:
    """Return the newest run that a plan would repeat, if it ended before its verdict and can go on.

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
        UsageError: The run is still running, has a verdict, or belongs to a study.
        PrerequisiteError: Its plan can't be read.
    """
    plan, name = folder.read_plan(), folder.path.name
    if folder.is_running:
        raise UsageError(f"The run {name} is still running.", remedy="Wait until it has ended.")
    if folder.has_result and (result := folder.read_result()).failure is None:
        raise UsageError(f"The run {name} has ended with the verdict '{result.verdict}'.", remedy=_ANEW)
    matrix = load_scenario(plan.scenario_file, find_override(plan)).scenario.matrix
    if plan.proof is not None or not plan.parameters.keys() <= {*matrix, TABLE_URI}:
        raise UsageError(
            f"The run {name} belongs to a study of the scenario {plan.scenario.name}.",
            remedy="Start the study again: it goes on with its runs by itself.",
        )
    return RunRequest(
        plan.scenario_file,
        plan.environment.target,
        find_override(plan),
        tuple(f"{key}={value}" for key, value in plan.parameters.items() if key in matrix),
        fresh=plan.fresh,
    )


def require_same_work(folder: RunFolder, plan: Plan, target: object) -> None:
    """Require that an interrupted run would still measure the same numbers.

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
            f"The run {name} can't go on: a run on the target {plan.environment.target} doesn't end with its "
            "command.",
            remedy=f"'harness attach {name}' follows it. {_ANEW} Models that it has trained are used.",
        )
    changed = identify_run(folder.read_plan()).describe_differences(work)
    if not changed and not _is_at_home(folder, plan):
        changed = "a store in the settings"
    if changed:
        raise UsageError(
            f"The run {name} can't go on: since then, this has changed: {changed}.", remedy=_ANEW
        )
    if not work.is_known:
        raise UsageError(
            f"The run {name} can't go on: its data is not on this machine, and may have changed since then.",
            remedy=f"{_ANEW} What is still the same is not trained again.",
        )


def describe_resumption(folder: RunFolder, result: Result | None) -> str:
    """Return the line that says which run goes on."""
    ended = folder.last_changed if result is None else result.started + timedelta(seconds=result.duration_s)
    return (
        f"Going on with the run {folder.path.name}, which ended at {ended:%Y-%m-%d %H:%M} UTC before its "
        "verdict: the steps that it finished are not repeated. To start from nothing, add --fresh to "
        "'harness scenario'."
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
    same = ("lake", "model_store", "tracking_uri", "experiment")
    here, there = plan.environment, earlier.environment
    is_same_table = plan.existing_table == earlier.existing_table
    return (
        earlier.proof is None and is_same_table and all(getattr(here, x) == getattr(there, x) for x in same)
    )
