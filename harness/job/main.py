"""The job's main path from a plan to a result: ``run`` is the list of steps, followed by each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from harness import bundles
from harness.bounds.judge import allows_publishing, allows_registration, decide_verdict, judge_versions
from harness.bounds.specs import list_bound_specs, needs_champion
from harness.bounds.standard import compares_added_rows
from harness.errors import ScenarioError
from harness.events import Announcement, Event
from harness.job import bundle
from harness.job.added_rows import describe_added_rows
from harness.job.approval import approve, explain_unapproved, open_approved_table
from harness.job.champion import Champion, open_champion, score_version
from harness.job.changed_columns import describe_changed_columns
from harness.job.check_version import CheckedVersion, check_version, reopen_check
from harness.job.compare_rows import explain_rows, find_moves, list_unexplained_keys, store_predictions
from harness.job.custom_pipeline import open_pipeline
from harness.job.data_checks import require_sensitive_columns
from harness.job.delta_log import translate_read_errors
from harness.job.distributions import choose_bins, count_distributions
from harness.job.explain import choose_probe_keys
from harness.job.facts_by_file import count_by_file, find_files
from harness.job.ingest import (
    INGEST,
    BuiltVersion,
    build_version,
    open_build,
    reopen_versions,
    step_location,
)
from harness.job.kept_counts import Counts, open_kept_counts
from harness.job.known_models import (
    find_known_model,
    identify_trainings,
    merge_measurements,
    record_training,
)
from harness.job.pinned_versions import list_retention_warnings
from harness.job.prepare import PreparedRows, prepare_rows
from harness.job.registration import point_alias, register
from harness.job.row_diff import attach_previous_keys, count_row_changes
from harness.job.running_job import MAX_PARALLEL, Job, fail, make_result, run_in_parallel
from harness.job.spark_errors import log_errors
from harness.job.spark_session import fit_in_memory, list_libraries
from harness.job.table_io import remove_scratch, remove_table
from harness.job.train_version import (
    Subject,
    TrainedVersion,
    make_untrained_result,
    select_raw_rows,
    train_version,
)
from harness.job.version_files import VersionFiles
from harness.pipelines import ModelPipeline
from harness.results import Registration, Result, Verdict, VersionResult
from harness.storage.model_store import ModelStore, holds_bundle, open_store

_CHECK, _DESCRIBE = "check", "describe"
"""Names of steps."""
_DESCRIBED = {"changes", "changed_columns", "distributions", "added"}
"""The fields of a version's result that describe its rows."""
_GATHERED = "files"
"""Subfolder of the run's scratch folder in the lake."""
_FILES, _KNOWN, _RECORDS = ".files", ".known", ".records"
"""Subfolders of the job's scratch folder; no version can have such a name."""


@dataclass(frozen=True)
class PreparedVersion:
    """A checked version with its rows as feature vectors, ready to be trained on."""

    version: CheckedVersion
    samples: PreparedRows


def run(job: Job) -> Result:
    """Run the job: the list of its steps."""
    try:
        open_stores(job)
        champion = None if job.plan.champion is None else open_champion(job)
        pipeline = open_pipeline(job.spark, job.plan, job.scratch)
        built = build_versions(job)
        checked = check_versions(job, built)
        known = find_known_models(job, checked)
        prepared = describe_and_prepare(job, pipeline, checked, known)
        trained = train_versions(job, pipeline, prepared, known)
        score_champion(job, champion, checked, trained)
        compare_rows(job, trained)
        verdict = judge(job)
        publish_and_draw(job, trained)
        check_pins(job)
        registered = register_model(job, verdict, trained)
        finish(job, verdict)
        approve(job, verdict)
        point_alias(job, registered)
        return make_result(job, verdict)
    except BaseException as error:
        return fail(job, error)


def open_stores(job: Job) -> None:
    """Open the stores and the approved table, so that a failure to open them ends the run now."""
    environment = job.plan.environment
    if (approved := open_approved_table(job)) is not None:
        approved.require_replaceable()
    if job.plan.scenario.may_publish:
        open_store(environment.model_store, environment.accounts)
    job.tracker.result()


def build_versions(job: Job) -> list[BuiltVersion]:
    """Build every version of the table, or find it in an existing one."""
    built: list[BuiltVersion] = []
    with remove_table_on_mistake(job):
        with job.clock.step(INGEST):
            build = open_build(job.spark, job.plan)
            if job.plan.is_resumed:
                built = reopen_versions(build, job.steps)
        for index, version in enumerate(job.plan.scenario.versions):
            if index < len(built):
                continue  # Built before the run was interrupted.
            with job.clock.step(INGEST, version.name):
                built.append(build_version(build, index))
            job.steps.finish(INGEST, version.name, built[-1].facts)
    return built


