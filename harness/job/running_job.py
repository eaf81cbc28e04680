"""The state of a running job: the inputs of its steps, their results so far, its events, and its failure."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from harness.bounds.specs import explain_unjudged
from harness.errors import (
    ExitCode,
    HarnessError,
    InterruptedRunError,
    JobError,
    PrerequisiteError,
    ScenarioError,
)
from harness.events import Event
from harness.files import write_text
from harness.job import bundle
from harness.job.clock import Clock
from harness.job.mlflow_tracker import Tracker, translate_store_error
from harness.job.spark_errors import log_errors, name_error, summarize_error, translate_storage_error
from harness.job.spark_session import count_executor_tasks, find_exit_code, list_libraries
from harness.plan import Plan
from harness.results import Failure, FailureProblem, Result, Verdict, VersionResult
from harness.storage.model_store import open_store

_MAX_PARALLEL = 4
_JVM_END_TIMEOUT_S = 5.0
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
    versions: tuple[VersionResult, ...] = ()
    warnings: tuple[str, ...] = ()
    """Warnings to the reader, which don't affect the verdict."""
    pictures: dict[str, str] = field(default_factory=dict)
    """The report's pictures: name of a file to its SVG."""
    files: dict[str, Path] = field(default_factory=dict)
    """Files to deliver with the result: path in the run's folder to the local file."""
    lock: threading.Lock = field(default_factory=threading.Lock)

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


def make_result(job: Job, verdict: Verdict, failure: Failure | None = None) -> Result:
    """Return the job's result so far."""
    plan = job.plan
    return Result(
        run_id=plan.run_id,
        scenario=plan.scenario.name,
        target=plan.environment.target,
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
        inputs=plan.inputs,
    )


def run_in_parallel(job: Job, work: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
    """Apply a function to several items at once; return the results in order. The first error stops all."""
    with ThreadPoolExecutor(max(1, min(len(items), _MAX_PARALLEL))) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            job.clock.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            job.spark.sparkContext.cancelAllJobs()
            raise


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


def make_failed_start(plan: Plan, clock: Clock, started: datetime, error: Exception) -> Result:
    """Return the result of a job whose Spark session could not be opened."""
    return Result(
        run_id=plan.run_id,
        scenario=plan.scenario.name,
        target=plan.environment.target,
        verdict=Verdict.NOT_PROVEN,
        started=started,
        duration_s=round((datetime.now(UTC) - started).total_seconds(), 3),
        timings=clock.total_timings(),
        versions=(),
        table_uri=plan.table_uri,
        failure=describe_failure(error, translate_start_error(error)),
        inputs=plan.inputs,
    )


def translate_start_error(error: Exception) -> HarnessError | None:
    """Return the error to report if Spark did not start, or ``None`` if its cause is unknown."""
    if isinstance(error, HarnessError):
        return error
    if _NO_USER_NAME in summarize_error(error):
        return PrerequisiteError(
            f"The user with the id {os.getuid()} has no name; Spark can't run without one.",
            remedy="Add the user to /etc/passwd, or start the container with a user of its image (--user).",
        )
    return translate_storage_error(error)


def translate_error(job: Job, error: BaseException) -> HarnessError | None:
    """Return the error with a message for people, or ``None`` if its cause is unknown."""
    if job.interrupted.is_set() or isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("Interrupted.")
    # Without its JVM, a job meets errors of every kind.
    if (dead_jvm := _describe_dead_jvm(job, error)) is not None:
        return dead_jvm
    if isinstance(error, HarnessError):
        return error
    return translate_store_error(error, job.plan.environment) or translate_storage_error(error)


def _describe_dead_jvm(job: Job, error: BaseException) -> JobError | None:
    """Return the error to report if the JVM has ended, else ``None``."""
    is_lost = isinstance(error, Py4JError | ConnectionError | EOFError) and not isinstance(
        error, Py4JJavaError
    )
    code = find_exit_code(job.spark, _JVM_END_TIMEOUT_S if is_lost else 0)
    if code is None:
        return None
    how = f"by the signal {-code}" if code < 0 else f"with exit code {code}"
    return JobError(
        f"Spark's JVM ended {how} in the middle of the run.",
        remedy="Its last output is in job.log in the run's folder. If the system ended it for lack of "
        "memory, free some or set HARNESS_DRIVER_MEMORY to less.",
    )


def withdraw_bundles(job: Job) -> None:
    """Withdraw every published bundle, because a failed job publishes nothing."""
    environment = job.plan.environment
    for each in job.versions:
        if each.bundle is not None:
            bundle.withdraw(open_store(environment.model_store, environment.accounts), each.bundle)


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
    return Failure(
        kind=type(translated).__name__,
        exit_code=translated.exit_code,
        message=translated.message,
        remedy=translated.remedy,
        problems=tuple(FailureProblem(message=each.message, location=each.location) for each in problems),
    )


_WRITE_INTERVAL_S = 1.0


class EventFile:
    """A file of all events so far. It is rewritten each time: a volume in the cloud can't be appended to."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def add(self, event: Event) -> None:
        """Add an event, which is written to the file within a second."""
        with self._lock:
            self._lines.append(event.to_line())
            if self._timer is None:
                self._timer = threading.Timer(_WRITE_INTERVAL_S, self.write)
                self._timer.daemon = True
                self._timer.start()

    def write(self) -> None:
        """Write all events so far, now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            write_text(self._file, "\n".join(self._lines) + "\n")
