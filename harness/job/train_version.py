"""The model of one version: trained, measured, explained and tracked. Versions run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pyspark.ml import PipelineModel
from pyspark.ml.param import Params
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame, functions as F

from harness import bundles
from harness.errors import JobError
from harness.job import bundle, mlflow_tracker
from harness.job.author_steps import attribute_to_author
from harness.job.check_version import CheckedVersion
from harness.job.clock import Clock
from harness.job.deployable import make_deployable
from harness.job.evaluate import HeldOut, evaluate, score_held_out
from harness.job.explain import (
    ProbeExplanations,
    choose_background_rows,
    choose_probe_rows,
    explain,
    summarize,
)
from harness.job.held_out_parts import choose_parts
from harness.job.predict_rows import collect_predictions
from harness.job.prepare import PreparedRows, describe_split, format_key, make_context
from harness.metrics import METRICS
from harness.pipelines import FEATURES, KEY, LABEL, Explainer, FittedModel, ModelPipeline
from harness.plan import Plan
from harness.predictions import Prediction, Predictions
from harness.results import Coefficient, MeasuredValue, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.sensitive import hide_slot

# Parameters that hold whole objects.
_OBJECTS = {"model", "backgroundData"}


@dataclass(frozen=True)
class Subject:
    """A version to train a model on."""

    version: CheckedVersion
    samples: PreparedRows
    """Its feature vectors."""
    result: VersionResult
    """The version's result before the training."""


class Models(Protocol):
    """The models of a version, in memory and saved in a local folder."""

    @property
    def folder(self) -> Path:
        """The local folder."""

    @property
    def featurizer(self) -> PipelineModel:
        """The featurizer."""

    @property
    def classifier(self) -> Any:
        """The classifier, a model in Spark."""

    @property
    def explainer(self) -> Explainer:
        """The explainer."""


@dataclass(frozen=True)
class TrainedModels:
    """The models that this run has trained."""

    folder: Path
    featurizer: PipelineModel
    classifier: Any
    explainer: Explainer


@dataclass(frozen=True)
class TrainedVersion:
    """A version with its models, and their output for the probe rows."""

    result: VersionResult
    table: DataFrame
    weights: Mapping[str, list[float]]
    """Key of each probe row to its weights, in the order of the slots of the feature vector."""
    predictions: Predictions
    """Of the held-out rows, with the weights of the probe rows."""
    models: Models
    others: Mapping[str, list[float]] = field(default_factory=dict)
    """The same for the rows that an earlier run has explained besides, all at once."""

    @property
    def scores(self) -> dict[str, float]:
        """Key of each probe row to its score."""
        return {key: self.predictions.by_key[key].score for key in self.weights}


@dataclass(frozen=True)
class TrainingStatistics:
    """Statistics of the rows that a model was trained on."""

    rows: int
    positives: int
    deviations: list[float]
    """Standard deviation of each slot of the feature vector."""


@dataclass(frozen=True)
class Measurements:
    """The models of a version, and their measurements."""

    fitted: FittedModel
    held_out: HeldOut
    predicted: tuple[Prediction, ...]
    """The scored held-out rows."""
    statistics: TrainingStatistics
    explainer: Explainer
    explained: ProbeExplanations
    dropped_rows: int | None


def train_version(
    subject: Subject,
    pipeline: ModelPipeline,
    probe: list[str],
    plan: Plan,
    tracker: mlflow_tracker.Tracker,
    clock: Clock,
    folder: Path,
    record: Callable[[VersionResult], None],
) -> TrainedVersion:
    """Train, evaluate, explain and log one version.

    Args:
        subject: The version and its feature vectors.
        pipeline: Fits the model and its explainer.
        probe: Keys of the rows to explain.
        plan: The run.
        tracker: Logs the version.
        clock: Times every step.
        folder: Local folder for the saved models.
        record: Receives everything measured, before it is logged: MLflow may fail.
    """
    name, samples = subject.version.name, subject.samples
    run_id = tracker.start_version(subject.result)
    measured = measure_version(subject, pipeline, probe, clock, name)
    with clock.step("log", name):
        models = {
            bundles.FEATURIZER: samples.featurizer,
            bundles.CLASSIFIER: measured.fitted.model,
            bundles.EXPLAINER: measured.explainer.model,
        }
        result = make_result(subject, measured).model_copy(update={"run_id": run_id})
        record(result)
        bundle.save_models(models, folder, run_id, plan.scratch_uri)
        version = subject.version
        deployable = make_deployable(
            version.table, version.scenario, version.nulls, samples.featurizer, measured.fitted.model
        )
        logged = tracker.log_models(run_id, result, deployable, folder)
        tracker.log_version(run_id, result, folder, logged)
    return TrainedVersion(
        result,
        subject.version.table,
        measured.explained.weights,
        make_predictions(subject, measured),
        TrainedModels(folder, samples.featurizer, measured.fitted.model, measured.explainer),
    )


