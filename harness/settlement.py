"""Settlement of runs that failed: nothing remains of what a job published, opened or wrote aside.

A job that fails cleans up itself. If it is killed, or a store doesn't answer, its command settles the run.
What no command could settle, the next one settles. A run that has no result gets one that says why, and one
without reports gets them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.errors import (
    ExitCode,
    HarnessError,
    InterruptedRunError,
    JobError,
    LostRunError,
    PrerequisiteError,
    ScenarioError,
    format_first_line,
)
from harness.files import write_text
from harness.plan import Environment, Plan
from harness.results import Failure, Result
from harness.runs import RESULT, RunFolder, list_runs
from harness.setting_types import Settings
from harness.storage.model_store import open_store, withdraw_bundles
from harness.storage.uris import SCHEME
from harness.targets.base import Report, Settleable, open_settleable

if TYPE_CHECKING:
    from harness.tracking.open_runs import CloseStatus


_logger = logging.getLogger(__name__)
_MOST_TIME_TO_PUBLISH = timedelta(days=1)


@contextmanager
def settle_on_error(target: object, plan: Plan, run: RunFolder, report: Report) -> Iterator[None]:
    """Settle a run if the block fails, and write the result that its job did not write.

    Args:
        target: The run's target. A run on a target that isn't settleable may continue without its command.
        plan: The run's plan.
        run: The run's folder.
        report: Shows the user what couldn't be settled.
    """
    if isinstance(target, Settleable):
        run.mark_unsettled()
    try:
        yield
    except LostRunError:
        raise
    except BaseException as error:
        has_begun, failure = bool(run.announcements) or plan.is_resumed, _describe(error)
        settle(target, plan, run, failure, report)
        if _is_final(error, target, has_begun=has_begun) or not run.is_settled:
            _write_missing_files(plan, run, failure, datetime.now(UTC))
        raise


def settle_result(target: object, plan: Plan, run: RunFolder, result: Result, report: Report) -> None:
    """Settle a run whose job returned a result: if its JVM was killed, it couldn't remove everything."""
    if result.failure is not None:
        settle(target, plan, run, result.failure, report)
    elif isinstance(target, Settleable):
        with suppress(HarnessError):  # The next command tries again.
            _settle(target, plan, run, None)


def settle(target: object, plan: Plan, run: RunFolder, failure: Failure, report: Report) -> None:
    """Settle a run that failed, and report what could not be settled."""
    if not isinstance(target, Settleable):
        return
    try:
        _settle(target, plan, run, failure)
    except HarnessError as error:
        report(_describe_unsettled(run, error))
    finally:
        # The error that led here is the one to report.
        with suppress(HarnessError):
            target.release()


def settle_earlier_runs(settings: Settings, report: Report = _logger.debug) -> None:
    """Settle the runs that their own command could not settle: it was killed, or a store didn't answer.

    Args:
        settings: Settings that locate the runs.
        report: Shows what still can't be settled (default: nobody waits for it, so it is only logged).
    """
    unreachable: set[tuple[str, str]] = set()
    for run in list_runs(settings.runs):
        if (run.is_settled and run.has_reports) or run.is_running:
            continue
        with suppress(PrerequisiteError):  # Another version of the harness wrote the plan.
            plan = run.read_plan()
            stores = (plan.environment.tracking_uri, plan.environment.model_store)
            if stores in unreachable:
                continue
            try:
                _settle_earlier_run(settings, plan, run)
            except HarnessError as error:
                unreachable.add(stores)
                report(_describe_unsettled(run, error))


def remove_unfinished_bundles(settings: Settings, report: Report) -> int:
    """Remove copies of bundles that no run will complete, from the model stores of all stored runs.

    Runs of other machines may publish to the same stores: only what is a day old is removed.

    Returns:
        The number of removed copies.
    """
    opened: set[tuple[str | None, str]] = set()
    removed = 0
    for run in list_runs(settings.runs):
        try:
            environment = run.read_plan().environment
            if (store := (run.target, environment.model_store)) in opened:
                continue
            opened.add(store)
            if (target := open_settleable(settings, run)) is not None:
                removed += _remove_unfinished(target.reach(environment))
        except PrerequisiteError as error:  # Another version wrote the plan, or the store can't be reached.
            report(f"The model store of the run {run.path.name} is not cleaned: {error.message}")
    return removed


