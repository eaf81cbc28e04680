"""The command's main path: from a request to a verdict, for one run and for every combination of a matrix.

``execute`` lists the steps of a run; ``run``, ``validate`` and ``attach`` are the entry points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bounds.judge import decide_verdict, judge_versions
from harness.errors import (
    ExitCode,
    HarnessError,
    JobError,
    Location,
    PrerequisiteError,
    Problem,
    ScenarioError,
    UsageError,
    select_worst,
)
from harness.events import Listener
from harness.files import file_lock, try_lock, write_text
from harness.loading.champion_override import find_champion
from harness.loading.document import Document, GivenScenario, make_document
from harness.loading.loader import LoadedScenario, load_scenario
from harness.loading.matrix_selection import select_one
from harness.loading.table_override import find_override
from harness.parity.compare import Parity, Tolerances, combine_exit_codes, compare_as_planned
from harness.parity.counterpart import compare_with_local, plan_parity
from harness.plan import Plan
from harness.request import RunRequest, Session, make_line_printer, open_session
from harness.resolve import resolve_plan
from harness.results import Failure, MeasuredValue, Result, Verdict, VersionResult
from harness.resumption import (
    describe_resumption,
    find_interrupted_run,
    make_request,
    require_same_work,
)
from harness.reuse import KnownRun, describe_reuse, find_usable_run, make_keys, take_over
from harness.runs import PLAN, RESULT, RESUMING, RunFolder, find_run
from harness.scenario.matrix import describe_parameters
from harness.scenario.model import Scenario
from harness.setting_types import ALWAYS, PARITY_REQUIRED
from harness.settings import Settings, read_settings
from harness.settlement import settle_earlier_runs, settle_on_error, settle_result
from harness.targets.base import open_attachable, open_defined, open_schedulable, select_cloud_target
from harness.targets.registry import AUTO, TARGETS, is_local

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.terminal.command_tables import CombinationRow


@dataclass(frozen=True)
class Outcome:
    """A finished run: its result, and the folder that holds its files."""

    result: Result
    folder: Path
    parity: Parity | None = None
    """The comparison with the newest local run, of a cloud run."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process that shows this outcome."""
        return combine_exit_codes(self.result, self.parity)


def run(request: RunRequest, console: Console) -> ExitCode:
    """Run a scenario, or every combination of its matrix, and return the worst exit code.

    Args:
        request: What to run, and where.
        console: Shows progress and verdicts.

    Raises:
        HarnessError: There is no verdict; the exception has the reason and the exit code.
    """
    return run_session(open_session(request, console))


def run_session(session: Session) -> ExitCode:
    """Run a session's scenario, or every combination of its matrix, and return the worst exit code."""
    if not session.has_matrix:
        return execute(session, session.single_combination).exit_code
    rows = execute_all(session)
    show_combinations(rows, session.console)
    return select_worst(*(row.code for row in rows))


def execute(session: Session, loaded: LoadedScenario) -> Outcome:
    """Run one scenario on the session's target: the main path."""
    settle_earlier_runs(session.settings)
    plan = resolve_plan(loaded, session.settings, session.target, fresh=session.fresh)
    known = find_usable_run(session.settings.runs, plan, session.target)
    if known is not None:
        return judge_again(session, plan, known)
    interrupted = find_interrupted_run(session.settings.runs, plan, session.target)
    if interrupted is not None:
        return resume_run(session, loaded, plan, interrupted)
    return measure(session, loaded, plan)


def measure(session: Session, loaded: LoadedScenario, plan: Plan) -> Outcome:
    """Run the job of a plan, and turn its result into an outcome."""
    plan = plan_approval(plan, session.settings)
    with open_run_folder(session, plan) as folder:
        session.target.prepare(plan)
        result = run_job(session.target.run, folder.path, session.console)
        settle_result(session.target, plan, folder, result, session.report)
        raise_mistakes(result, loaded.scenario, loaded.document)
    return conclude(plan, result, folder, session.settings, session.console)


def resume_run(session: Session, loaded: LoadedScenario, plan: Plan, folder: RunFolder) -> Outcome:
    """Resume a run that ended without a verdict, after the steps that it had finished.

    Raises:
        UsageError: Another command is resuming it.
    """
    # Not the lock of the plan, which is replaced: of two commands at once, one is too late.
    with try_lock(folder.path / RESUMING) as is_first:
        if not is_first or folder.is_running:
            raise UsageError(f"Another command is resuming run {folder.path.name}.", remedy="Wait for it.")
        session.report(describe_resumption(folder))
        return measure(session, loaded, plan.resume(folder.path.name, folder.finished_steps))


