"""Runs of a study, and earlier runs that make a new one unnecessary."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.errors import JobError, PrerequisiteError
from harness.loading.loader import LoadedScenario
from harness.plan import Plan
from harness.request import Session
from harness.resolve import resolve_plan
from harness.results import Result, VersionResult
from harness.reuse import KnownRun, find_known_runs, find_known_versions
from harness.runs import LOG, list_runs_of
from harness.views import formatting
from harness.workflow import execute


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


@dataclass(frozen=True)
class Runner:
    """A runner of a session's scenarios, which also finds earlier runs of them."""

    session: Session

    def resolve(self, loaded: LoadedScenario) -> Plan:
        """Return the plan of a run."""
        return resolve_plan(loaded, self.session.settings, self.session.target)

    def find_known(self, loaded: LoadedScenario) -> Iterator[KnownRun]:
        """Yield the finished runs with the numbers that a new one would measure, newest first."""
        return find_known_runs(self.session.settings.runs, self.resolve(loaded))

    def find_known_version(self, loaded: LoadedScenario, name: str) -> tuple[KnownRun, VersionResult] | None:
        """Return a trained version of the newest run that made it in the same way, or ``None``."""
        return next(find_known_versions(self.session.settings.runs, self.resolve(loaded), name), None)

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
