"""The state of a running job: the inputs of its steps, their results so far, its events, and its failure."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pyspark import SparkContext
from pyspark.sql import SparkSession

from harness.bounds.specs import explain_unjudged
from harness.errors import (
    ExitCode,
    HarnessError,
    InterruptedRunError,
    PrerequisiteError,
    ScenarioError,
)
from harness.events import Announcement
from harness.job.clock import Clock
from harness.job.lost_processes import Surroundings, explain_dead_jvm, explain_small_memory
from harness.job.mlflow_tracker import Tracker, translate_store_error
from harness.job.spark_errors import (
    log_errors,
    log_traceback,
    name_error,
    summarize_error,
    translate_full_disk,
    translate_storage_error,
)
from harness.job.spark_session import count_executor_tasks, list_libraries
from harness.job.step_record import StepRecord
from harness.memory import count_memory_kills
from harness.plan import Plan
from harness.process_ends import describe_steps
from harness.results import Approval, Failure, FailureProblem, Result, Verdict, VersionResult
from harness.storage import model_store
from harness.work import identify_run

MAX_PARALLEL = 4
_NO_USER_NAME = "invalid null input: name"
"""Message of Hadoop's login for a user without an entry in /etc/passwd."""
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class Job:
    """A running job: its inputs, and its results so far, so that a failed run still has a result."""

    plan: Plan
    clock: Clock
    spark: SparkSession
    tracker: Future[Tracker]
    scratch: Path
    interrupted: threading.Event = field(default_factory=threading.Event)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    memory_kills: int = field(default_factory=count_memory_kills)
    """The processes that the kernel had ended for lack of memory before the job."""
    versions: tuple[VersionResult, ...] = ()
    warnings: tuple[str, ...] = ()
    """Warnings to the reader, which don't affect the verdict."""
    approval: Approval | None = None
    """What the job did with the table that shows approved versions."""
    pictures: dict[str, str] = field(default_factory=dict)
    """The report's pictures: name of a file to its SVG."""
    files: dict[str, Path] = field(default_factory=dict)
    """Files to deliver with the result: path in the run's folder to the local file."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    announce: Callable[[Announcement], None] = lambda _announcement: None
    """Tells the command what is about to be created outside the run's folder."""
    steps: StepRecord = field(default_factory=StepRecord)
    """The steps that are finished."""
    bundles: list[str] = field(default_factory=list)
    """URIs of the bundles that the job has begun to publish."""
    first_error: Exception | None = None
    """The first error of any thread."""
    is_guest: bool = False
    """Whether others use the same Spark: the job then only cancels its own work there."""

    def record_error(self, error: Exception) -> None:
        """Keep an error if it is the first one."""
        with self.lock:
            self.first_error = self.first_error or error

    def announce_bundle(self, uri: str) -> None:
        """Record that a bundle is about to be published, so that it is withdrawn if the run fails."""
        self.announce(Announcement("bundle", uri))
        with self.lock:
            self.bundles.append(uri)

    def update(self, version: VersionResult) -> None:
        """Replace the result of one version."""
        with self.lock:
            self.versions = tuple(version if each.name == version.name else each for each in self.versions)

    def find_version(self, name: str) -> VersionResult:
        """Return the result of one version so far."""
        return next(version for version in self.versions if version.name == name)

    @property
    def open_tracker(self) -> Tracker | None:
        """The tracker, or ``None`` if it could not be opened."""
        done = self.tracker.done() and not self.tracker.cancelled()
        return self.tracker.result() if done and self.tracker.exception() is None else None

    def enter_thread(self) -> None:
        """Mark what the current thread, which is the job's own, does in Spark."""
        if self.is_guest:
            self.spark.sparkContext.setJobGroup(self.plan.run_id, self.plan.scenario.name)
            jvm: Any = self.spark._jvm  # noqa: SLF001 - no public way
            jvm.SparkSession.setActiveSession(self.spark._jsparkSession)  # noqa: SLF001

    def cancel_spark_jobs(self) -> None:
        """Cancel what Spark is doing for the job."""
        if self.is_guest:
            self.spark.sparkContext.cancelJobGroup(self.plan.run_id)
        else:
            self.spark.sparkContext.cancelAllJobs()

    def stop(self) -> None:
        """Let no further step start, and end the wait for an MLflow server that doesn't answer."""
        self.clock.stop()
        if self.open_tracker is not None:
            self.open_tracker.stop_waiting()


def make_result(job: Job, verdict: Verdict, failure: Failure | None = None) -> Result:
    """Return the job's result so far."""
    plan = job.plan
    return Result(
        run_id=plan.run_id,
        scenario=plan.scenario.name,
        target=plan.environment.target,
        key=identify_run(plan).key,
        verdict=verdict,
        reason=explain_unjudged(plan.scenario) if verdict is Verdict.NOT_PROVEN and not failure else "",
        started=job.started,
        duration_s=round((datetime.now(UTC) - job.started).total_seconds(), 3),
        timings=job.clock.total_timings(),
        versions=job.versions,
        table_uri=plan.table_uri,
        mlflow_run_id=job.open_tracker.parent_run_id if job.open_tracker else None,
        libraries=list_libraries(job.spark),
        executors=count_executor_tasks(job.spark),
        warnings=job.warnings,
        failure=failure,
        approval=job.approval if failure is None else None,
        inputs=plan.inputs,
    )