def check_versions(job: Job, built: list[BuiltVersion]) -> list[CheckedVersion]:
    """Check every version before the first training."""
    plan, spark = job.plan, job.spark
    unchecked = [version for version in built if job.steps.find(_CHECK, version.name) is None]
    files: Mapping[str, VersionFiles] = {}
    counts: Mapping[str, Counts] = {}
    if unchecked or job.steps.find(_DESCRIBE) is None:
        job.announce(Announcement("scratch", plan.scratch_uri))
        with job.clock.step(_CHECK):
            kept = open_kept_counts(spark, plan)
            if kept is not None or len({version.number for version in built}) > 1:
                files = find_files(spark, plan.table_uri, built, f"{plan.scratch_uri}/{_GATHERED}")
            counts = count_by_file(unchecked, plan.scenario, files, kept)
        if kept is not None and kept.known:
            detail = f"earlier runs have counted {kept.known:,} of {kept.known + kept.read:,} data files"
            job.clock.report(Event(_CHECK, "notice", detail=detail))

    def check(version: BuiltVersion) -> CheckedVersion:
        known = job.steps.find(_CHECK, version.name)
        if known is not None:
            return reopen_check(version.table, plan.scenario, version.name, version.number, known)
        at = step_location(plan, plan.scenario.index_of(version.name))
        with (
            job.clock.step(_CHECK, version.name),
            translate_read_errors(spark, plan.table_uri, version.name, version.number, at),
        ):
            checked = check_version(
                version.table, plan.scenario, version.name, version.number, counts.get(version.name)
            )
        if not plan.scenario.table.sensitive:  # Ranges and labels would be stored.
            job.steps.finish(_CHECK, version.name, checked.facts)
        return checked

    with remove_table_on_mistake(job):
        checked = run_in_parallel(job, check, built)
        checked = [replace(version, files=files.get(version.name)) for version in checked]
        require_sensitive_columns(plan.scenario, [version.table for version in checked])
    job.versions = tuple(
        make_untrained_result(version).model_copy(
            update={"commits": origin.commits, "commit": origin.commit, "error": origin.error}
        )
        for version, origin in zip(checked, built, strict=True)
    )
    return attach_previous_keys(checked)


@contextmanager
def remove_table_on_mistake(job: Job) -> Iterator[None]:
    """Remove the table if the block finds a mistake in the scenario or its data."""
    try:
        yield
    except ScenarioError:
        remove_table(job.spark, job.plan)
        remove_scratch(job.spark, job.plan)
        raise


def find_known_models(job: Job, checked: list[CheckedVersion]) -> dict[str, TrainedVersion]:
    """Return the versions whose model an earlier run has trained on the same rows in the same way."""
    works = identify_trainings(job.plan, checked, list_libraries(job.spark))
    for name, work in works.items():
        job.update(job.find_version(name).model_copy(update={"key": work.key}))
    if job.plan.fresh and not job.plan.is_resumed:
        return {}

    def find(version: CheckedVersion) -> TrainedVersion | None:
        folder = job.scratch / _KNOWN / version.name
        return find_known_model(version, works[version.name], job.plan, job.tracker.result(), folder)

    with job.clock.step("look up"):
        found = run_in_parallel(job, find, [version for version in checked if version.is_trained])
    known = {each.result.name: each for each in found if each is not None}
    for name, each in known.items():
        detail = (
            f"not trained again: the model of the run {each.result.reused_from} is the same"
            if each.result.reused_from
            else "not trained again: it was trained before the run was interrupted"
        )
        job.clock.report(Event("look up", "notice", name, detail=detail))
    return known


def describe_and_prepare(
    job: Job, pipeline: ModelPipeline, checked: list[CheckedVersion], known: Mapping[str, TrainedVersion]
) -> list[PreparedVersion]:
    """Describe all versions and, at the same time, prepare those that a model is trained on now."""
    untrained = [version for version in checked if version.is_trained and version.name not in known]
    prepared: list[PreparedVersion] = []
    parts: tuple[Callable[[], None], ...] = (
        lambda: describe_versions(job, checked),
        lambda: prepared.extend(prepare_versions(job, pipeline, untrained)),
    )
    run_in_parallel(job, lambda part: part(), parts)
    return prepared


