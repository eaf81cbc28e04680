"""One version of the table: trained on, measured, explained, tracked. Versions run side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pyspark.ml.param import Params
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame, functions as F

from harness.errors import JobError
from harness.job import bundle, mlflow_tracker
from harness.job.check_version import CheckedVersion
from harness.job.clock import Clock
from harness.job.evaluate import HeldOut, evaluate
from harness.job.explain import Explained, background_rows, explain, probe_rows, summarize
from harness.job.model_pipeline import FEATURES, KEY, LABEL, Explainer, Fitted, ModelPipeline
from harness.job.prepare import Samples, context_of
from harness.metrics import METRICS
from harness.plan import Plan
from harness.results import Coefficient, Measured, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline

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
    explainer: Explainer
    scores: dict[str, float]
    explained: Explained


@dataclass(frozen=True)
class TrainingSide:
    """The rows that a model was trained on."""

    rows: int
    positives: int
    deviations: list[float]
    """Standard deviation of each slot of the feature vector."""


@dataclass(frozen=True)
class _Made:
    """The models of a version, and what was measured of them."""

    fitted: Fitted
    held_out: HeldOut
    side: TrainingSide
    explainer: Explainer
    explained: Explained


def train_version(
    subject: Subject,
    maker: ModelPipeline,
    probe: list[str],
    plan: Plan,
    tracker: mlflow_tracker.Tracker,
    clock: Clock,
    folder: Path,
) -> TrainedVersion:
    """Train, evaluate, explain and log one version.

    Args:
        subject: What is trained on.
        maker: Makes the model and its explainer.
        probe: Keys of the rows to explain.
        plan: The run.
        tracker: Where it is logged.
        clock: Told of every step.
        folder: Local folder for the saved models.
    """
    version, samples = subject.version, subject.samples
    sizes = version.scenario.pipeline.explainer
    context = context_of(version.scenario)
    name = version.name
    run_id = tracker.start_version(subject.known)
    with clock.step("train", name) as tell:
        fitted = maker.fit(samples.train, replace(context, tell=tell))
    with clock.step("evaluate", name):
        more = partial(maker.evaluate, context=context)
        held_out = evaluate(fitted.model, samples.test, version.before, more)
        side = look_at(samples.train)
    with clock.step("explain", name):
        background = background_rows(samples.train, sizes.background)
        explainer = maker.explain(fitted.model, background, context)
        rows = probe_rows(samples.test, probe, sizes.rows).persist()
        explained = explain(explainer, rows)
        _require_slots(explained, samples.names)
        scores = bundle.predict(fitted.model, rows)
        rows.unpersist()
    with clock.step("log", name):
        models = {
            bundle.FEATURIZER: samples.featurizer,
            bundle.CLASSIFIER: fitted.model,
            bundle.EXPLAINER: explainer.model,
        }
        bundle.save_models(models, folder, run_id, plan.scratch_uri)
        result = _measured(subject, _Made(fitted, held_out, side, explainer, explained), run_id)
        tracker.log_version(run_id, result, folder)
    return TrainedVersion(result, version.table, folder, explainer, scores, explained)


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


def _require_slots(explained: Explained, names: tuple[str, ...]) -> None:
    """One weight for each slot of the feature vector, by which they are told apart.

    Raises:
        JobError: There are more or fewer.
    """
    for weights in explained.weights.values():
        if len(weights) != len(names):
            raise JobError(f"The explainer gives {len(weights)} weights for {len(names)} named slots.")


def _measured(subject: Subject, made: _Made, run_id: str) -> VersionResult:
    """All that is known of a version, with its models."""
    names, deviations = subject.samples.names, made.side.deviations
    explanations = summarize(made.explained, names, deviations)
    curves = made.held_out.curves
    return subject.known.model_copy(
        update={
            "status": "trained",
            "run_id": run_id,
            "metrics": _metrics(subject.version, made),
            "roc": curves.roc,
            "calibration": curves.calibration,
            "grid": made.fitted.grid,
            "parameters": _parameters(subject.version.scenario, made),
            "intercept": made.fitted.intercept,
            "coefficients": _coefficients(made.fitted, names, deviations),
            "explanations": explanations,
            "explanation": {feature: each.mean for feature, each in explanations.items()},
        }
    )


def _metrics(version: CheckedVersion, made: _Made) -> dict[str, Measured]:
    """In the order in which reports show them; what could not be measured is there as ``None``."""
    found: dict[str, Measured] = {
        **made.held_out.metrics,
        **made.fitted.metrics,
        made.explainer.r2_metric: made.explained.r2_mean,
        "train_rows": float(made.side.rows),
        "train_positives": float(made.side.positives),
        "filtered_rows": float(version.filtered_rows),
        "unlabelled_rows": float(version.unlabelled_rows),
        "explained_rows": float(len(made.explained.weights)),
    }
    own = version.scenario.pipeline.metrics
    return {name: found.get(name) for name in (*METRICS, *own) if name in found or name in own}


def _coefficients(fitted: Fitted, names: tuple[str, ...], deviations: list[float]) -> dict[str, Coefficient]:
    """None where the model is not linear."""
    return {
        name: Coefficient(raw=value, per_sd=value * deviation)
        for name, value, deviation in zip(names, fitted.coefficients, deviations, strict=False)
    }


def _parameters(scenario: Scenario, made: _Made) -> dict[str, str]:
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
        **_own_settings(pipeline),
        **_settings_of("model", made.fitted.model),
        **_settings_of("explainer", made.explainer.model),
    }


def _own_settings(pipeline: Pipeline) -> dict[str, str]:
    """What a pipeline in Python was made with, where the scenario uses one."""
    if pipeline.use is None:
        return {}
    return {"use": pipeline.use, **{f"with.{name}": str(value) for name, value in pipeline.options.items()}}


def _settings_of(prefix: str, stage: Params) -> dict[str, str]:
    return {
        f"{prefix}.{parameter.name}": str(value)
        for parameter, value in sorted(stage.extractParamMap().items(), key=lambda item: item[0].name)
        if parameter.name not in _NO_SETTINGS
    }
