"""The explainer that depends on the classifier: the built-in one, and what any of them says of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean

from pyspark.ml.classification import LogisticRegressionModel
from pyspark.sql import DataFrame, functions as F
from synapse.ml.explainers import VectorLIME

from harness.job.model_pipeline import FEATURES, KEY, Explainer
from harness.job.prepare import PROBE
from harness.results import FeatureExplanation

KERNEL_WIDTH = 0.75
_WEIGHTS = "weights"
_R2 = "r2"


@dataclass(frozen=True)
class Explained:
    """Local explanations of the probe rows."""

    weights: dict[str, list[float]]
    """Key of a row to its weights, in the order of the feature vector's slots."""
    r2_mean: float | None
    values: dict[str, list[float]] = field(default_factory=dict)
    """Key of a row to its feature vector, where the weights are contributions."""


def probe_keys(test: DataFrame, rows: int) -> list[str]:
    """The keys of the held-out rows that are explained at every version where they exist."""
    return [row[KEY] for row in test.orderBy(PROBE, KEY).limit(rows).select(KEY).collect()]


def probe_rows(test: DataFrame, keys: list[str], rows: int) -> DataFrame:
    """The rows with these keys first; others fill up where some are gone."""
    return test.orderBy(~F.col(KEY).isin(keys), PROBE, KEY).limit(rows)


def background_rows(train: DataFrame, rows: int) -> DataFrame:
    """``features`` of a sample of the training rows, the same one for the same keys and seed."""
    return train.orderBy(PROBE, KEY).limit(rows).select(FEATURES)


def make_explainer(model: LogisticRegressionModel, background: DataFrame, samples: int) -> Explainer:
    """SynapseML's VectorLIME of the probability of the positive class.

    It keeps the model inside, and the background rows' features for their spread.
    """
    lime = VectorLIME(
        model=model,
        inputCol=FEATURES,
        outputCol=_WEIGHTS,
        targetCol="probability",
        targetClasses=[1],
        numSamples=samples,
        metricsCol=_R2,
        kernelWidth=KERNEL_WIDTH,
        backgroundData=background,
    )
    return Explainer(lime, weights=_WEIGHTS, r2=_R2, r2_metric="lime_r2_mean")


def explain(explainer: Explainer, probe: DataFrame) -> Explained:
    """Explain the probe rows, each by its key and ``features``."""
    is_contribution = explainer.unit == "contribution"
    features = FEATURES if is_contribution else None
    columns = [column for column in (explainer.weights, explainer.r2, features) if column is not None]
    rows = explainer.model.transform(probe).select(KEY, *columns).collect()
    r2 = [float(row[explainer.r2][0]) for row in rows] if explainer.r2 is not None else []
    finite = bool(r2) and all(math.isfinite(value) for value in r2)
    return Explained(
        weights={
            row[KEY]: [float(weight) for weight in row[explainer.weights][0].toArray()[explainer.first :]]
            for row in rows
        },
        r2_mean=fmean(r2) if finite else None,
        values={row[KEY]: [float(value) for value in row[FEATURES].toArray()] for row in rows}
        if is_contribution
        else {},
    )


def summarize(
    explained: Explained, names: tuple[str, ...], deviations: list[float]
) -> dict[str, FeatureExplanation]:
    """Mean and mean absolute weight per feature, raw and per standard deviation in the training rows.

    Of contributions, the mean weight is the slope of the line through them (least squares over the feature's
    values): how the contribution changes with the feature, which has LIME's unit and sign. The mean absolute
    contribution already is a change in probability.

    The rows are added up in the order of their keys, so that the sums do not depend on how they came.
    """
    summary = {}
    keys = sorted(explained.weights)
    for slot, name in enumerate(names):
        column = [explained.weights[key][slot] for key in keys]
        if not column or not all(math.isfinite(weight) for weight in column):
            continue
        mean, mean_abs = fmean(column), fmean(abs(weight) for weight in column)
        deviation = deviations[slot]
        if explained.values:
            mean = _slope([explained.values[key][slot] for key in keys], column)
            mean_abs = mean_abs / deviation if deviation else 0.0
        summary[name] = FeatureExplanation(
            mean=mean,
            mean_abs=mean_abs,
            mean_per_sd=mean * deviation,
            mean_abs_per_sd=mean_abs * deviation,
        )
    return summary


def _slope(values: list[float], contributions: list[float]) -> float:
    """Of the line through the contributions; 0 where the feature has one value only."""
    center, middle = fmean(values), fmean(contributions)
    spread = math.fsum((value - center) ** 2 for value in values)
    together = math.fsum(
        (value - center) * (each - middle) for value, each in zip(values, contributions, strict=True)
    )
    return together / spread if spread else 0.0
