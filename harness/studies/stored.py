"""Runs that are kept here and that a study need not run again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.errors import NotThereError
from harness.results import Result
from harness.runs import list_runs
from harness.scenario.expect import Expect
from harness.scenario.model import Publish, Scenario
from harness.scenario.plan import Plan, SourceData


def stored_runs(runs: Path, plan: Plan) -> Iterator[tuple[Plan, Result]]:
    """Finished runs of a scenario by the same code, on the same target and from the same data, newest first.

    Args:
        runs: The folder of all runs.
        plan: The run that would be made.
    """
    if not _is_repeatable(plan):
        return
    for folder in reversed(list_runs(runs)):
        if f"-{plan.scenario.name}-" not in folder.path.name:
            continue
        try:
            stored, result = folder.read_plan(), folder.read_result()
        except NotThereError:  # Under way, broken off, or of another version of the harness.
            continue
        if result.failure is None and _same_inputs(stored, plan):
            yield stored, result


def newest_result(runs: Path, scenario: str) -> Result | None:
    """The newest result of a scenario that came to its end, whatever it was made from."""
    for folder in reversed(list_runs(runs)):
        if f"-{scenario}-" not in folder.path.name or folder.is_probe:
            continue
        try:
            result = folder.read_result()
        except NotThereError:
            continue
        if result.failure is None and result.scenario == scenario:
            return result
    return None


def essence(scenario: Scenario) -> Scenario:
    """The scenario without what says nothing of the numbers: what is expected, published and described."""
    return scenario.model_copy(
        update={
            "description": "",
            "every": Expect(),
            "versions": tuple(each.model_copy(update={"expect": Expect()}) for each in scenario.versions),
            "verdict": "pass",
            "caught_by": (),
            "matrix": {},
            "publish": Publish(),
        }
    )


def _is_repeatable(plan: Plan) -> bool:
    """Whether the same plan gives the same numbers: not where nothing tells what is in the data by now."""
    reads = [version.read for version in plan.scenario.versions if version.read is not None]
    return all(each.sha256 for each in plan.sources.values()) and all(
        each.version != "latest" for each in reads
    )


def _same_inputs(stored: Plan, plan: Plan) -> bool:
    return (
        stored.harness_version == plan.harness_version
        and stored.environment.target == plan.environment.target
        and stored.existing_table == plan.existing_table
        and stored.code_sha256 == plan.code_sha256
        and {name: _content(each) for name, each in stored.sources.items()}
        == {name: _content(each) for name, each in plan.sources.items()}
    )


def _content(source: SourceData) -> tuple[object, ...]:
    return source.sha256, source.format, source.options
