"""Lookup of the runs that a scenario's bounds compare with, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.bounds.baselines import Baselines, read_baselines
from harness.bounds.specs import list_bound_specs
from harness.errors import Problem, ScenarioError
from harness.loading.loader import LoadedScenario
from harness.loading.matrix_selection import select_combinations
from harness.plan import BaselineRun
from harness.scenario.matrix import describe_parameters


def look_up_baselines(loaded: LoadedScenario, runs: Path) -> Baselines:
    """Return the runs that bounds compare with.

    Args:
        loaded: The scenario, or one combination of its matrix.
        runs: The folder of all runs.

    Raises:
        ScenarioError: A run can't be compared with; each problem has its line in the scenario file.
    """
    try:
        return read_baselines(loaded.scenario, Path(loaded.document.file).parent, runs)
    except ScenarioError as error:
        raise loaded.document.error(list(error.problems)) from error


def check_baselines(loaded: LoadedScenario, find_runs: Callable[[], Path]) -> dict[str, BaselineRun]:
    """Check and return the runs that bounds compare with, for every combination of the scenario's matrix.

    Args:
        loaded: The scenario of the file.
        find_runs: Returns the folder of all runs; called only if a bound compares with a run.

    Raises:
        ScenarioError: A run can't be compared with; each problem has its line in the scenario file.
    """
    found: dict[str, BaselineRun] = {}
    problems: dict[tuple[object, ...], Problem] = {}
    for each in select_combinations(loaded):
        specs = list_bound_specs(each.scenario)
        if not any(spec.reference is not None and spec.reference.run is not None for spec in specs):
            continue
        try:
            found |= read_baselines(each.scenario, Path(loaded.document.file).parent, find_runs()).runs
        except ScenarioError as error:
            only = describe_parameters(each.parameters) if loaded.scenario.matrix else ""
            for problem in error.problems:
                text = f"with {only}: {problem.message}" if only else problem.message
                problems.setdefault((problem.message, problem.location), Problem(text, problem.location))
    if problems:
        raise loaded.document.error(list(problems.values()))
    return found
