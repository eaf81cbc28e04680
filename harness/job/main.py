"""The job: a plan in, a result out. The same everywhere."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pyspark.sql import SparkSession

from harness.bounds.judge import all_hold, judge_versions, overall
from harness.errors import ExitCode, HarnessError, InterruptedRunError, ScenarioError
from harness.job import bundle
from harness.job.check_version import CheckedVersion, check_version
from harness.job.clock import Clock
from harness.job.custom_pipeline import open_pipeline
from harness.job.delta_log import readable
from harness.job.distributions import choose_bins, distributions
from harness.job.explain import probe_keys
from harness.job.ingest import BuiltVersion, build_version, open_build, step_place
from harness.job.mlflow_tracker import Tracker
from harness.job.model_store import open_store
from harness.job.prepare import Samples, key_text, make_samples
from harness.job.row_diff import in_order, row_changes
from harness.job.spark_errors import logged, root_sentence, storage_fault
from harness.job.spark_session import executors, libraries
from harness.job.table_io import remove_scratch, remove_table
from harness.job.train_version import Subject, TrainedVersion, raw_rows, train_version, untrained
from harness.pipelines import ModelPipeline
from harness.plan import Plan
from harness.results import Failure, FailureProblem, Result, Verdict, VersionResult

_AT_ONCE = 4
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class Job:
    """A run under way: what it needs, and what it has so far, for the result of a run that breaks."""

    plan: Plan
    clock: Clock
    spark: SparkSession
    tracker: Future[Tracker]
    scratch: Path
    interrupted: threading.Event = field(default_factory=threading.Event)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    versions: tuple[VersionResult, ...] = ()
    pictures: dict[str, str] = field(default_factory=dict)
    """Of the report: name of a file to its SVG."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, version: VersionResult) -> None:
        """Remember what is newly known of a version."""
        with self.lock:
            self.versions = tuple(version if each.name == version.name else each for each in self.versions)

    @property
    def open_tracker(self) -> Tracker | None:
        """The tracker, where it could be opened."""
        done = self.tracker.done() and not self.tracker.cancelled()
        return self.tracker.result() if done and self.tracker.exception() is None else None


def run(job: Job) -> Result:
    """The main path."""
    try:
        open_places(job)
        maker = open_pipeline(job.spark, job.plan, job.scratch)
        checked = build_versions(job)
        chosen = [version for version in in_order(checked) if version.is_trained]
        samples = describe_and_prepare(job, maker, checked, chosen)
        trained = train_versions(job, maker, chosen, samples)
        verdict = judge(job)
        draw_and_publish(job, trained)
        return finish(job, verdict)
    except BaseException as error:
        return fail(job, error)


def open_places(job: Job) -> None:
    """See that what is written to at the end can be opened, before anything is built."""
    if job.plan.scenario.publish.when != "never":
        open_store(job.plan.environment)
    job.tracker.result()


def build_versions(job: Job) -> list[CheckedVersion]:
    """Build every version and check it, before the first training; a fault leaves no table behind."""
    plan, clock, spark = job.plan, job.clock, job.spark

    def check(version: BuiltVersion) -> CheckedVersion:
        at = step_place(plan, plan.scenario.index_of(version.name))
        intact = readable(spark, plan.table_uri, version.name, version.number, at)
        with clock.step("check", version.name), intact:
            return check_version(version.table, plan.scenario, version.name, version.number)

    try:
        with clock.step("ingest"):
            build = open_build(spark, plan)
        built: list[BuiltVersion] = []
        for index, version in enumerate(plan.scenario.versions):
            with clock.step("ingest", version.name):
                built.append(build_version(build, index))
        checked = side_by_side(job, check, built)
    except ScenarioError:
        remove_table(spark, plan)
        raise
    job.versions = tuple(
        untrained(looked_at).model_copy(
            update={"commits": made.commits, "commit": made.commit, "error": made.error}
        )
        for looked_at, made in zip(checked, built, strict=True)
    )
    return checked


