"""Local explanations of the probe rows, by any pipeline's explainer, and their summary per feature."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean

from pyspark.sql import DataFrame, functions as F

from harness.job.prepare import PROBE
from harness.pipelines import FEATURES, KEY, Explainer
from harness.results import FeatureExplanation


@dataclass(frozen=True)
class ProbeExplanations:
    """Local explanations of the probe rows."""

    weights: dict[str, list[float]]
    """Key of a row to its weights, in the order of the slots of the feature vector."""
    r2_mean: float | None
    values: dict[str, list[float]] = field(default_factory=dict)
    """Key of a row to its feature vector, if the weights are contributions."""
    reason: str = ""
    """Why the explanations prove nothing; empty if they do."""


def choose_probe_keys(test: DataFrame, rows: int) -> list[str]:
    """Return the keys of the held-out rows that are explained at every version that has them."""
    return [row[KEY] for row in test.orderBy(PROBE, KEY).limit(rows).select(KEY).collect()]


def choose_probe_rows(test: DataFrame, keys: list[str], rows: int) -> DataFrame:
    """Return the rows with these keys; if some no longer exist, the next ones replace them."""
    return test.orderBy(~F.col(KEY).isin(keys), PROBE, KEY).limit(rows)


def choose_background_rows(train: DataFrame, rows: int) -> DataFrame:
    """Return ``features`` of a sample of the training rows, the same one for the same keys and seed."""
    return train.orderBy(PROBE, KEY).limit(rows).select(FEATURES)


def explain(explainer: Explainer, probe: DataFrame) -> ProbeExplanations:
    """Explain the probe rows, which have a key and ``features``."""
    is_contribution = explainer.unit == "contribution"
    features = FEATURES if is_contribution else None
    columns = [column for column in (explainer.weights, explainer.r2, features) if column is not None]
    rows = explainer.model.transform(probe).select(KEY, *columns).collect()
    weights = {
        row[KEY]: [float(weight) for weight in row[explainer.weights][0].toArray()[explainer.first :]]
        for row in rows
    }
    slots = len(next(iter(weights.values()), ()))
    r2 = [float(row[explainer.r2][0]) for row in rows] if explainer.r2 is not None else []
    reason = explain_too_few_samples(explainer.samples, slots)
    finite = bool(r2) and not reason and all(math.isfinite(value) for value in r2)
    return ProbeExplanations(
        weights=weights,
        r2_mean=fmean(adjust_r2(value, explainer.samples, slots) for value in r2) if finite else None,
        reason=reason,
        values={row[KEY]: [float(value) for value in row[FEATURES].toArray()] for row in rows}
        if is_contribution
        else {},
    )


def explain_too_few_samples(samples: int | None, slots: int) -> str:
    """Explain that a fit has too few samples to mean anything; empty if it has enough, or has none."""
    if samples is None or samples > slots + 1:
        return ""
    return f"{samples} samples per row fit {slots} features perfectly; raise 'samples' of the explainer"


def adjust_r2(r2: float, samples: int | None, slots: int) -> float:
    """Return the coefficient of determination, adjusted for the number of features of a fit (Ezekiel, 1930).

    Args:
        r2: That of the fit.
        samples: Number of samples, more than ``slots + 1``; ``None``: ``r2`` stays as it is.
        slots: Number of features.
    """
    return r2 if samples is None else 1 - (1 - r2) * (samples - 1) / (samples - slots - 1)


def summarize(
    explained: ProbeExplanations, names: tuple[str, ...], deviations: list[float]
) -> dict[str, FeatureExplanation]:
    """Return the mean and mean absolute weight of each feature, raw and per standard deviation.

    For contributions, the mean weight is the slope of the line through them (least squares over the values of
    the feature): how the contribution changes with the feature, in the unit and with the sign of LIME's
    weights. The mean absolute contribution is already a change in probability.

    Rows are summed in the order of their keys, so that the sums do not depend on the order of the rows.
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
    """Return the slope of the line through the contributions; 0 if the feature has a single value."""
    center, middle = fmean(values), fmean(contributions)
    spread = math.fsum((value - center) ** 2 for value in values)
    together = math.fsum(
        (value - center) * (each - middle) for value, each in zip(values, contributions, strict=True)
    )
    return together / spread if spread else 0.0
