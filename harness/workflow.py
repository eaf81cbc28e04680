"""One run of one scenario, from its file to its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bounds.judge import judge_versions, overall
from harness.errors import (
    ExitCode,
    HarnessError,
    InterruptedRunError,
    JobError,
    Location,
    LostRunError,
    NotThereError,
    Problem,
    ScenarioError,
    UsageError,
)
from harness.events import Listener
from harness.files import held, write_text
from harness.loading.loader import LoadedScenario, load_scenario
from harness.loading.matrix_selection import single
from harness.loading.table_override import GivenTable, given_in
from harness.parity.compare import CLOUD, Parity, Tolerances, exit_code
from harness.parity.counterpart import compare_with_local
from harness.plan import Plan
from harness.resolve import resolve_plan
from harness.results import Result
from harness.runs import PLAN, RESULT, RunFolder, find_run
from harness.scenario.model import Scenario
from harness.settings import Settings, read_settings
from harness.targets.base import Target, open_target
from harness.targets.databricks.databricks_target import Databricks

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Outcome:
    """A finished run: what came out, and the folder in which everything about it lies."""

    result: Result
    folder: Path
    parity: Parity | None = None
    """Held against the newest local run, where it ran on the cloud."""

    @property
    def exit_code(self) -> ExitCode:
        """What the process that shows it should exit with."""
        return exit_code(self.result, self.parity)


def run_scenario(
    scenario: str,
    target: str | None,
    console: Console,
    *,
    keep: bool = False,
    table: GivenTable | None = None,
    only: Sequence[str] = (),
) -> Outcome:
    """Run one scenario on one target; of a matrix one combination.

    Args:
        scenario: Name or file.
        target: Name of the target; the settings' where it is ``None``.
        console: Where progress and verdict are shown.
        keep: What the run brought up outlives a fault.
        table: To be read in place of the one that the scenario names.
        only: ``PLACE=VALUE`` each, which combination of a matrix.

    Raises:
        HarnessError: There is no verdict; the exception says why, and with which exit code to end.
    """
    settings = read_settings({"target": target})
    loaded = single(load_scenario(scenario, table), only)
    if table is not None:
        _say_on(console)(table.words(loaded.scenario))
    place = open_target(settings, _say_on(console), keep=keep)
    return run_there(place, loaded, settings, console)


def run_there(place: Target, loaded: LoadedScenario, settings: Settings, console: Console) -> Outcome:
    """Run one scenario on a target that is open: the main path."""
    plan = resolve_plan(loaded, settings, place)
    with run_folder(settings, place, plan) as folder:
        place.prepare(plan)
        result = run_job(place.run, folder, console)
        raise_mistakes(result, loaded)
    return conclude(plan, result, folder, settings, console)


def attach_run(run_id: str, console: Console) -> Outcome:
    """Take up a run again that goes on in a workspace, and bring it to its verdict.

    Args:
        run_id: The harness's own.
        console: Where progress and verdict are shown.

    Raises:
        HarnessError: There is no verdict; the exception says why, and with which exit code to end.
    """
    settings = read_settings({"target": CLOUD})
    folder = find_run(settings.runs, run_id)
    plan = folder.read_plan()
    if folder.under_way:
        raise UsageError(f"The run {folder.path.name} is followed by another command.")
    place = Databricks(settings, _say_on(console))
    with held(folder.path / PLAN):
        result = run_job(place.attach, folder, console)
        if result.failure is not None and result.failure.kind == ScenarioError.__name__:
            raise_mistakes(result, load_scenario(plan.scenario_file, given_in(plan)))
    return conclude(plan, result, folder, settings, console)


def validate(
    scenario: str, target: str | None, console: Console, *, keep: bool = False, only: Sequence[str] = ()
) -> ExitCode:
    """Run a scenario here and, where that passes, on the cloud, and hold the two runs against each other.

    Args:
        scenario: Name or file.
        target: Of the run here; the settings' where it is ``None``.
        console: Where progress and verdicts are shown.
        keep: What a run brought up outlives a fault.
        only: ``PLACE=VALUE`` each, which combination of a matrix.

    Raises:
        HarnessError: There is no verdict; the exception says why, and with which exit code to end.
    """
    # What the workspace lacks is told before minutes are spent here.
    settings = read_settings({"target": target})
    loaded = single(load_scenario(scenario), only)
    cloud = Databricks(settings.of_target(CLOUD), _say_on(console), keep=keep)
    cloud.require_ready()
    here = "auto" if settings["target"] == CLOUD else settings["target"]
    local = run_scenario(scenario, here, console, keep=keep, only=only)
    if local.exit_code:
        console.print("The local run does not pass: nothing was sent to the cloud.", markup=False)
        return local.exit_code
    return run_there(cloud, loaded, settings.of_target(CLOUD), console).exit_code


def write_asset_bundle(
    scenario: str, folder: Path | None, console: Console, only: Sequence[str] = ()
) -> Path:
    """Write a Databricks Asset Bundle that runs a scenario on a schedule, and give its file.

    Args:
        scenario: Name or file.
        folder: The bundle's own; one by the scenario's name where it is ``None``.
        console: Where faults of the workspace are told.
        only: ``PLACE=VALUE`` each, which combination of a matrix.
    """
    from harness.targets.databricks.asset_bundle import write

    settings = read_settings({"target": CLOUD})
    place = Databricks(settings, _say_on(console))
    plan = resolve_plan(single(load_scenario(scenario), only), settings, place)
    return write(settings, plan, place, folder or Path("asset-bundle", plan.scenario.name))


def conclude(plan: Plan, result: Result, folder: RunFolder, settings: Settings, console: Console) -> Outcome:
    """From a result to what is made of it: the verdict again, parity, reports."""
    write_result(result, folder.path)
    confirm_verdict(plan, result)
    parity = compare_with_local_run(plan, result, settings)
    write_reports(plan, result, folder.path, parity)
    folder.make_latest()
    show(result, folder.path, console, parity)
    announce(plan, result, folder.path, console, parity)
    return Outcome(result, folder.path, parity)


@contextmanager
def run_folder(settings: Settings, target: Target, plan: Plan) -> Iterator[RunFolder]:
    """The run's folder with the plan in it; a run that never was leaves nothing behind."""
    folder = RunFolder.create(settings.runs, plan.run_id)
    try:
        file = folder.path / PLAN
        write_text(file, plan.model_dump_json(indent=2, by_alias=True) + "\n")
        with held(file):
            yield folder
    except (ScenarioError, NotThereError):
        # Where it can't be removed, the fault that led here is the one to be told.
        with suppress(HarnessError):
            target.remove_run(plan.run_id)
        folder.remove()
        raise