def judge_again(session: Session, plan: Plan, known: KnownRun) -> Outcome:
    """Judge the numbers of an earlier run, instead of measuring them again."""
    session.report(describe_reuse(known))
    with open_run_folder(session, plan) as folder:
        result = take_over(known, plan, folder)
        folder.mark_settled()
    return conclude(plan, result, folder, session.settings, session.console)


def conclude(plan: Plan, result: Result, folder: RunFolder, settings: Settings, console: Console) -> Outcome:
    """Turn a result into an outcome: judge it again, compare it with its counterpart, report it."""
    write_confirmed_result(plan, result, folder)
    parity = compare_with_counterpart(plan, result, settings)
    # The answer first: a page whose plots must be drawn again takes most of a second.
    show_verdict(plan, result, folder, parity, console)
    write_reports(plan, result, folder, parity)
    annotate(plan, result, folder, parity, console)
    return Outcome(result, folder.path, parity)


def execute_all(
    session: Session, execute_one: Callable[[Session, LoadedScenario], Outcome] = execute
) -> list[CombinationRow]:
    """Run every combination; one that fails or is invalid doesn't stop the others.

    Args:
        session: Has the combinations.
        execute_one: Runs a combination and shows its verdict.

    Raises:
        HarnessError: A prerequisite is missing, or the user interrupted the run: that stops all of them.
    """
    rows = []
    for number, loaded in enumerate(session.combinations, 1):
        session.report(
            f"\nCombination {number} of {len(session.combinations)}: {describe_parameters(loaded.parameters)}"
        )
        rows.append(run_combination(session, loaded, execute_one))
    return rows


def run_combination(
    session: Session, loaded: LoadedScenario, execute_one: Callable[[Session, LoadedScenario], Outcome]
) -> CombinationRow:
    """Run a combination and return its row of the table."""
    from harness.report.terminal.command_tables import CombinationRow
    from harness.views.bound_table import make_headline

    try:
        outcome = execute_one(session, loaded)
    except (JobError, ScenarioError) as error:
        session.report(str(error))
        word = "error" if isinstance(error, JobError) else "invalid"
        return CombinationRow(loaded.parameters, word, error.exit_code)
    word = make_headline(outcome.result, outcome.parity).word.lower()
    return CombinationRow(loaded.parameters, word, outcome.exit_code, outcome.result.versions)


def resume(run_id: str, console: Console) -> ExitCode:
    """Resume a run that ended without a verdict.

    Args:
        run_id: The harness's own id of the run.
        console: Shows progress and the verdict.

    Raises:
        HarnessError: It can't be resumed, or ends without a verdict; the exception has the reason.
    """
    settings = read_settings()
    settle_earlier_runs(settings)
    folder = find_run(settings.runs, run_id)
    session = open_session(make_request(folder), console, takes_one=True)
    loaded = session.single_combination
    plan = resolve_plan(loaded, session.settings, session.target, fresh=session.fresh)
    require_same_work(folder, plan, session.target)
    return resume_run(session, loaded, plan, folder).exit_code


def validate(request: RunRequest, console: Console) -> ExitCode:
    """Run a scenario locally and, if it passes, in the cloud, and compare the two runs.

    Args:
        request: What to run; its target is that of the local run.
        console: Shows progress and verdicts.

    Raises:
        HarnessError: There is no verdict; the exception has the reason and the exit code.
    """
    settings = read_settings({"target": request.target})
    if request.target is not None and not is_local(request.target):
        raise UsageError(
            f"--target {request.target}: 'validate' runs locally first, then in the cloud.",
            remedy="Name a local target, or leave --target out.",
        )
    local_target = settings["target"] if is_local(settings["target"]) else AUTO
    session = open_session(replace(request, target=local_target), console, takes_one=True)
    definition = select_cloud_target(settings)
    cloud_target = open_defined(definition, settings, session.report, keep=request.keep)
    # Report a missing prerequisite of the workspace before spending minutes on the local run.
    cloud_target.require_ready()
    local = execute(session, session.single_combination)
    if local.exit_code:
        session.report("The local run did not pass, so nothing was sent to the cloud.")
        return local.exit_code
    cloud_settings = settings.for_target(definition.name).requiring_parity()
    session = replace(session, target=cloud_target, settings=cloud_settings)
    return execute(session, session.single_combination).exit_code