def run_in_parallel(
    job: Job, work: Callable[[In], Out], items: Sequence[In], at_once: int = MAX_PARALLEL
) -> list[Out]:
    """Apply a function to several items at once; return the results in order.

    The first error in time stops all, and is the one that is raised: the others follow from it. Mistakes in
    the scenario don't: of several, the first in the order of the items is raised, the same one in every run.

    Args:
        job: The job.
        work: The function.
        items: The items.
        at_once: The largest number of items at the same time.
    """

    def run_one(item: In) -> Out:
        try:
            job.enter_thread()
            return work(item)
        except Exception as error:
            job.record_error(error)
            raise

    with ThreadPoolExecutor(max(1, min(len(items), at_once))) as pool:
        futures = [pool.submit(run_one, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            _raise_first_error(job, futures)
            return [future.result() for future in futures]
        except BaseException:
            job.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            with log_errors():
                job.cancel_spark_jobs()
            raise


def _raise_first_error(job: Job, futures: Sequence[Future[Out]]) -> None:
    error = job.first_error
    if isinstance(error, ScenarioError):
        errors = (future.exception() for future in futures)
        error = next((each for each in errors if isinstance(each, ScenarioError)), error)
    if error is not None:
        raise error


def fail(job: Job, error: BaseException) -> Result:
    """Clean up after a failed job, and return its result: the finished versions, and why it failed.

    An error during the clean-up is only logged, so that it doesn't hide the original one.
    """
    log_traceback(error)
    translated = translate_error(job, error)
    with log_errors():
        withdraw_bundles(job)
    job.stop()
    if job.open_tracker is not None:
        with log_errors():
            job.open_tracker.abandon("KILLED" if isinstance(translated, InterruptedRunError) else "FAILED")
    job.versions = tuple(
        each.model_copy(update={"status": "failed", "bundle": None, "registered": None})
        for each in job.versions
    )
    return make_result(job, Verdict.NOT_PROVEN, describe_failure(error, translated))


def make_failed_start(
    plan: Plan, clock: Clock, started: datetime, memory_kills: int, error: BaseException
) -> Result:
    """Return the result of a job whose Spark session could not be opened."""
    steps = describe_steps(clock.failed_steps)
    around = Surroundings(SparkContext, plan.environment.spark, steps, memory_kills)
    failure = describe_failure(error, translate_start_error(error, around))
    return plan.make_failed_result(failure, started, datetime.now(UTC), clock.total_timings())


def translate_start_error(error: BaseException, around: Surroundings) -> HarnessError | None:
    """Return the error to report if Spark did not start, or ``None`` if its cause is unknown."""
    if isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("Interrupted.")
    if (dead_jvm := explain_dead_jvm(error, around)) is not None:
        return dead_jvm
    if isinstance(error, HarnessError):
        return error
    if _NO_USER_NAME in summarize_error(error):
        return PrerequisiteError(
            f"The user with the id {os.getuid()} has no name; Spark can't run without one.",
            remedy="Add the user to /etc/passwd, or start the container with a user of its image (--user).",
        )
    return explain_small_memory(error, around) or translate_storage_error(error)


def translate_error(job: Job, error: BaseException) -> HarnessError | None:
    """Return the error with a message for people, or ``None`` if its cause is unknown."""
    if job.interrupted.is_set() or isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("Interrupted.")
    environment = job.plan.environment
    steps = describe_steps(job.clock.failed_steps)
    around = Surroundings(job.spark.sparkContext, environment.spark, steps, job.memory_kills)
    # Without its JVM, a job meets errors of every kind.
    if (dead_jvm := explain_dead_jvm(error, around)) is not None:
        return dead_jvm
    # Before the harness's own errors: both look like a source that can't be read, for example.
    return (
        explain_small_memory(error, around)
        or translate_full_disk(error, environment)
        or (error if isinstance(error, HarnessError) else None)
        or translate_store_error(error, environment)
        or translate_storage_error(error)
    )


def withdraw_bundles(job: Job) -> None:
    """Withdraw every bundle, also one that is not complete, because a failed job publishes nothing."""
    environment = job.plan.environment
    model_store.withdraw_bundles(job.bundles, environment.model_store, environment.accounts)


def describe_failure(error: BaseException, translated: HarnessError | None) -> Failure:
    """Describe why a job failed, by the translated error or by the type of an unknown one."""
    if translated is None:
        name, cause = name_error(error), summarize_error(error).removesuffix(".")
        shown = cause if name in cause else f"{cause} ({name})"
        return Failure(
            kind=name,
            exit_code=ExitCode.JOB_FAILED,
            message=f"The job failed: {shown}.",
            remedy="The job's log has the whole traceback: job.log in the run's folder.",
        )
    problems = translated.problems if isinstance(translated, ScenarioError) else ()
    found = tuple(FailureProblem(message=each.message, location=each.location) for each in problems)
    return Failure.of(translated).model_copy(update={"problems": found})
