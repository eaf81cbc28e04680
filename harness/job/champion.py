"""The champion: the deployed model, scored on the same held-out rows as the model that is trained now.

Rows that the champion was trained on don't test it. If it was trained by a scenario with the same split, its
held-out rows are those of today; otherwise, only rows count that it can't have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mlflow
from mlflow import MlflowClient
from mlflow.models import Model
from pyspark.sql import DataFrame, functions as F

from harness.bounds.specs import list_bound_specs
from harness.bundles import CLASSIFIER, FEATURIZER
from harness.errors import PrerequisiteError, format_first_line
from harness.job.bundle import load_models
from harness.job.champion_model import ScoringModel, SparkScoringModel, open_model
from harness.job.check_version import CheckedVersion
from harness.job.evaluate import Scores, compute_curves, name_metrics, score_groups, select_probability
from harness.job.paired_errors import OTHER_SCORE, measure_differences
from harness.job.prepare import (
    HELD_OUT,
    LABEL_VALUE,
    add_feature_columns,
    add_label,
    describe_split,
    meets_filter,
)
from harness.job.row_diff import KNOWN, mark_known, select_keys
from harness.job.running_job import Job
from harness.job.table_io import column, read_version, unite
from harness.job.train_version import TrainedVersion
from harness.metrics import ADDED, CHAMPION
from harness.pipelines import KEY, LABEL, SCORE
from harness.plan import Plan
from harness.results import ChampionResult, Difference, MeasuredValue
from harness.retention.pins import Manifest
from harness.scenario.champion import parse_model_reference
from harness.storage.model_store import MANIFEST, find_bundle_path, open_store
from harness.stored_json import parse_json
from harness.tracked_names import PATH_TAG, VERSION_TAG

_FOLDER = ".champion"
"""Subfolder of the job's scratch folder; no version can have such a name."""
_PART, _ALL, _ADDED = "part", "all", "added"


@dataclass(frozen=True)
class Lineage:
    """The split of the rows that a champion was trained on, as far as its MLflow run tells."""

    table: str = ""
    """URI or name of the table; empty if it is unknown."""
    version: int | None = None
    has_same_split: bool = False
    """Whether the rows that are held out now were held out from its training, too."""


@dataclass(frozen=True)
class Champion:
    """The deployed model, ready to score."""

    uri: str
    """With a version in place of an alias."""
    model: ScoringModel
    lineage: Lineage


@dataclass(frozen=True)
class CountedRows:
    """The held-out rows of a version that count."""

    rows: Literal["all", "added", "none"]
    reason: str = ""
    """Why not all of them count, as the rest of a sentence."""
    seen: DataFrame | None = None
    """Keys of the rows that the champion may have been trained on; ``None`` if there are none."""


def open_champion(job: Job) -> Champion:
    """Open the champion of a scenario.

    Raises:
        PrerequisiteError: It doesn't exist or can't be loaded.
    """
    plan = job.plan
    reference = parse_model_reference(plan.champion or "")
    client = job.tracker.result().client
    if reference.is_bundle:
        uri, run_id = _find_bundle(reference.uri, plan)
        stages = tuple(load_models(uri, FEATURIZER, CLASSIFIER))
        return Champion(uri, SparkScoringModel(stages), _read_lineage(client, run_id, plan))
    uri = reference.uri
    try:
        if reference.alias:
            version = client.get_model_version_by_alias(reference.name, reference.alias).version
            uri = f"models:/{reference.name}/{version}"
        (job.scratch / _FOLDER).mkdir(parents=True, exist_ok=True)
        folder = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(job.scratch / _FOLDER))
    except (mlflow.MlflowException, OSError) as error:
        raise PrerequisiteError(
            f"The champion {reference.uri} can't be read from MLflow: {format_first_line(error)}",
            remedy="Check its name, its version or alias, and which MLflow server the run uses.",
        ) from error
    described = Model.load(folder)
    positive = list(map(str, plan.scenario.pipeline.label.positive))
    model = open_model(Path(folder), described, uri, positive, plan.scratch_uri)
    return Champion(uri, model, _read_lineage(client, described.run_id or "", plan))


