"""Differences between two models on the same rows, with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from pyspark.sql import Column, DataFrame, functions as F

from harness.job.evaluate import Scores, cumulate, score_groups
from harness.job.prepare import hash_to_unit_interval
from harness.metrics import METRICS
from harness.pipelines import KEY, LABEL, SCORE
from harness.results import Difference, MeasuredValue

OTHER_SCORE = "other_score"
"""Column of the score by the model that the first one is compared with."""
_ROC_AUC = "test_roc_auc"
_REPLICATES = 100
_BOOTSTRAPPED_ROWS = 20_000
"""Rows that are drawn from: of more, a sample by their keys, and the error is scaled to all of them."""
_POISSON = tuple(sum(math.exp(-1) / math.factorial(each) for each in range(upto + 1)) for upto in range(7))
"""Probability that a row is drawn at most so many times, as often as there are rows."""


def measure_differences(
    rows: DataFrame, now: Scores, other: Scores, bounded: Collection[str], seed: int
) -> dict[str, Difference]:
    """Return the differences between the metrics of two models on the same rows.

    Args:
        rows: The key, ``label``, ``score`` and ``other_score`` of each row.
        now: The metrics of the first model.
        other: Those of the model that it is compared with.
        bounded: Metrics whose standard error is needed, besides the ROC AUC's.
        seed: The scenario's seed, which the bootstrap depends on.
    """
    errors: dict[str, MeasuredValue] = {_ROC_AUC: compute_delong_error(rows)}
    resampled = sorted(set(bounded) - {_ROC_AUC})
    if resampled:
        errors |= bootstrap_errors(rows, resampled, seed)
    return {
        name: Difference(value=value - other_value, standard_error=errors.get(name))
        for name, value in now.metrics.items()
        if METRICS[name].better is not None
        and value is not None
        and (other_value := other.metrics[name]) is not None
    }


def compute_delong_error(rows: DataFrame) -> MeasuredValue:
    """Return the standard error of the difference of two ROC AUCs on the same rows.

    By DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988): the variance of the rows' contributions to the
    difference, over the positives and over the negatives. ``None`` if one of the classes has fewer than two
    rows.

    Args:
        rows: ``label``, ``score`` and ``other_score`` of each row.
    """
    placed = rows
    share = F.when(F.col(LABEL) == 1.0, F.col("of_positive")).otherwise(F.col("of_negative"))
    for score, placement in ((SCORE, "placement"), (OTHER_SCORE, "other_placement")):
        shares = _compute_shares(rows.select(LABEL, F.col(score).alias(SCORE))).withColumnRenamed(
            SCORE, score
        )
        placed = placed.join(shares, score).withColumn(placement, share).drop("of_positive", "of_negative")
    difference = F.col("placement") - F.col("other_placement")
    variances = placed.groupBy(LABEL).agg(
        F.count("*").alias("rows"), F.var_samp(difference).alias("variance")
    )
    found = variances.collect()
    if len(found) < 2 or any(row["rows"] < 2 for row in found):  # noqa: PLR2004 - a variance needs two.
        return None
    return math.sqrt(math.fsum(row["variance"] / row["rows"] for row in found))


def _compute_shares(rows: DataFrame) -> DataFrame:
    """Return, for each score, the share of the other class that a row with it is ordered correctly with.

    A tie counts half. Of a positive it is the share of the negatives below it, of a negative that of the
    positives above it.
    """
    counted = cumulate(rows, [])
    totals = counted.agg(F.sum("positives").alias("all_positives"), F.sum("negatives").alias("all_negatives"))
    below = F.col("all_negatives") - F.col("negatives_above") + F.col("negatives") / 2
    above = F.col("positives_above") - F.col("positives") / 2
    return counted.crossJoin(totals).select(
        SCORE,
        (below / F.col("all_negatives")).alias("of_positive"),
        (above / F.col("all_positives")).alias("of_negative"),
    )


def bootstrap_errors(rows: DataFrame, metrics: Collection[str], seed: int) -> dict[str, MeasuredValue]:
    """Return the standard errors of the differences of metrics, by a paired bootstrap.

    How often a row is drawn depends only on its key and the seed, so that the errors are the same everywhere.

    Args:
        rows: The key, ``label``, ``score`` and ``other_score`` of each row.
        metrics: The metrics.
        seed: The scenario's seed.
    """
    total = rows.count()
    share = min(1.0, _BOOTSTRAPPED_ROWS / max(total, 1))
    sample = rows.where(hash_to_unit_interval(F.col(KEY), "bootstrap rows", seed) < share)
    drawn = (
        sample.withColumn("replicate", F.explode(F.sequence(F.lit(0), F.lit(_REPLICATES - 1))))
        .withColumn("times", _draw(F.concat(F.col("replicate").cast("string"), F.lit(":"), F.col(KEY)), seed))
        .where(F.col("times") > 0)
        .select("replicate", LABEL, F.explode(F.sequence(F.lit(1), F.col("times"))), SCORE, OTHER_SCORE)
    )
    both = drawn.select("replicate", F.lit(True).alias("is_first"), LABEL, SCORE).unionByName(
        drawn.select("replicate", F.lit(False).alias("is_first"), LABEL, F.col(OTHER_SCORE).alias(SCORE))
    )
    scores = score_groups(both, ["replicate", "is_first"])
    sampled = sample.count()
    return {name: _scale(list(_list_differences(scores, name)), sampled / max(total, 1)) for name in metrics}


def _draw(text: Column, seed: int) -> Column:
    """Return how often a row is drawn: as often as by a Poisson distribution with a mean of 1."""
    chance = hash_to_unit_interval(text, "bootstrap", seed)
    times = F.lit(len(_POISSON))
    for number, probability in reversed(list(enumerate(_POISSON))):
        times = F.when(chance < probability, number).otherwise(times)
    return times


def _list_differences(scores: dict[tuple[object, ...], Scores], metric: str) -> Iterator[float]:
    for replicate in range(_REPLICATES):
        pair = [scores.get((replicate, is_first)) for is_first in (True, False)]
        values = [each.metrics[metric] for each in pair if each is not None]
        if len(values) == len(pair) and values[0] is not None and values[1] is not None:
            yield values[0] - values[1]


def _scale(differences: list[float], share: float) -> MeasuredValue:
    """Return the standard deviation of resampled differences, for all rows and not only a share of them."""
    if len(differences) < _REPLICATES // 2:
        return None
    mean = math.fsum(differences) / len(differences)
    variance = math.fsum((each - mean) ** 2 for each in differences) / (len(differences) - 1)
    return math.sqrt(variance * share)