def make_predictions(subject: Subject, measured: Measurements) -> Predictions:
    """Return the scores of the held-out rows, with the weights of those that are explained."""
    names = subject.samples.names
    is_slope = measured.explainer.unit == "slope"
    return Predictions(
        rows=measured.predicted,
        features=names,
        scales=tuple(measured.statistics.deviations) if is_slope else (1.0,) * len(names),
        held_out=int(measured.held_out.metrics["test_rows"] or 0),
        key_parts=len(subject.version.scenario.table.key),
    ).add_weights(measured.explained.weights)


def measure_version(
    subject: Subject, pipeline: ModelPipeline, probe: list[str], clock: Clock, shown_as: str
) -> Measurements:
    """Train, evaluate and explain a model, and keep nothing of it.

    Args:
        subject: The version and its feature vectors.
        pipeline: Fits the model and its explainer.
        probe: Keys of the rows to explain.
        clock: Times every step.
        shown_as: The name under which the steps are shown.
    """
    version, samples = subject.version, subject.samples
    scenario, use = version.scenario, version.scenario.pipeline.use
    sizes = scenario.pipeline.explainer
    context = make_context(scenario, len(samples.names))
    with clock.step("train", shown_as) as report_progress:
        fitted = pipeline.fit(samples.train, replace(context, report_progress=report_progress))
    with clock.step("evaluate", shown_as):
        parts = choose_parts(version)
        with score_held_out(fitted.model, samples.test, parts.before, use) as scored:
            held_out = evaluate(scored, parts, partial(pipeline.evaluate, context=context))
            predicted = collect_predictions(scored, parts, probe, scenario.seed)
        statistics = measure_training_rows(samples.train)
    with clock.step("explain", shown_as):
        background = choose_background_rows(samples.train, sizes.background)
        explainer = pipeline.explain(fitted.model, background, context)
        rows = choose_probe_rows(samples.test, probe, sizes.rows).persist()
        with attribute_to_author(use, "explain"):
            explained = explain(explainer, rows)
        _require_slots(explained, samples.names)
        rows.unpersist()
    return Measurements(fitted, held_out, predicted, statistics, explainer, explained, samples.dropped_rows)


def measure_training_rows(train: DataFrame) -> TrainingStatistics:
    """Count the training rows, and compute the standard deviation of each slot."""
    [row] = train.agg(F.count("*"), F.sum(LABEL), Summarizer.std(F.col(FEATURES))).collect()
    return TrainingStatistics(int(row[0]), int(row[1]), [float(value) for value in row[2].toArray()])


def make_untrained_result(version: CheckedVersion) -> VersionResult:
    """Return the result of a version before the training."""
    return VersionResult(
        name=version.name,
        version=version.version,
        rows=version.rows,
        fingerprint=version.fingerprint,
        data_schema=version.schema,
        nulls=version.nulls,
        null_keys=version.null_keys,
        duplicate_keys=version.duplicate_keys,
        unlabelled=version.unlabelled,
    )


def select_raw_rows(trained: TrainedVersion, scenario: Scenario, keys: Iterable[str]) -> DataFrame:
    """Return rows as they are in the table, with their key, as input of the featurizer."""
    return trained.table.withColumn(KEY, format_key(scenario)).where(F.col(KEY).isin(list(keys)))


