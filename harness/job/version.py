"""One version of the table: trained on, measured, explained, tracked. Versions run side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyspark.ml.param import Params
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame, functions as F

from harness.job import bundle, tracking
from harness.job.check import CheckedVersion
from harness.job.clock import Clock
from harness.job.explain import Explained, explain, make_explainer, probe_rows, summarize
from harness.job.held_out import HeldOut, evaluate
from harness.job.prepare import FEATURES, KEY, LABEL, Samples
from harness.job.train import Trained, train
from harness.metrics import METRICS
from harness.results import Coefficient, Measured, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.plan import Plan

# Parameters that are whole objects, not settings.
_NO_SETTINGS = {"model", "backgroundData"}


@dataclass(frozen=True)
class Subject:
    """A version that a model is to be trained at."""

    version: CheckedVersion
    samples: Samples
    """Its feature vectors."""
    known: VersionResult
    """What is known of it already."""


@dataclass(frozen=True)
class TrainedVersion:
    """A version with its models, saved in a local folder, and what they said of the probe rows."""

    result: VersionResult
    table: DataFrame
    models: Path
    scores: dict[str, float]
    explained: Explained


@dataclass(frozen=True)
class TrainingSide:
    """The rows that a model was trained on."""

    rows: int
    positives: int
    deviations: list[float]
    """Standard deviation of each slot of the feature vector."""


def train_version(
    subject: Subject,
    probe: list[str],
    plan: Plan,
    tracker: tracking.Tracker,
    clock: Clock,
    folder: Path,
) -> TrainedVersion:
    """Train, evaluate, explain and log one version.

    Args:
        subject: What is trained on.
        probe: Keys of the rows to explain.
        plan: The run.
        tracker: Where it is logged.
        clock: Told of every step.
        folder: Local folder for the saved models.
    """
    version, samples = subject.version, subject.samples
    pipeline = version.scenario.pipeline
    name = version.name
    run_id = tracker.start_version(subject.known)
    with clock.step("train", name) as tell:
        trained = train(samples.train, pipeline.model, tell)
    with clock.step("evaluate", name):
        held_out = evaluate(trained.model, samples.test, version.before)
        side = look_at(samples.train)
    with clock.step("explain", name):
        explainer = make_explainer(trained.model, samples.train, pipeline.explainer)
        rows = probe_rows(samples.test, probe, pipeline.explainer.rows).persist()
        explained = explain(explainer, rows)
        scores = bundle.predict(trained.model, rows)
        rows.unpersist()
    with clock.step("log", name):
        models = {
            bundle.FEATURIZER: samples.featurizer,
            bundle.CLASSIFIER: trained.model,
            bundle.EXPLAINER: explainer,
        }
        bundle.save_models(models, folder, run_id, plan.scratch_uri)
        explanations = summarize(explained.weights, samples.names, side.deviations)
        result = subject.known.model_copy(
            update={
                "status": "trained",
                "run_id": run_id,
                "metrics": _metrics(version, side, trained, held_out, explained),
                "roc": held_out.curves.roc,
                "calibration": held_out.curves.calibration,
                "grid": trained.grid,
                "parameters": _parameters(version.scenario, trained, explainer),
                "intercept": float(trained.model.intercept),
                "coefficients": _coefficients(trained, samples.names, side.deviations),
                "explanations": explanations,
                "explanation": {feature: each.mean for feature, each in explanations.items()},
            }
        )
        tracker.log_version(run_id, result, folder)
    return TrainedVersion(result, version.table, folder, scores, explained)


def look_at(train: DataFrame) -> TrainingSide:
    """Count the training rows, and measure how far each feature spreads in them."""
    [row] = train.agg(F.count("*"), F.sum(LABEL), Summarizer.std(F.col(FEATURES))).collect()
    return TrainingSide(int(row[0]), int(row[1]), [float(value) for value in row[2].toArray()])


def untrained(version: CheckedVersion) -> VersionResult:
    """What is known of a version before it is trained on."""
    return VersionResult(
        name=version.name,
        version=version.version,
        rows=version.rows,
        fingerprint=version.fingerprint,
        data_schema=version.schema,
        nulls=version.nulls,
        null_keys=version.null_keys,
        duplicate_keys=version.duplicate_keys,
    )


def raw_rows(trained: TrainedVersion, key: Column) -> DataFrame:
    """The explained rows as they lie in the table, with their key, for the featurizer to start from."""
    return trained.table.withColumn(KEY, key).where(F.col(KEY).isin(list(trained.scores)))


def _metrics(
    version: CheckedVersion, side: TrainingSide, trained: Trained, held_out: HeldOut, explained: Explained
) -> dict[str, Measured]:
    """In the order in which reports show them; what could not be measured is there as ``None``."""
    found: dict[str, Measured] = {
        **held_out.metrics,
        "cv_roc_auc": trained.cv_roc_auc,
        "cv_roc_auc_se": trained.cv_roc_auc_se,
        "lime_r2_mean": explained.r2_mean,
        "train_rows": float(side.rows),
        "train_positives": float(side.positives),
        "filtered_rows": float(version.filtered_rows),
        "unlabelled_rows": float(version.unlabelled_rows),
        "explained_rows": float(len(explained.weights)),
    }
    return {name: found[name] for name in METRICS if name in found}


def _coefficients(
    trained: Trained, names: tuple[str, ...], deviations: list[float]
) -> dict[str, Coefficient]:
    values = trained.model.coefficients.toArray()
    return {
        name: Coefficient(raw=float(value), per_sd=float(value) * deviation)
        for name, value, deviation in zip(names, values, deviations, strict=True)
    }


def _parameters(scenario: Scenario, trained: Trained, explainer: Params) -> dict[str, str]:
    """Every parameter that the numbers depend on."""
    pipeline = scenario.pipeline
    return {
        "seed": str(scenario.seed),
        "key": ", ".join(scenario.table.key),
        "features": ", ".join((*pipeline.features, *pipeline.categorical)),
        "label": pipeline.label.column,
        "filter": pipeline.filter or "",
        "impute": pipeline.impute,
        "split.test": str(pipeline.split.test),
        "folds": str(pipeline.model.folds),
        "explainer.rows": str(pipeline.explainer.rows),
        "explainer.background": str(pipeline.explainer.background),
        **_settings_of("model", trained.model),
        **_settings_of("explainer", explainer),
    }


def _settings_of(prefix: str, stage: Params) -> dict[str, str]:
    return {
        f"{prefix}.{parameter.name}": str(value)
        for parameter, value in sorted(stage.extractParamMap().items(), key=lambda item: item[0].name)
        if parameter.name not in _NO_SETTINGS
    }
