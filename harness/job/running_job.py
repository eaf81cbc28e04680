"""The state of a running job: the inputs of its steps, and their results so far."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pyspark.sql import SparkSession

from harness.job.clock import Clock
from harness.job.mlflow_tracker import Tracker
from harness.job.spark_session import count_executor_tasks, list_libraries
from harness.plan import Plan
from harness.results import Failure, Result, Verdict, VersionResult

_MAX_PARALLEL = 4
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
    pictures: dict[str, str] = field(default_factory=dict)
    """The report's pictures: name of a file to its SVG."""
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
        started=job.started,
        duration_s=round((datetime.now(UTC) - job.started).total_seconds(), 3),
        timings=job.clock.total_timings(),
        versions=job.versions,
        table_uri=plan.table_uri,
        mlflow_run_id=job.open_tracker.parent_run_id if job.open_tracker else None,
        libraries=list_libraries(job.spark),
        executors=count_executor_tasks(job.spark),
        failure=failure,
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