def attach(run_id: str, console: Console) -> Outcome:
    """Follow a run that continues in a workspace until its verdict.

    Args:
        run_id: The harness's own id of the run.
        console: Shows progress and verdicts.

    Raises:
        HarnessError: There is no verdict; the exception has the reason and the exit code.
    """
    settings = read_settings()
    folder = find_run(settings.runs, run_id)
    plan = folder.read_plan()
    if folder.is_running:
        raise UsageError(f"Another command already follows the run {folder.path.name}.")
    report = make_line_printer(console)
    if folder.has_result:
        ended = folder.read_result().ended
        report(f"The run {folder.path.name} ended at {ended:%Y-%m-%d %H:%M} UTC; its result is judged again.")
    target = open_attachable(settings, folder, report)
    with file_lock(folder.path / PLAN), settle_on_error(target, plan, folder, report):
        result = run_job(target.attach, folder.path, console)
        if has_mistakes(result):
            raise_mistakes(result, plan.scenario, find_document(plan))
    return conclude(plan, result, folder, settings, console)


def write_asset_bundle(
    request: RunRequest, folder: Path | None, console: Console, *, on_update: bool = False
) -> Path:
    """Write a Declarative Automation Bundle that schedules a scenario, and return its file.

    Args:
        request: The scenario.
        folder: The bundle's folder (default: one named after the scenario).
        console: Shows problems of the workspace.
        on_update: Whether an update of the scenario's table starts the job, instead of a schedule.
    """
    settings = read_settings({"target": request.target})
    loaded = select_one(load_scenario(request.scenario, request.table, request.champion), request.only)
    report = make_line_printer(console)
    if request.table is not None:
        report(request.table.describe(loaded.scenario))
    target = open_schedulable(settings, report)
    plan = resolve_plan(loaded, settings, target)
    folder = folder or Path("asset-bundle", plan.scenario.name)
    return target.write_schedule(plan, folder, on_update=on_update)


@contextmanager
def open_run_folder(session: Session, plan: Plan) -> Iterator[RunFolder]:
    """Create the run's folder with its plan, or open that of a run that is resumed; point ``latest`` to it.

    Remove it if a prerequisite is missing from the start, or the scenario or its data is invalid. After
    another error, it has a result that says so.
    """
    open_folder = RunFolder.reopen if plan.is_resumed else RunFolder.create
    folder = open_folder(session.settings.runs, plan.run_id)
    try:
        file = folder.path / PLAN
        write_text(file, plan.model_dump_json(indent=2, by_alias=True) + "\n")
        folder.write_keys(make_keys(plan))
        with file_lock(file), settle_on_error(session.target, plan, folder, session.report):
            # At once: if the command is killed, nobody mistakes the run before for this one.
            folder.make_latest()
            yield folder
    except (ScenarioError, PrerequisiteError) as error:
        # A run that is resumed has results of an earlier part to lose.
        if isinstance(error, PrerequisiteError) and (folder.has_result or plan.is_resumed):
            raise
        # The error that led here is the one to report, even if the clean-up fails too.
        with suppress(HarnessError):
            session.target.remove_run(plan.run_id)
        if folder.is_settled:
            folder.remove()
        raise


def run_job(run: Callable[[Path, Listener], Result], folder: Path, console: Console) -> Result:
    """Run the job, or follow one that an earlier command started, and show its progress."""
    from harness.report.terminal.progress import show_progress

    with show_progress(console) as listener:
        return run(folder, listener)


def has_mistakes(result: Result) -> bool:
    """Return whether the job found a mistake in the scenario or its data."""
    return result.failure is not None and result.failure.kind == ScenarioError.__name__


def find_document(plan: Plan) -> Document:
    """Return the document of a stored plan's scenario; one without lines if it has no file."""
    if not plan.scenario_file:
        return make_document(GivenScenario({}))
    return load_scenario(plan.scenario_file, find_override(plan), find_champion(plan)).document


def raise_mistakes(result: Result, scenario: Scenario, document: Document) -> None:
    """Raise the mistakes in a scenario or its data that only the job could find.

    Raises:
        ScenarioError: The mistakes, with their lines in the scenario file.
    """
    if result.failure is not None and has_mistakes(result):
        problems = [
            Problem(each.message, locate_in_file(scenario, each.location)) for each in result.failure.problems
        ]
        raise document.error(problems)


def locate_in_file(scenario: Scenario, location: Location) -> Location:
    """Return the location in the file: an existing table may list its versions itself."""
    if scenario.table.versions is not None and location[:1] == ("versions",):
        return ("table", *location[:2])
    return location


def write_confirmed_result(plan: Plan, result: Result, folder: RunFolder) -> None:
    """Write the result into the run's folder, wherever the job ran.

    Raises:
        JobError: The job's verdict doesn't follow from its numbers; the result then records this failure.
    """
    try:
        confirm_verdict(plan, result)
    except JobError as error:
        result = result.model_copy(update={"verdict": Verdict.NOT_PROVEN, "failure": Failure.of(error)})
        raise
    finally:
        write_text(folder.path / RESULT, result.to_json())