def _require_slots(explained: ProbeExplanations, names: tuple[str, ...]) -> None:
    """Require one weight for each slot of the feature vector.

    Raises:
        JobError: There are more weights, or fewer.
    """
    for weights in explained.weights.values():
        if len(weights) != len(names):
            raise JobError(f"The explainer returned {len(weights)} weights for {len(names)} slots.")


def make_result(subject: Subject, measured: Measurements) -> VersionResult:
    """Return the result of a version with all that was measured of its models."""
    sensitive = subject.version.scenario.sensitive_columns
    names = tuple(hide_slot(name, sensitive) for name in subject.samples.names)
    deviations = measured.statistics.deviations
    explanations = summarize(measured.explained, names, deviations)
    curves = measured.held_out.curves
    return subject.result.model_copy(
        update={
            "status": "trained",
            "metrics": _collect_metrics(subject.version, measured),
            "segments": measured.held_out.segments,
            "weakest": measured.held_out.weakest,
            "scores": measured.held_out.scores,
            "roc": curves.roc,
            "calibration": curves.calibration,
            "grid": measured.fitted.grid,
            "parameters": _list_parameters(subject.version.scenario, measured),
            "intercept": measured.fitted.intercept,
            "coefficients": _make_coefficients(measured.fitted, names, deviations),
            "explanations": explanations,
            "explanations_reason": measured.explained.reason,
            "explanation": {feature: each.mean for feature, each in explanations.items()},
        }
    )


def _collect_metrics(version: CheckedVersion, measured: Measurements) -> dict[str, MeasuredValue]:
    """Return the metrics in the order of reports; ``None`` stands for one that could not be measured."""
    metrics: dict[str, MeasuredValue] = {
        **measured.held_out.metrics,
        **measured.fitted.metrics,
        measured.explainer.r2_metric: measured.explained.r2_mean,
        "train_rows": float(measured.statistics.rows),
        "train_positives": float(measured.statistics.positives),
        "filtered_rows": float(version.filtered_rows),
        "unlabelled_rows": float(version.unlabelled_rows),
        "ignored_rows": float(version.ignored_rows),
        "explained_rows": float(len(measured.explained.weights)),
    }
    if measured.dropped_rows is not None:
        metrics["dropped_rows"] = float(measured.dropped_rows)
    custom = version.scenario.pipeline.metrics
    return {name: metrics.get(name) for name in (*METRICS, *custom) if name in metrics or name in custom}


def _make_coefficients(
    fitted: FittedModel, names: tuple[str, ...], deviations: list[float]
) -> dict[str, Coefficient]:
    """Return the coefficients by slot; empty if the model is not linear."""
    return {
        name: Coefficient(raw=value, per_sd=value * deviation)
        for name, value, deviation in zip(names, fitted.coefficients, deviations, strict=False)
    }


def _list_parameters(scenario: Scenario, measured: Measurements) -> dict[str, str]:
    """Return every parameter that the measured numbers depend on."""
    pipeline = scenario.pipeline
    return {
        **describe_split(scenario),
        "features": ", ".join((*pipeline.features, *pipeline.categorical)),
        "label": pipeline.label.column,
        "filter": pipeline.filter or "",
        "impute": pipeline.impute,
        "folds": str(pipeline.model.folds),
        "proof.min_class_rows": str(scenario.proof.min_class_rows),
        "explainer.rows": str(pipeline.explainer.rows),
        "explainer.background": str(pipeline.explainer.background),
        **_list_custom_settings(pipeline),
        **_list_settings("model", measured.fitted.model),
        **_list_settings("explainer", measured.explainer.model),
    }


def _list_custom_settings(pipeline: Pipeline) -> dict[str, str]:
    """Return the name and the arguments of the custom pipeline, if the scenario uses one."""
    if pipeline.use is None:
        return {}
    return {"use": pipeline.use, **{f"with.{name}": str(value) for name, value in pipeline.options.items()}}


def _list_settings(prefix: str, stage: Params) -> dict[str, str]:
    return {
        f"{prefix}.{parameter.name}": str(value)
        for parameter, value in sorted(stage.extractParamMap().items(), key=lambda item: item[0].name)
        if parameter.name not in _OBJECTS
    }