def _find_bundle(uri: str, plan: Plan) -> tuple[str, str]:
    """Return the URI of a bundle, and the MLflow run that trained its models.

    Raises:
        PrerequisiteError: It isn't a bundle, or can't be read.
    """
    uri = uri.rstrip("/")
    store = open_store(uri.rsplit("/", 2)[0], plan.environment.accounts, create=False)
    path = find_bundle_path(store, uri)
    manifest = None if path is None else store.read(f"{path}/{MANIFEST}")
    if manifest is None:
        raise PrerequisiteError(
            f"The champion {uri} is not a bundle: it has no {MANIFEST}.",
            remedy="Name the folder of a bundle, such as models/lc_loan/v3-0123..., or a model in MLflow.",
        )
    try:
        return uri, Manifest.model_validate(parse_json(manifest)).mlflow_run_id or ""
    except ValueError as error:
        raise PrerequisiteError(
            f"The champion {uri} can't be used: its {MANIFEST} is damaged.",
            remedy="Publish the bundle again, or name another one.",
        ) from error


def _read_lineage(client: MlflowClient, run_id: str, plan: Plan) -> Lineage:
    """Return what the run that trained a champion tells about its rows."""
    try:
        data = client.get_run(run_id).data if run_id else None
    except mlflow.MlflowException:
        data = None
    if data is None:
        return Lineage()
    version = data.tags.get(VERSION_TAG, "")
    return Lineage(
        table=data.tags.get(PATH_TAG, ""),
        version=int(version) if version.isdecimal() else None,
        has_same_split=describe_split(plan.scenario).items() <= data.params.items(),
    )


def score_version(
    job: Job, champion: Champion, checked: CheckedVersion, trained: TrainedVersion | None
) -> None:
    """Score the champion on the held-out rows of a version, and compare it with the model trained there.

    Args:
        job: The job, in which the version's result gets the champion's.
        champion: The champion.
        checked: The version.
        trained: Its model; ``None`` if it has none.
    """
    raw = _select_held_out_rows(checked)
    counted = choose_rows(job, champion, checked)
    result = ChampionResult(
        model=champion.uri,
        rows=counted.rows,
        reason=counted.reason,
        input_problems=champion.model.find_input_problems(raw.schema),
    )
    metrics: dict[str, MeasuredValue] = {}
    if not result.input_problems and counted.rows != "none":
        with _score(raw, champion, checked, trained, counted) as rows:
            result, metrics = _measure(rows, result, checked, trained)
    version = job.find_version(checked.name)
    job.update(version.model_copy(update={"champion": result, "metrics": {**version.metrics, **metrics}}))


def choose_rows(job: Job, champion: Champion, checked: CheckedVersion) -> CountedRows:
    """Choose the held-out rows of a version that the champion can't have been trained on."""
    lineage, plan = champion.lineage, job.plan
    if checked.null_keys or checked.duplicate_keys:
        return CountedRows("none", "the key doesn't identify the version's rows")
    if lineage.has_same_split:
        return CountedRows("all")
    if lineage.version is not None and lineage.table == plan.table_uri:
        trained_at = f"the champion was trained with another split, at version {lineage.version}"
        reason = f"{trained_at}: only rows added since then count"
        if lineage.version <= checked.version:
            seen = select_keys(read_version(job.spark, plan.table_uri, lineage.version), plan.scenario)
            if seen is not None:
                return CountedRows("added", reason, seen.distinct())
    else:
        unknown = "it isn't known which rows the champion was trained on"
        reason = f"{unknown}: only rows that this version has added count"
    if checked.previous_keys is None:
        return CountedRows("none", f"{reason}, and there is no earlier version")
    return CountedRows("added", reason, checked.previous_keys.distinct())


def _select_held_out_rows(checked: CheckedVersion) -> DataFrame:
    """Return the held-out rows of a version: the table's columns and derived ones, the key and the label."""
    scenario, frame = checked.scenario, checked.frame
    if not checked.is_trained:
        frame = add_label(add_feature_columns(checked.table, scenario.pipeline), scenario)
    names = [*checked.table.columns, *scenario.pipeline.derive]
    return frame.where(F.col(HELD_OUT) & meets_filter(scenario) & F.col(LABEL_VALUE).isNotNull()).select(
        *map(column, names), KEY, LABEL_VALUE
    )


