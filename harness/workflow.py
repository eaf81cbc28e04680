"""One run of one scenario, from its file to its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, InterruptedRunError, JobError, NotThereError, Problem, ScenarioError
from harness.files import held, sha256_of, write_text
from harness.results import Result
from harness.runs import PLAN, RESULT, RunFolder, new_run_id
from harness.scenario.loader import LoadedScenario, load_scenario
from harness.scenario.plan import Environment, Plan, Setting, SourceData
from harness.settings import STORES, Settings, read_settings
from harness.targets import Target, open_target
from harness.verdict.bounds import judge_versions, overall

if TYPE_CHECKING:
    from rich.console import Console

DISTRIBUTION = "dataset-harness"


@dataclass(frozen=True)
class Outcome:
    """A finished run: what came out, and the folder in which everything about it lies."""

    result: Result
    folder: Path


def run_scenario(scenario: str, target: str | None, console: Console, *, keep: bool = False) -> Outcome:
    """Run one scenario on one target.

    Args:
        scenario: Name or file.
        target: Name of the target; the settings' where it is ``None``.
        console: Where progress and verdict are shown.
        keep: What the run brought up outlives a fault.

    Raises:
        HarnessError: There is no verdict; the exception says why, and with which exit code to end.
    """
    settings = read_settings({"target": target})
    loaded = load_scenario(scenario)
    place = open_target(settings, lambda line: console.print(line, markup=False, soft_wrap=True), keep=keep)
    plan = resolve_plan(loaded, settings, place)
    with run_folder(settings, place, plan) as folder:
        place.prepare(plan)
        try:
            result = run_job(place, folder, console)
        except (JobError, InterruptedRunError):
            folder.make_latest()
            raise
        raise_mistakes(result, loaded)
    write_result(result, folder.path)
    confirm_verdict(plan, result)
    write_reports(plan, result, folder.path)
    folder.make_latest()
    show(result, folder.path, console)
    return Outcome(result, folder.path)


def resolve_plan(loaded: LoadedScenario, settings: Settings, target: Target) -> Plan:
    """Everything decided: the job's only input."""
    source = loaded.source
    scenario = loaded.scenario
    environment = target.environment(_size_of(source.path), scenario.publish.to)
    return Plan(
        run_id=new_run_id(scenario.name),
        harness_version=version(DISTRIBUTION),
        scenario=scenario,
        scenario_file=loaded.document.file,
        scenario_sha256=loaded.sha256,
        environment=environment,
        source=target.place(
            SourceData(
                uri=source.uri,
                format=source.format,
                options=source.options,
                sha256=sha256_of(source.path) if source.path and source.path.is_file() else None,
            )
        ),
        settings=tuple(_in_force(settings, environment, scenario.publish.to)),
    )


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


def run_job(target: Target, folder: RunFolder, console: Console) -> Result:
    """Run the job where the target says, showing what it does."""
    from harness.report.terminal import progress

    with progress(console) as listener:
        return target.run(folder.path, listener)


def raise_mistakes(result: Result, loaded: LoadedScenario) -> None:
    """A mistake in the scenario or its data that only the job could see is told like any other.

    Raises:
        ScenarioError: With the lines of the scenario.
    """
    if result.failure is not None and result.failure.kind == ScenarioError.__name__:
        problems = [Problem(each.message, each.location) for each in result.failure.problems]
        raise loaded.document.error(problems)


def confirm_verdict(plan: Plan, result: Result) -> None:
    """Judge again from the result alone.

    Raises:
        JobError: The job came to another verdict than its numbers lead to.
    """
    if result.failure is not None:
        return
    judged = judge_versions(plan.scenario.versions, result.versions)
    verdict = overall(bound for each in judged for bound in each.bounds)
    if judged != result.versions or verdict != result.verdict:
        raise JobError(f"The job's verdict is '{result.verdict}', but its numbers lead to '{verdict}'.")


def write_result(result: Result, folder: Path) -> None:
    """Keep the result in the run's folder, wherever it came from."""
    write_text(folder / RESULT, result.model_dump_json(indent=2, by_alias=True) + "\n")


def write_reports(plan: Plan, result: Result, folder: Path) -> None:
    """Write the reports into the run's folder."""
    from harness.report import write_reports as write

    write(plan, result, folder)


def show(result: Result, folder: Path, console: Console) -> None:
    """Show the verdict, and where the report lies."""
    from harness.report.terminal import show_verdict

    show_verdict(console, result, folder)


def _in_force(settings: Settings, environment: Environment, store: str) -> Iterator[Setting]:
    """The settings as they are in force: a target has places of its own where nobody has named others."""
    own = {
        "lake": environment.lake,
        f"{STORES}{store}": environment.model_store,
        "tracking_uri": environment.tracking_uri,
    }
    for setting in settings:
        value = own.get(setting.name, setting.value)
        if value == setting.value:
            yield setting
        else:
            yield Setting(name=setting.name, value=value, origin=f"target {environment.target}")


def _size_of(path: Path | None) -> int | None:
    if path is None:
        return None
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