def describe_and_prepare(
    job: Job, maker: ModelPipeline, checked: list[CheckedVersion], chosen: list[CheckedVersion]
) -> list[Samples]:
    """Describe all versions while those that a model is trained at are featurized."""
    with ThreadPoolExecutor(1) as beside:
        described = beside.submit(describe_versions, job, checked)
        samples = prepare_versions(job, maker, chosen)
        described.result()
    return samples


def describe_versions(job: Job, checked: list[CheckedVersion]) -> None:
    """Hold the rows of every version against those before it, and count the values of its features."""
    with job.clock.step("describe"):
        bins = choose_bins([version for version in checked if version.is_trained])
        found = zip(checked, row_changes(checked), distributions(checked, bins), strict=True)
        for version, changes, counted in found:
            facts = {"changes": changes, "distributions": counted}
            job.update(known(job, version.name).model_copy(update=facts))


def prepare_versions(job: Job, maker: ModelPipeline, chosen: list[CheckedVersion]) -> list[Samples]:
    """Featurize every version that a model is trained at."""

    def prepare(version: CheckedVersion) -> Samples:
        with job.clock.step("prepare", version.name):
            return make_samples(version.frame, version.scenario, version.rows, maker)

    return side_by_side(job, prepare, chosen)


def train_versions(
    job: Job, maker: ModelPipeline, chosen: list[CheckedVersion], samples: list[Samples]
) -> list[TrainedVersion]:
    """Train, measure, explain and log every chosen version, each on its own data alone."""
    plan = job.plan
    with job.clock.step("log"):
        tracker = job.tracker.result()
        tracker.start()
    probe = probe_keys(samples[0].test, plan.scenario.pipeline.explainer.rows) if samples else []

    def one(pair: tuple[CheckedVersion, Samples]) -> TrainedVersion:
        version, prepared = pair
        subject = Subject(version, prepared, known(job, version.name))
        folder = job.scratch / version.name
        trained = train_version(subject, maker, probe, plan, tracker, job.clock, folder)
        prepared.release()
        job.update(trained.result)
        return trained

    return side_by_side(job, one, list(zip(chosen, samples, strict=True)))


def known(job: Job, name: str) -> VersionResult:
    """What is known so far of a version."""
    return next(version for version in job.versions if version.name == name)


def judge(job: Job) -> Verdict:
    """Hold every bound against what was measured."""
    job.versions = judge_versions(job.plan.scenario, job.versions, job.plan.baselines)
    return overall(bound for each in job.versions for bound in each.bounds)


def draw_and_publish(job: Job, trained: list[TrainedVersion]) -> None:
    """Draw the report's pictures while the bundles are published, and then the way to them."""
    with ThreadPoolExecutor(1) as beside:
        drawn = beside.submit(draw, job)
        publish(job, trained)
        drawn.result()
    with logged():
        from harness.views.pictures import draw_lineage

        job.pictures |= draw_lineage(job.plan, make_result(job, Verdict.NOT_PROVEN))


def draw(job: Job) -> None:
    """Draw what was measured; where that fails there are no pictures, which says nothing of the models."""
    with logged():
        # Imported here: it takes a second, which passes while bundles are copied.
        from harness.views.pictures import draw_pictures

        job.pictures = draw_pictures(make_result(job, Verdict.NOT_PROVEN))


def publish(job: Job, trained: list[TrainedVersion]) -> None:
    """Copy the bundles to the model store where the scenario allows it, and load the copies back."""
    plan = job.plan
    when = plan.scenario.publish.when
    # One that must fail, and does, makes the run a pass and its model no better.
    holds = all_hold(bound for version in job.versions for bound in version.bounds)
    if when == "never" or (when == "pass" and not holds):
        return
    store = open_store(plan.environment)

    judged = {version.name: version for version in job.versions}

    def one(each: TrainedVersion) -> None:
        with job.clock.step("publish", each.result.name):
            uri = bundle.publish(store, each.models, each.result, plan)
            # Known before it is verified: a run that breaks from here on withdraws it again.
            job.update(judged[each.result.name].model_copy(update={"bundle": uri}))
            raw = raw_rows(each, key_text(plan.scenario))
            bundle.verify(uri, raw, each.explainer, each.scores, each.explained.weights)

    side_by_side(job, one, trained)