@contextmanager
def _score(
    raw: DataFrame,
    champion: Champion,
    checked: CheckedVersion,
    trained: TrainedVersion | None,
    counted: CountedRows,
) -> Iterator[DataFrame]:
    """Score the rows that count, once for all that is measured of them.

    Yields:
        Key, label, both models' scores, and ``KNOWN`` of each row; cached until the block ends.

    Raises:
        PrerequisiteError: A score of the champion isn't a probability.
    """
    if counted.seen is not None:
        raw = raw.join(counted.seen, KEY, "left_anti")
    labels = raw.select(KEY, F.col(LABEL_VALUE).alias(LABEL))
    of_champion = labels.join(champion.model.score(raw, OTHER_SCORE), KEY).persist()
    scored = of_champion
    if trained is not None:
        # The featurizer derives these columns itself.
        features = trained.models.featurizer.transform(raw.drop(*checked.scenario.pipeline.derive))
        predicted = trained.models.classifier.transform(features)
        scored = scored.join(predicted.select(KEY, select_probability().alias(SCORE)), KEY)
    rows = mark_known(scored, checked.previous_keys).persist()
    try:
        _require_probabilities(of_champion, champion.uri)
        yield rows
    finally:
        rows.unpersist()
        of_champion.unpersist()


def _require_probabilities(scored: DataFrame, uri: str) -> None:
    """Require that each score of the champion is a probability.

    Raises:
        PrerequisiteError: One isn't.
    """
    score = F.col(OTHER_SCORE)
    wrong = scored.where(score.isNull() | F.isnan(score) | ~score.between(0, 1)).select(OTHER_SCORE).first()
    if wrong is not None:
        raise PrerequisiteError(
            f"The champion {uri} returned {wrong[0]} for a row, which is not a probability.",
            remedy="Name a model that returns the probability of the positive class.",
        )


def _measure(
    rows: DataFrame, result: ChampionResult, checked: CheckedVersion, trained: TrainedVersion | None
) -> tuple[ChampionResult, dict[str, MeasuredValue]]:
    """Return the champion's result with its curves and differences, and its metrics."""
    of_champion = rows.select(KEY, LABEL, F.col(OTHER_SCORE).alias(SCORE), KNOWN)
    parts = [_ALL] if result.rows == "all" else []
    parts += [_ADDED] if checked.previous_keys is not None else []
    scores = _score_parts(of_champion, parts)
    now = {} if trained is None else _score_parts(rows, parts)
    metrics: dict[str, MeasuredValue] = {}
    differences: dict[str, Difference] = {}
    bounded = _list_compared_metrics(checked)
    for part in parts:
        prefix = ADDED if part == _ADDED else ""
        metrics |= name_metrics(scores.get(part), CHAMPION + prefix)
        if part in now and part in scores:
            names = [name for name, is_added in bounded if is_added == (part == _ADDED)]
            selected = _select_part(rows, part)
            found = measure_differences(selected, now[part], scores[part], names, checked.scenario.seed)
            differences |= {f"{prefix}{name}": each for name, each in found.items()}
    update: dict[str, object] = {"differences": differences}
    if result.rows == "all":
        curves = compute_curves(of_champion, scores.get(_ALL))
        update |= {"roc": curves.roc, "calibration": curves.calibration}
    return result.model_copy(update=update), metrics


def _score_parts(rows: DataFrame, parts: Sequence[str]) -> dict[str, Scores]:
    groups = unite([_select_part(rows, part).withColumn(_PART, F.lit(part)) for part in parts])
    found = score_groups(groups.select(_PART, LABEL, SCORE), [_PART])
    return {str(part): scores for (part,), scores in found.items()}


def _select_part(rows: DataFrame, part: str) -> DataFrame:
    return rows.where(F.col(KNOWN).isNull()) if part == _ADDED else rows


def _list_compared_metrics(checked: CheckedVersion) -> list[tuple[str, bool]]:
    """Return each metric whose difference to the champion's is bounded, and whether on added rows."""
    specs = list_bound_specs(checked.scenario)
    return [
        (spec.metric.removeprefix(ADDED), spec.quantity.on_added)
        for spec in specs
        if spec.version == checked.name and spec.reference is not None and spec.reference.is_champion
    ]
