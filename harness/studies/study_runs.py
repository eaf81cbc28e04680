"""Runs that are kept here and that a study need not run again."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.errors import JobError, NotThereError
from harness.loading.loader import LoadedScenario
from harness.plan import Plan, SourceData
from harness.request import Session
from harness.resolve import resolve_plan
from harness.results import Result
from harness.runs import list_runs
from harness.scenario.expectations import Expect
from harness.scenario.model import Publish, Scenario
from harness.views import formatting
from harness.workflow import execute


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


Fits = Callable[[Plan, Result], bool]
"""Whether a stored run, by its plan and result, has what is asked for."""


@dataclass(frozen=True)
class Runner:
    """Runs scenarios of a session, or finds runs that are stored already."""

    session: Session

    def plan(self, loaded: LoadedScenario) -> Plan:
        """What would be run."""
        return resolve_plan(loaded, self.session.settings, self.session.target)

    def stored(self, loaded: LoadedScenario, fits: Fits) -> Result | None:
        """The newest stored result of the same code and data that fits."""
        found = stored_runs(self.session.settings.runs, self.plan(loaded))
        return next((result for plan, result in found if fits(plan, result)), None)

    def run(self, loaded: LoadedScenario, what: str) -> Result:
        """Run a scenario without showing its verdict, which is not what is asked for.

        Raises:
            JobError: The job broke.
            HarnessError: There is no result; the exception says why.
        """
        self.say(f"{what}: running ...")
        quiet = replace(self.session, console=Console(file=io.StringIO(), quiet=True))
        outcome = execute(quiet, loaded)
        failure = outcome.result.failure
        if failure is not None:
            raise JobError(f"{what}: {failure.message}", remedy=f"Everything about the run: {outcome.folder}")
        self.say(f"{what}: run {outcome.result.run_id}, {formatting.seconds(outcome.result.duration_s)}")
        return outcome.result

    def say(self, line: str) -> None:
        """Show one line."""
        self.session.report(line)
