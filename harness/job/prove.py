"""The job of a proof: it judges a version once per fault in its added rows.

Nothing is published or tracked. The numbers of the other versions are those of the run that the proof
refers to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, functions as F

from harness.bounds.judge import judge_versions
from harness.bounds.standard import compares_added_rows
from harness.errors import JobError, Problem, ScenarioError
from harness.job.added_rows import describe_added_rows
from harness.job.check_version import CheckedVersion, check_version
from harness.job.custom_pipeline import open_pipeline
from harness.job.distributions import Bins, choose_bins, count_distributions
from harness.job.explain import choose_probe_keys
from harness.job.prepare import (
    HELD_OUT,
    LABEL_VALUE,
    format_key,
    meets_filter,
    prepare_rows,
)
from harness.job.row_diff import select_keys
from harness.job.running_job import Job, fail, make_result, run_in_parallel
from harness.job.spark_errors import attribute_error
from harness.job.table_io import read_version
from harness.job.train_version import (
    Subject,
    make_result as make_version_result,
    make_untrained_result,
    measure_version,
)
from harness.pipelines import KEY, ModelPipeline
from harness.plan import FAULT_VIEWS, PlannedFault, PlannedProof
from harness.results import FaultResult, Result, Verdict, VersionResult


@dataclass(frozen=True)
class Rows:
    """The rows of the version without faults, and what it is compared with."""

    before: DataFrame
    """Rows that the earlier version has, too."""
    rows_before: int
    previous_keys: DataFrame
    bins: Bins
    """Of the features, as the run without faults chose them."""
    probe: list[str]
    """Keys of the rows to explain."""


def prove(job: Job) -> Result:
    """Judge every fault of the plan: the list of steps."""
    try:
        proof = require_proof(job)
        pipeline = open_pipeline(job.spark, job.plan, job.scratch)
        rows = read_rows(job, proof)
        faults = run_in_parallel(
            job, lambda fault: judge_fault(job, proof, pipeline, rows, fault), proof.faults
        )
        return make_result(job, Verdict.OBSERVED).model_copy(update={"faults": tuple(faults)})
    except BaseException as error:
        return fail(job, error)


def require_proof(job: Job) -> PlannedProof:
    """Return the part of the plan that a proof needs."""
    if job.plan.proof is None:
        raise JobError("The plan has no proof.")
    return job.plan.proof


def read_rows(job: Job, proof: PlannedProof) -> Rows:
    """Read the version, and register the views that the faults' statements read."""
    scenario, spark, uri = job.plan.scenario, job.spark, job.plan.table_uri
    with job.clock.step("ingest"):
        now = read_version(spark, uri, proof.find(proof.version).version)
        earlier = read_version(spark, uri, proof.previous.version)
        keys = select_keys(earlier, scenario)
        if keys is None:
            raise JobError(f"Version {proof.previous.name} lacks a column of the key.")
        keys = keys.distinct().persist()
        keyed = now.withColumn(KEY, format_key(scenario))
        parts = [
            keyed.join(keys, KEY, how).select(*now.columns).persist() for how in ("left_semi", "left_anti")
        ]
        for view, part in zip(FAULT_VIEWS, parts, strict=True):
            part.createOrReplaceTempView(view)
        trained = check_trained_versions(job, proof)
        return Rows(
            before=parts[0],
            rows_before=parts[0].count(),
            previous_keys=keys,
            bins=choose_bins(trained),
            probe=choose_probe(trained[0]),
        )


def check_trained_versions(job: Job, proof: PlannedProof) -> list[CheckedVersion]:
    """Check the versions in which the run found the bins of the features, and the rows to explain."""
    scenario, spark, uri = job.plan.scenario, job.spark, job.plan.table_uri
    # Without optional features, the first version has all of them.
    names = scenario.trained[: None if scenario.pipeline.optional else 1]
    return [
        check_version(read_version(spark, uri, each.version), scenario, each.name, each.version)
        for each in map(proof.find, names)
    ]


def choose_probe(first: CheckedVersion) -> list[str]:
    """Return the keys of the rows that are explained: held-out rows of the first trained version."""
    test = first.frame.where(meets_filter(first.scenario) & F.col(LABEL_VALUE).isNotNull() & F.col(HELD_OUT))
    return choose_probe_keys(test, first.scenario.pipeline.explainer.rows)


def judge_fault(
    job: Job, proof: PlannedProof, pipeline: ModelPipeline, rows: Rows, fault: PlannedFault
) -> FaultResult:
    """Judge the version with one fault by its bounds."""
    with attribute_error(f"the fault '{fault.name}' can't be injected", ("prove", "faults", fault.name)):
        # Computed now: Spark can lose the subqueries of a statement that is part of many later queries.
        added = job.spark.sql(fault.statement).localCheckpoint()
    try:
        measured = measure_fault(job, proof, pipeline, rows, fault, rows.before.unionByName(added))
    except (ScenarioError, JobError) as error:
        problems: tuple[Problem, ...] = error.problems if isinstance(error, ScenarioError) else ()
        return FaultResult(name=fault.name, refused=problems[0].message if problems else error.message)
    versions = [measured if each.name == proof.version else each for each in proof.known]
    judged = judge_versions(job.plan.scenario, versions, job.plan.baselines)
    return FaultResult(
        name=fault.name,
        bounds=tuple(bound for each in judged if each.name == proof.version for bound in each.bounds),
    )


def measure_fault(
    job: Job, proof: PlannedProof, pipeline: ModelPipeline, rows: Rows, fault: PlannedFault, table: DataFrame
) -> VersionResult:
    """Check, describe and train on the version with a fault, as a run does.

    Raises:
        ScenarioError: No model can be trained on these rows.
    """
    scenario, clean = job.plan.scenario, proof.find(proof.version)
    table = table.persist()
    try:
        with job.clock.step("check", fault.name):
            checked = check_version(table, scenario, clean.name, clean.version)
            checked = replace(checked, previous_keys=rows.previous_keys)
        with job.clock.step("describe", fault.name):
            described = describe(checked, clean, rows)
        with job.clock.step("prepare", fault.name):
            samples = prepare_rows(checked.frame, checked.scenario, checked.rows, pipeline)
        subject = Subject(checked, samples, described)
        measured = make_version_result(
            subject, measure_version(subject, pipeline, rows.probe, job.clock, fault.name)
        )
        samples.release()
        return measured
    finally:
        table.unpersist()


def describe(version: CheckedVersion, clean: VersionResult, rows: Rows) -> VersionResult:
    """Return the facts about the version's rows."""
    [distributions] = count_distributions([version], rows.bins)
    changes = clean.changes and clean.changes.model_copy(update={"added": version.rows - rows.rows_before})
    needs_added = compares_added_rows(version.scenario, version.name)
    return make_untrained_result(version).model_copy(
        update={
            "commits": clean.commits,
            "commit": clean.commit,
            "changes": changes,
            "distributions": distributions,
            "added": describe_added_rows(version, rows.bins.categories) if needs_added else None,
        }
    )
