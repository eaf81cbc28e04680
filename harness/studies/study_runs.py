"""Runs of a study, and stored runs that make a new one unnecessary."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.errors import JobError, PrerequisiteError
from harness.loading.loader import LoadedScenario
from harness.plan import Plan, SourceData
from harness.request import Session
from harness.resolve import resolve_plan
from harness.results import Result
from harness.runs import LOG, list_runs_of
from harness.scenario.expectations import Expect
from harness.scenario.model import Publish, Scenario
from harness.scenario.proof import Proof
from harness.scenario.prove import Prove
from harness.views import formatting
from harness.workflow import execute


def find_stored_runs(runs: Path, plan: Plan) -> Iterator[tuple[Plan, Result]]:
    """Yield finished runs with the same scenario name, code, target and data as a plan, newest first.

    Args:
        runs: The folder of all runs.
        plan: The run that would be started.
    """
    if not _is_repeatable(plan):
        return
    for folder in list_runs_of(runs, plan.scenario.name):
        try:
            stored, result = folder.read_plan(), folder.read_result()
        except PrerequisiteError:  # Running, broken, or written by another version of the harness.
            continue
        if result.failure is None and _has_same_inputs(stored, plan) and folder.has_intact_result:
            yield stored, result


def find_newest_result(runs: Path, scenario: str) -> Result | None:
    """Return the newest result of a finished run of a scenario, whatever its code and data."""
    for folder in list_runs_of(runs, scenario):
        if folder.is_bisection_run:
            continue
        try:
            result = folder.read_result()
        except PrerequisiteError:
            continue
        if result.failure is None and result.scenario == scenario:
            return result
    return None


def strip_expectations(scenario: Scenario) -> Scenario:
    """Return the part of a scenario that determines its numbers: no bounds, publishing or description."""
    return scenario.model_copy(
        update={
            "description": "",
            "every": Expect(),
            "versions": tuple(each.model_copy(update={"expect": Expect()}) for each in scenario.versions),
            "observe": False,
            "proof": Proof(),
            "prove": Prove(),
            "verdict": "pass",
            "caught_by": (),
            "matrix": {},
            "publish": Publish(),
        }
    )


def _is_repeatable(plan: Plan) -> bool:
    """Return whether the same plan gives the same numbers, as its data can't have changed unnoticed."""
    reads = [version.read for version in plan.scenario.versions if version.read is not None]
    return all(each.sha256 for each in plan.sources.values()) and all(
        each.version != "latest" for each in reads
    )


def _has_same_inputs(stored: Plan, plan: Plan) -> bool:
    return (
        stored.harness_version == plan.harness_version
        and stored.environment.target == plan.environment.target
        and stored.existing_table == plan.existing_table
        and stored.code_sha256 == plan.code_sha256
        and {name: _select_content(each) for name, each in stored.sources.items()}
        == {name: _select_content(each) for name, each in plan.sources.items()}
    )


def _select_content(source: SourceData) -> tuple[object, ...]:
    return source.sha256, source.format, source.options


StoredRunFilter = Callable[[Plan, Result], bool]
"""Returns whether a stored run, given its plan and result, can be used."""


@dataclass(frozen=True)
class Runner:
    """A runner of a session's scenarios, which also finds stored runs of them."""

    session: Session

    def resolve(self, loaded: LoadedScenario) -> Plan:
        """Return the plan of a run."""
        return resolve_plan(loaded, self.session.settings, self.session.target)

    def find_stored(self, loaded: LoadedScenario, is_usable: StoredRunFilter) -> Result | None:
        """Return the newest usable result with the same code and data, or ``None``."""
        stored = find_stored_runs(self.session.settings.runs, self.resolve(loaded))
        return next((result for plan, result in stored if is_usable(plan, result)), None)

    def run(self, loaded: LoadedScenario, what: str) -> Result:
        """Run a scenario without showing its verdict, which doesn't matter to a study.

        Args:
            loaded: The scenario.
            what: Description of the run, for messages.

        Raises:
            JobError: The job failed.
            HarnessError: There is no result; the exception has the reason.
        """
        self.report(f"{what}: running ...")
        quiet = replace(self.session, console=Console(file=io.StringIO(), quiet=True))
        outcome = execute(quiet, loaded)
        failure = outcome.result.failure
        if failure is not None:
            raise JobError(f"{what}: {failure.message}", remedy=f"See {outcome.folder / LOG}.")
        self.report(
            f"{what}: run {outcome.result.run_id}, {formatting.format_seconds(outcome.result.duration_s)}"
        )
        return outcome.result

    def report(self, line: str) -> None:
        """Show a line of progress."""
        self.session.report(line)
