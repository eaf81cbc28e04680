"""Runs that studies make: quiet ones, each told in a line."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from harness.errors import JobError
from harness.planning import resolve_plan
from harness.report import words
from harness.report.console import write_line
from harness.results import Result
from harness.scenario.loader import LoadedScenario
from harness.scenario.plan import Plan
from harness.settings import Settings
from harness.studies.stored import stored_runs
from harness.targets import Target
from harness.workflow import run_there

Fits = Callable[[Plan, Result], bool]
"""Whether a stored run, by its plan and result, has what is asked for."""


@dataclass(frozen=True)
class Runner:
    """Runs scenarios on one target, and takes what has run there before."""

    place: Target
    settings: Settings
    console: Console

    def plan(self, loaded: LoadedScenario) -> Plan:
        """What would be run."""
        return resolve_plan(loaded, self.settings, self.place)

    def stored(self, loaded: LoadedScenario, fits: Fits) -> Result | None:
        """The newest stored result of the same code and data that fits."""
        found = stored_runs(self.settings.runs, self.plan(loaded))
        return next((result for plan, result in found if fits(plan, result)), None)

    def run(self, loaded: LoadedScenario, what: str) -> Result:
        """Run a scenario without showing its verdict, which is not what is asked for.

        Raises:
            JobError: The job broke.
            HarnessError: There is no result; the exception says why.
        """
        self.say(f"{what}: running ...")
        quiet = Console(file=io.StringIO(), quiet=True)
        outcome = run_there(self.place, loaded, self.settings, quiet)
        failure = outcome.result.failure
        if failure is not None:
            raise JobError(f"{what}: {failure.message}", remedy=f"Everything about the run: {outcome.folder}")
        self.say(f"{what}: run {outcome.result.run_id}, {words.seconds(outcome.result.duration_s)}")
        return outcome.result

    def say(self, line: str) -> None:
        """Tell one line."""
        write_line(self.console, Text(line))