def describe_versions(job: Job, checked: list[CheckedVersion]) -> None:
    """Count how the rows of each version changed, and how the values of its features are distributed."""
    known = job.steps.find(_DESCRIBE)
    if known is not None:
        for name, facts in known.items():
            job.update(job.find_version(name).replace_facts(facts))
        return
    with job.clock.step(_DESCRIBE):
        bins = choose_bins([version for version in checked if version.is_trained])
        counts: tuple[Callable[[], Sequence[Any]], ...] = (
            lambda: count_row_changes(checked),
            lambda: count_distributions(checked, bins),
        )
        # At once: planning takes longer than counting, and uses one core.
        found = run_in_parallel(job, lambda count: count(), counts)
        for version, changes, distributions in zip(checked, *found, strict=True):
            facts = {"changes": changes, "distributions": distributions}
            job.update(job.find_version(version.name).model_copy(update=facts))
        for before, version in pairwise(checked):
            if (changes := job.find_version(version.name).changes) is not None and changes.changed:
                changed = describe_changed_columns(before, version)
                job.update(job.find_version(version.name).model_copy(update={"changed_columns": changed}))
        for version in checked:
            if compares_added_rows(job.plan.scenario, version.name):
                added = describe_added_rows(version, bins.categories)
                job.update(job.find_version(version.name).model_copy(update={"added": added}))
    described = {each.name: each.model_dump(mode="json", include=_DESCRIBED) for each in job.versions}
    job.steps.finish(_DESCRIBE, None, described)


def prepare_versions(
    job: Job, pipeline: ModelPipeline, checked: list[CheckedVersion]
) -> list[PreparedVersion]:
    """Turn the rows of versions that a model is trained on into feature vectors."""

    def prepare(version: CheckedVersion) -> PreparedVersion:
        with job.clock.step("prepare", version.name):
            samples = prepare_rows(version.frame, version.scenario, version.rows, pipeline)
            return PreparedVersion(version, samples)

    return run_in_parallel(job, prepare, checked)


def train_versions(
    job: Job,
    pipeline: ModelPipeline,
    prepared: list[PreparedVersion],
    known: Mapping[str, TrainedVersion],
) -> list[TrainedVersion]:
    """Train, evaluate, explain and log a model at every prepared version, each only on its own rows.

    Returns:
        All trained versions in their order, with those that are known.
    """
    plan = job.plan
    with job.clock.step("log"):
        tracker = job.tracker.result()
        job.announce(Announcement("mlflow runs", plan.run_id))
        tracker.start(job.versions, {each.result.run_id or "" for each in known.values()})
    probe = choose_probe(job, prepared, known)
    for each in known.values():
        if each.result.reused_from:
            tracker.link_version(each.result)
        job.update(merge_measurements(job.find_version(each.result.name), each))

    def train(each: PreparedVersion) -> TrainedVersion:
        name = each.version.name
        subject = Subject(each.version, each.samples, job.find_version(name))
        folder = job.scratch / name
        trained = train_version(subject, pipeline, probe, plan, tracker, job.clock, folder, job.update)
        each.samples.release()
        with job.clock.step("log", name):
            record_training(trained, plan, tracker, job.scratch / _RECORDS / name)
        return trained

    at_once = min(MAX_PARALLEL, fit_in_memory(job.spark, len(prepared)))
    new = {each.result.name: each for each in run_in_parallel(job, train, prepared, at_once)}
    old = {name: replace(each, result=job.find_version(name)) for name, each in known.items()}
    return [{**old, **new}[name] for name in plan.scenario.trained]


def choose_probe(
    job: Job, prepared: Sequence[PreparedVersion], known: Mapping[str, TrainedVersion]
) -> list[str]:
    """Return the keys of the rows that are explained: those of the plan, or of the first trained version."""
    first = next(iter(job.plan.scenario.trained), None)
    if first is None:
        return []
    if job.plan.probe is not None:
        return list(job.plan.probe)
    if first in known:
        return list(known[first].weights)
    return choose_probe_keys(prepared[0].samples.test, job.plan.scenario.pipeline.explainer.rows)


def score_champion(
    job: Job, champion: Champion | None, checked: list[CheckedVersion], trained: list[TrainedVersion]
) -> None:
    """Score the champion on the held-out rows of each version, beside the model that is trained there."""
    if champion is None:
        return
    models = {each.result.name: each for each in trained}

    def score(version: CheckedVersion) -> None:
        with job.clock.step("champion", version.name):
            score_version(job, champion, version, models.get(version.name))
            job.tracker.result().log_champion(job.find_version(version.name))

    needed = {spec.version for spec in list_bound_specs(job.plan.scenario) if needs_champion(spec)}
    run_in_parallel(job, score, [each for each in checked if each.name in models or each.name in needed])