def finish(job: Job, verdict: Verdict) -> Result:
    """Close the runs in MLflow with the pictures of the report, and hand back the result."""
    tracker = job.tracker.result()
    with logged():
        remove_scratch(job.spark, job.plan)
    with job.clock.step("log"):
        job.versions = tuple(
            each.model_copy(update={"timings": job.clock.of_version(each.name)}) for each in job.versions
        )
        for each in job.versions:
            tracker.finish_version(each, overall(each.bounds))
        with logged():
            tracker.log_pictures(job.pictures)
    result = make_result(job, verdict)
    tracker.finish(result)
    return result


def fail(job: Job, error: BaseException) -> Result:
    """What is left of a run that broke: the versions that were finished, and why it ended.

    A fault of the cleaning up is logged, and does not hide the one that led here.
    """
    traceback.print_exception(error)
    fault = _known(job, error)
    with logged():
        withdraw(job)
    if job.open_tracker is not None:
        with logged():
            job.open_tracker.abandon("KILLED" if isinstance(fault, InterruptedRunError) else "FAILED")
    job.versions = tuple(
        each.model_copy(update={"status": "failed", "bundle": None}) for each in job.versions
    )
    return make_result(job, Verdict.NOT_PROVEN, failure_of(error, fault))


def withdraw(job: Job) -> None:
    """Nothing of a run that broke is published."""
    for each in job.versions:
        if each.bundle is not None:
            bundle.withdraw(open_store(job.plan.environment), each.bundle)


def failure_of(error: BaseException, fault: HarnessError | None) -> Failure:
    """The failure as the result tells it: a known fault in its own words, any other with its type."""
    if fault is None:
        message = root_sentence(error)
        return Failure(
            kind=type(error).__name__,
            exit_code=ExitCode.JOB_BROKE,
            message=f"The job broke: {type(error).__name__}: {message}",
            remedy="The whole trace is in the job's log.",
        )
    problems = fault.problems if isinstance(fault, ScenarioError) else ()
    return Failure(
        kind=type(fault).__name__,
        exit_code=fault.exit_code,
        message=fault.message,
        remedy=fault.remedy,
        problems=tuple(FailureProblem(message=each.message, location=each.location) for each in problems),
    )


def make_result(job: Job, verdict: Verdict, failure: Failure | None = None) -> Result:
    """Everything that the job has to say."""
    plan = job.plan
    return Result(
        run_id=plan.run_id,
        scenario=plan.scenario.name,
        target=plan.environment.target,
        verdict=verdict,
        started=job.started,
        duration_s=round((datetime.now(UTC) - job.started).total_seconds(), 3),
        timings=job.clock.totals(),
        versions=job.versions,
        table_uri=plan.table_uri,
        mlflow_run_id=job.open_tracker.parent_run_id if job.open_tracker else None,
        libraries=libraries(job.spark),
        executors=executors(job.spark),
        failure=failure,
    )


def side_by_side(job: Job, work: Callable[[In], Out], items: Sequence[In]) -> list[Out]:
    """Do the same to several things at once, in their order; the first fault ends it for all."""
    with ThreadPoolExecutor(max(1, min(len(items), _AT_ONCE))) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            job.clock.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            job.spark.sparkContext.cancelAllJobs()
            raise


def _known(job: Job, error: BaseException) -> HarnessError | None:
    if job.interrupted.is_set() or isinstance(error, KeyboardInterrupt):
        return InterruptedRunError("Interrupted.")
    if isinstance(error, HarnessError):
        return error
    return storage_fault(error)
