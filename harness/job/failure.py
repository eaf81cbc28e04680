"""The end of a failed job: clean up, and report what was finished and why it failed."""

from __future__ import annotations

import traceback

from harness.errors import ExitCode, HarnessError, InterruptedRunError, ScenarioError
from harness.job import bundle
from harness.job.model_store import open_store
from harness.job.running_job import Job, make_result
from harness.job.spark_errors import log_errors, summarize_root_cause, translate_storage_error
from harness.results import Failure, FailureProblem, Result, Verdict


def fail(job: Job, error: BaseException) -> Result:
    """Clean up after a failed job, and return its result: the finished versions, and why it failed.

    An error during the clean-up is only logged, so that it doesn't hide the original one.
    """
    traceback.print_exception(error)
    translated = translate_error(job, error)
    with log_errors():
        withdraw_bundles(job)
    if job.open_tracker is not None:
        with log_errors():
            job.open_tracker.abandon("KILLED" if isinstance(translated, InterruptedRunError) else "FAILED")
    job.versions = tuple(
        each.model_copy(update={"status": "failed", "bundle": None}) for each in job.versions
    )
    return make_result(job, Verdict.NOT_PROVEN, describe_failure(error, translated))


def translate_error(job: Job, error: BaseException) -> HarnessError | None:
    """Return the error with a message for people, or ``None`` if its cause is unknown."""
    if job.interrupted.is_set() or isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("Interrupted.")
    if isinstance(error, HarnessError):
        return error
    return translate_storage_error(error)


def withdraw_bundles(job: Job) -> None:
    """Withdraw every published bundle, because a failed job publishes nothing."""
    for each in job.versions:
        if each.bundle is not None:
            bundle.withdraw(open_store(job.plan.environment), each.bundle)


def describe_failure(error: BaseException, translated: HarnessError | None) -> Failure:
    """Describe why a job failed, by the translated error or by the type of an unknown one."""
    if translated is None:
        cause = summarize_root_cause(error).removeprefix(f"{type(error).__name__}: ").removesuffix(".")
        return Failure(
            kind=type(error).__name__,
            exit_code=ExitCode.JOB_FAILED,
            message=f"The job failed: {cause} ({type(error).__name__}).",
            remedy="The job's log has the whole traceback: job.log in the run's folder.",
        )
    problems = translated.problems if isinstance(translated, ScenarioError) else ()
    return Failure(
        kind=type(translated).__name__,
        exit_code=translated.exit_code,
        message=translated.message,
        remedy=translated.remedy,
        problems=tuple(FailureProblem(message=each.message, location=each.location) for each in problems),
    )