def compare_rows(job: Job, trained: list[TrainedVersion]) -> None:
    """Find and explain the rows whose score moved most since the version before; keep all predictions."""
    scenario = job.plan.scenario
    unexplained = list_unexplained_keys(trained)

    def explain_more(each: TrainedVersion) -> TrainedVersion:
        keys = unexplained[each.result.name]
        if not keys:
            return each
        with job.clock.step("explain", each.result.name):
            return explain_rows(each, keys, scenario)

    explained = run_in_parallel(job, explain_more, trained)
    moves = find_moves(explained, scenario)
    for each in explained:
        name = each.result.name
        with job.clock.step("log", name):
            file, stored = store_predictions(each.predictions, scenario, name, job.scratch / _FILES)
            job.tracker.result().log_predictions(each.result, file)
        job.files[stored.file] = file
        facts = {"predictions": stored, "moved": moves.get(name)}
        job.update(job.find_version(name).model_copy(update=facts))


def judge(job: Job) -> Verdict:
    """Judge every bound, and return the verdict of the run."""
    job.versions = judge_versions(job.plan.scenario, job.versions, job.plan.baselines)
    return decide_verdict(job.plan.scenario, (bound for each in job.versions for bound in each.bounds))


def publish_and_draw(job: Job, trained: list[TrainedVersion]) -> None:
    """Publish the bundles while the pictures are drawn; then draw the lineage diagram, which shows both."""
    with ThreadPoolExecutor(1) as background:
        drawn = background.submit(draw, job)
        publish(job, trained)
        drawn.result()
    with log_errors():
        from harness.views.plots import draw_lineage

        job.pictures |= draw_lineage(job.plan, job.versions)


def publish(job: Job, trained: list[TrainedVersion]) -> None:
    """Copy the bundles to the model store if the scenario allows it, and verify the copies."""
    plan = job.plan
    if not allows_publishing(plan.scenario, job.versions):
        return
    store = open_store(plan.environment.model_store, plan.environment.accounts)
    judged = {version.name: version for version in job.versions}

    def publish_one(each: TrainedVersion) -> None:
        def check(uri: str) -> None:
            raw = select_raw_rows(each, plan.scenario, each.weights)
            bundle.verify(uri, raw, each.models.explainer, each.scores, each.weights)

        with job.clock.step("publish", each.result.name):
            if (published := find_published(job, store, each.result)) is not None:
                job.update(judged[each.result.name].model_copy(update={"bundle": published}))
                return
            # Before the first file is copied: a run that breaks from here on withdraws it.
            job.announce_bundle(bundles.locate(store, each.result, plan))
            uri = bundles.publish(store, each.models.folder, each.result, plan, check)
            job.update(judged[each.result.name].model_copy(update={"bundle": uri}))

    run_in_parallel(job, publish_one, trained)


def find_published(job: Job, store: ModelStore, version: VersionResult) -> str | None:
    """Return the bundle that an earlier run has published to the same store from the same model, if any."""
    if not version.reused_from or version.run_id is None:
        return None
    uri = job.tracker.result().find_bundle(version.run_id)
    return uri if holds_bundle(store, uri) else None


def draw(job: Job) -> None:
    """Draw what was measured. An error is only logged: pictures don't affect the verdict."""
    with log_errors():
        # Imported here: it takes a second, while bundles are being copied.
        from harness.views.plots import draw_pictures

        job.pictures = draw_pictures(job.versions)


def check_pins(job: Job) -> None:
    """Warn if an existing table won't keep a version that a published model was trained from."""
    if job.plan.existing_table is None:
        return  # No other run can have pinned a version of a table that this run built.
    job.warnings = ("The table's pinned versions couldn't be checked; job.log has the reason.",)
    with log_errors(), job.clock.step("log"):
        job.warnings = list_retention_warnings(job.spark, job.plan, job.tracker.result().client)


def register_model(job: Job, verdict: Verdict, trained: list[TrainedVersion]) -> Registration | None:
    """Register the model of the last trained version, if the scenario asks for it and the run has passed."""
    if not allows_registration(job.plan.scenario, job.versions) or explain_unapproved(job, verdict):
        return None
    environment, last = job.plan.environment, trained[-1]
    store = open_store(environment.model_store, environment.accounts)
    with job.clock.step("register", last.result.name):
        registered = register(job, last, store)
    job.update(job.find_version(last.result.name).model_copy(update={"registered": registered}))
    return registered


def finish(job: Job, verdict: Verdict) -> None:
    """Close the runs in MLflow with the report's pictures."""
    tracker = job.tracker.result()
    with log_errors():
        remove_scratch(job.spark, job.plan)
    with job.clock.step("log"):
        job.versions = tuple(
            each.model_copy(update={"timings": job.clock.version_timings(each.name)}) for each in job.versions
        )
        for each in job.versions:
            tracker.finish_version(each, decide_verdict(job.plan.scenario, each.bounds))
        with log_errors():
            tracker.log_pictures(job.pictures)
    tracker.finish(make_result(job, verdict))