def run_job(run: Callable[[Path, Listener], Result], folder: RunFolder, console: Console) -> Result:
    """Run the job, or take it up again, where the target says, showing what it does."""
    from harness.report.terminal.verdict_summary import progress

    try:
        with progress(console) as listener:
            return run(folder.path, listener)
    except (JobError, InterruptedRunError, LostRunError):
        folder.make_latest()
        raise


def raise_mistakes(result: Result, loaded: LoadedScenario) -> None:
    """A mistake in the scenario or its data that only the job could see is told like any other.

    Raises:
        ScenarioError: With the lines of the scenario.
    """
    if result.failure is not None and result.failure.kind == ScenarioError.__name__:
        problems = [
            Problem(each.message, _place_in_file(loaded.scenario, each.location))
            for each in result.failure.problems
        ]
        raise loaded.document.error(problems)


def _place_in_file(scenario: Scenario, location: Location) -> Location:
    """Where the file has what the job names: the versions of a table that is there may stand beside it."""
    if scenario.table.versions is not None and location[:1] == ("versions",):
        return ("table", *location[:2])
    return location


def confirm_verdict(plan: Plan, result: Result) -> None:
    """Judge again from the result alone.

    Raises:
        JobError: The job came to another verdict than its numbers lead to.
    """
    if result.failure is not None:
        return
    judged = judge_versions(plan.scenario, result.versions, plan.baselines)
    verdict = overall(bound for each in judged for bound in each.bounds)
    if judged != result.versions or verdict != result.verdict:
        raise JobError(f"The job's verdict is '{result.verdict}', but its numbers lead to '{verdict}'.")


def write_result(result: Result, folder: Path) -> None:
    """Keep the result in the run's folder, wherever it came from."""
    write_text(folder / RESULT, result.model_dump_json(indent=2, by_alias=True) + "\n")


def compare_with_local_run(plan: Plan, result: Result, settings: Settings) -> Parity | None:
    """A run on the cloud held against the newest local run of the same; no other is held against any."""
    if plan.environment.target != CLOUD:
        return None
    tolerances = {name: float(settings[f"parity.{name}"]) for name in Tolerances.model_fields}
    return compare_with_local(settings.runs, plan, result, Tolerances(**tolerances))


def write_reports(plan: Plan, result: Result, folder: Path, parity: Parity | None) -> None:
    """Write the reports into the run's folder."""
    from harness.report import write_reports as write

    write(plan, result, folder, parity)


def show(result: Result, folder: Path, console: Console, parity: Parity | None) -> None:
    """Show the verdict, and where the report lies."""
    from harness.report.terminal.verdict_summary import show_verdict

    show_verdict(console, result, folder, parity)


def announce(plan: Plan, result: Result, folder: Path, console: Console, parity: Parity | None) -> None:
    """Let GitHub show what failed beside the scenario's lines, where the run is a step of a workflow."""
    from harness.report import github

    github.announce(console, plan, result, folder, parity)


def _say_on(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(line, markup=False, soft_wrap=True)