def _remove_unfinished(environment: Environment) -> int:
    store = open_store(environment.model_store, environment.accounts, create=False)
    unfinished = store.list_unfinished(datetime.now(UTC) - _MOST_TIME_TO_PUBLISH)
    for path in unfinished:
        store.remove_all(path)
    return len(unfinished)


def _settle_earlier_run(settings: Settings, plan: Plan, run: RunFolder) -> None:
    target = open_settleable(settings, run)
    if target is None:
        return
    target.end_job(run.path.name)
    failure = Failure.of(
        InterruptedRunError(
            "The command was killed before the run had a result.", remedy="Run the scenario again."
        )
    )
    _write_missing_files(plan, run, failure, run.last_changed)
    _settle(target, plan, run, failure)


def _settle(target: Settleable, plan: Plan, run: RunFolder, failure: Failure | None) -> None:
    """Remove the run's temporary tables; if it failed, withdraw its bundles and close its MLflow runs.

    Raises:
        HarnessError: One of these failed; the others were done nevertheless.
    """
    announced = run.announcements
    if announced:
        environment = target.reach(plan.environment)
        proven = _list_proven_bundles(run)
        # An earlier part of a run that was resumed may have announced bundles that are not proven.
        left = [each.name for each in announced if each.kind == "bundle" and each.name not in (proven or ())]
        steps = [lambda: _remove_scratch(environment, plan)]
        if proven is not None or failure is not None:
            steps.append(lambda: withdraw_bundles(left, environment.model_store, environment.accounts))
        if proven is None and failure is not None and any(each.kind == "mlflow runs" for each in announced):
            steps.append(lambda: _close_runs(environment, plan, failure))
        _do_all(*steps)
    run.mark_settled()


def _list_proven_bundles(run: RunFolder) -> set[str] | None:
    """Return the bundles of a result without a failure; ``None`` if the job has written none."""
    try:
        result = run.read_result()
    except PrerequisiteError:
        return None
    return {each.bundle for each in result.versions if each.bundle} if result.failure is None else None


def _do_all(*steps: Callable[[], None]) -> None:
    """Do every step even if one fails, then raise the first error."""
    errors = []
    for step in steps:
        try:
            step()
        except HarnessError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _remove_scratch(environment: Environment, plan: Plan) -> None:
    lake = environment.lake
    if lake.startswith(SCHEME) or "://" not in lake:
        store = open_store(lake, environment.accounts, create=False)
        store.remove_all(store.find_path(plan.scratch_uri))


def _close_runs(environment: Environment, plan: Plan, failure: Failure) -> None:
    # Imported here, as it is rarely needed: MLflow takes seconds.
    from harness.tracking.open_runs import close_runs

    status: CloseStatus = "KILLED" if failure.exit_code is ExitCode.INTERRUPTED else "FAILED"
    close_runs(environment.tracking_uri, environment.experiment, plan.run_id, status)


def _is_final(error: BaseException, target: object, *, has_begun: bool) -> bool:
    """Return whether the error ends the run, so that its folder stays and needs a result.

    Args:
        error: The error.
        target: The run's target.
        has_begun: Whether the job has created something elsewhere, such as MLflow runs.
    """
    if isinstance(error, ScenarioError):
        return False  # The folder is removed.
    if isinstance(error, PrerequisiteError):
        return has_begun  # A disk, for example, may fill in the middle of a run.
    return isinstance(error, JobError | InterruptedRunError) or isinstance(target, Settleable)


def _describe(error: BaseException) -> Failure:
    if isinstance(error, HarnessError):
        return Failure.of(error)
    if isinstance(error, KeyboardInterrupt):
        return Failure.of(InterruptedRunError("Interrupted."))
    return Failure(
        kind=type(error).__name__,
        exit_code=ExitCode.JOB_FAILED,
        message=f"The command failed: {format_first_line(error)}",
    )


def _write_missing_files(plan: Plan, run: RunFolder, failure: Failure, ended: datetime) -> None:
    """Write the result of a run whose job wrote none, and the reports that its command didn't write."""
    from harness.report import write_reports

    # The error that led here is the one to report.
    with suppress(HarnessError):
        if not run.has_result:
            write_text(run.path / RESULT, plan.make_failed_result(failure, run.started, ended).to_json())
        if not run.has_reports:
            write_reports(plan, run.read_result(), run.path)


def _describe_unsettled(run: RunFolder, error: HarnessError) -> str:
    return (
        f"The MLflow runs and bundles of the run {run.path.name} can't be closed or withdrawn yet: "
        f"{error.message} The next run or 'harness clean' tries again."
    )
