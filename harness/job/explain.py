"""The explainer that depends on the classifier: SynapseML's VectorLIME, and what it says of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pyspark.ml.classification import LogisticRegressionModel
from pyspark.sql import DataFrame, functions as F
from synapse.ml.explainers import VectorLIME

from harness.job.prepare import FEATURES, KEY, PROBE
from harness.results import FeatureExplanation
from harness.scenario.pipeline import Lime

KERNEL_WIDTH = 0.75
_WEIGHTS = "weights"
_R2 = "r2"


@dataclass(frozen=True)
class Explained:
    """The explainer, and its local explanations of the probe rows."""

    explainer: VectorLIME
    weights: dict[str, list[float]]
    """Key of a row to its weights, in the order of the feature vector's slots."""
    r2_mean: float | None


def probe_keys(test: DataFrame, rows: int) -> list[str]:
    """The keys of the held-out rows that are explained at every version where they exist."""
    return [row[KEY] for row in test.orderBy(PROBE, KEY).limit(rows).select(KEY).collect()]


def probe_rows(test: DataFrame, keys: list[str], rows: int) -> DataFrame:
    """The rows with these keys first; others fill up where some are gone."""
    return test.orderBy(~F.col(KEY).isin(keys), PROBE, KEY).limit(rows)


def make_explainer(model: LogisticRegressionModel, train: DataFrame, specification: Lime) -> VectorLIME:
    """An explainer of the probability of the positive class.

    It keeps the model inside, and a sample of the training rows' features for their spread.
    """
    background = train.orderBy(PROBE, KEY).limit(specification.background).select(FEATURES)
    return VectorLIME(
        model=model,
        inputCol=FEATURES,
        outputCol=_WEIGHTS,
        targetCol="probability",
        targetClasses=[1],
        numSamples=specification.samples,
        metricsCol=_R2,
        kernelWidth=KERNEL_WIDTH,
        backgroundData=background,
    )


def explain(explainer: Any, probe: DataFrame) -> Explained:
    """Explain the probe rows."""
    rows = explainer.transform(probe).select(KEY, _WEIGHTS, _R2).collect()
    r2 = [float(row[_R2][0]) for row in rows]
    finite = bool(r2) and all(math.isfinite(value) for value in r2)
    return Explained(
        explainer=explainer,
        weights={row[KEY]: [float(weight) for weight in row[_WEIGHTS][0].toArray()] for row in rows},
        r2_mean=fmean(r2) if finite else None,
    )


def summarize(
    weights: dict[str, list[float]], names: tuple[str, ...], deviations: list[float]
) -> dict[str, FeatureExplanation]:
    """Mean and mean absolute weight per feature, raw and per standard deviation in the training rows.

    The rows are added up in the order of their keys, so that the sums do not depend on how they came.
    """
    summary = {}
    rows = [weights[key] for key in sorted(weights)]
    for slot, name in enumerate(names):
        column = [row[slot] for row in rows]
        if not column or not all(math.isfinite(weight) for weight in column):
            continue
        mean, mean_abs = fmean(column), fmean(abs(weight) for weight in column)
        summary[name] = FeatureExplanation(
            mean=mean,
            mean_abs=mean_abs,
            mean_per_sd=mean * deviations[slot],
            mean_abs_per_sd=mean_abs * deviations[slot],
        )
    return summary