def confirm_verdict(plan: Plan, result: Result) -> None:
    """Judge the measurements again, and compare the verdict with the job's.

    Raises:
        JobError: The job's verdict doesn't follow from its numbers.
    """
    if result.failure is not None:
        return
    judged = judge_versions(plan.scenario, result.versions, plan.baselines)
    verdict = decide_verdict(plan.scenario, (bound for each in judged for bound in each.bounds))
    here, of_job = list_outcomes(judged), list_outcomes(result.versions)
    if here == of_job and verdict == result.verdict:
        return
    message = explain_difference(of_job, here) or (
        f"The job's verdict is '{result.verdict}', but its numbers lead to '{verdict}'."
    )
    raise JobError(message, remedy="Check that the job and this command are the same version of the harness.")


def list_outcomes(versions: Iterable[VersionResult]) -> list[tuple[str, Verdict, MeasuredValue]]:
    """Return the outcome of every bound, without its location, which results of earlier formats lack."""
    bounds = (bound for version in versions for bound in version.bounds)
    return [(bound.spec.full_name, bound.outcome, bound.distance) for bound in bounds]


def explain_difference(
    of_job: Sequence[tuple[str, Verdict, MeasuredValue]], here: Sequence[tuple[str, Verdict, MeasuredValue]]
) -> str | None:
    """Describe the first bound whose outcome differs from the job's; ``None`` if all agree."""
    for one, other in zip_longest(of_job, here):
        if one == other:
            continue
        if one is None or (other is not None and one[0] != other[0]):
            return f"The bound '{other[0]}': the job didn't judge it."
        if other is None:
            return f"The bound '{one[0]}': the job judged it, but the scenario doesn't have it."
        found, expected = _describe_outcome(*one[1:]), _describe_outcome(*other[1:])
        return f"The bound '{one[0]}': the job found {found}, but its numbers lead to {expected}."
    return None


def _describe_outcome(verdict: Verdict, distance: MeasuredValue) -> str:
    return f"'{verdict}'" if distance is None else f"'{verdict}' with a distance of {distance}"


def plan_approval(plan: Plan, settings: Settings) -> Plan:
    """Return the plan with the local run that its job must agree with before it approves a version."""
    target = plan.environment.target
    if plan.approved_table is None or is_local(target) or settings[PARITY_REQUIRED] != ALWAYS:
        return plan
    gaps = TARGETS[target].gaps
    parity = plan_parity(settings.runs, plan, read_tolerances(settings), gaps=gaps, is_local=is_local)
    return plan.model_copy(update={"parity": parity})


def compare_with_counterpart(plan: Plan, result: Result, settings: Settings) -> Parity | None:
    """Compare a cloud run with its newest local counterpart; return nothing for a local run."""
    if is_local(plan.environment.target):
        return None
    if plan.parity is not None:  # The job has compared it with this run, too.
        return compare_as_planned(plan.parity, result)
    gaps = TARGETS[plan.environment.target].gaps
    # The run itself may have been asked for by 'validate', and is now followed by 'attach'.
    asked = [each.value for each in plan.settings if each.name == PARITY_REQUIRED]
    return compare_with_local(
        settings.runs,
        plan,
        result,
        read_tolerances(settings),
        gaps=gaps,
        is_local=is_local,
        required=ALWAYS in (settings[PARITY_REQUIRED], *asked),
    )


def read_tolerances(settings: Settings) -> Tolerances:
    """Return the tolerances between a local and a cloud run."""
    return Tolerances(**{name: float(settings[f"parity.{name}"]) for name in Tolerances.model_fields})


def write_reports(plan: Plan, result: Result, folder: RunFolder, parity: Parity | None) -> None:
    """Write the reports into the run's folder."""
    from harness.report import write_reports as write

    write(plan, result, folder.path, parity)


def show_verdict(
    plan: Plan, result: Result, folder: RunFolder, parity: Parity | None, console: Console
) -> None:
    """Show the verdict and the path of the report."""
    from harness.report.terminal import verdict_summary
    from harness.views.run_info import list_reads

    verdict_summary.show_verdict(console, result, folder.path, parity, list_reads(plan, result))


def annotate(plan: Plan, result: Result, folder: RunFolder, parity: Parity | None, console: Console) -> None:
    """Annotate the scenario's lines with the failed bounds, if this is a step of a GitHub workflow."""
    from harness.report import github

    github.announce(console, plan, result, folder.path, parity)


def show_combinations(rows: list[CombinationRow], console: Console) -> None:
    """Show every combination of a matrix with its verdict."""
    from harness.report.terminal.command_tables import show_matrix

    show_matrix(console, rows)
