"""How good the scores of a binary classifier are, by scikit-learn's definitions, computed by Spark.

Rows with the same score are counted together first; every number then follows from the counts, so it
depends neither on the order of the rows nor on how they are partitioned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row, Window, functions as F

# scikit-learn clips probabilities at the machine epsilon before it takes their logarithm.
_EPSILON = 2.0**-52
_THRESHOLD = 0.5


@dataclass(frozen=True)
class Scores:
    """What is known of the scores of one group of rows; ``None`` where it is not defined."""

    positives: int
    negatives: int
    roc_auc: float | None
    pr_auc: float | None
    log_loss: float | None
    accuracy: float | None
    f1: float | None

    @property
    def rows(self) -> int:
        """Rows scored."""
        return self.positives + self.negatives

    @property
    def roc_auc_se(self) -> float | None:
        """Standard error of the ROC AUC (Hanley and McNeil, Radiology 143, 1982, formula 2)."""
        if self.roc_auc is None:
            return None
        area = self.roc_auc
        both_positive = area / (2 - area)
        both_negative = 2 * area**2 / (1 + area)
        variance = (
            area * (1 - area)
            + (self.positives - 1) * (both_positive - area**2)
            + (self.negatives - 1) * (both_negative - area**2)
        ) / (self.positives * self.negatives)
        return math.sqrt(max(variance, 0.0))


def score_groups(scored: DataFrame, groups: Sequence[str]) -> dict[tuple[object, ...], Scores]:
    """Scores of every group of rows.

    Args:
        scored: One row per row scored: the group's columns, ``label`` (0.0 or 1.0) and ``score``, the
            probability of the positive class.
        groups: Names of the columns that tell the groups apart; none for one group of all rows.
    """
    rows = cumulated(scored, groups).groupBy(*groups).agg(*_sums()).collect()
    return {tuple(row[name] for name in groups): _scores(row) for row in rows if row["p"] is not None}


def cumulated(scored: DataFrame, groups: Sequence[str]) -> DataFrame:
    """One row per group and score: how many positives and negatives have it, and how many at least it.

    Those of one group lie in one partition, from the highest score to the lowest, so that sums over them
    are added up in this order.
    """
    counted = scored.groupBy(*groups, "score").agg(
        F.sum(F.col("label").cast("long")).alias("positives"),
        F.sum(1 - F.col("label").cast("long")).alias("negatives"),
    )
    partition = [F.col(name) for name in groups] or [F.lit(0)]
    from_the_top = Window.partitionBy(*partition).orderBy(F.desc("score"))
    return counted.select(
        "*",
        F.sum("positives").over(from_the_top).alias("positives_above"),
        F.sum("negatives").over(from_the_top).alias("negatives_above"),
    )


def _sums() -> list[Column]:
    positives, negatives, score = F.col("positives"), F.col("negatives"), F.col("score")
    above = F.col("positives_above")
    precision = above / (above + F.col("negatives_above"))
    clipped = F.least(F.greatest(score, F.lit(_EPSILON)), F.lit(1 - _EPSILON))
    called = score > _THRESHOLD
    return [
        F.sum(positives).alias("p"),
        F.sum(negatives).alias("n"),
        F.sum(positives * F.col("negatives_above")).alias("inversions"),
        F.sum(positives * negatives).alias("ties"),
        F.sum(positives * precision).alias("precisions"),
        F.sum(-positives * F.log(clipped) - negatives * F.log1p(-clipped)).alias("loss"),
        F.sum(F.when(called, positives).otherwise(0)).alias("true_positives"),
        F.sum(F.when(called, negatives).otherwise(0)).alias("false_positives"),
        F.sum(F.isnan(score).cast("int")).alias("nans"),
    ]


def _scores(row: Row) -> Scores:
    p, n, tp, fp = (int(row[name]) for name in ("p", "n", "true_positives", "false_positives"))
    if row["nans"]:
        return Scores(p, n, roc_auc=None, pr_auc=None, log_loss=None, accuracy=None, f1=None)
    both = p > 0 and n > 0
    # Pairs of a positive and a negative in which the positive scores higher; a tie counts half.
    ordered = p * n - (int(row["inversions"]) - int(row["ties"])) - int(row["ties"]) / 2
    return Scores(
        positives=p,
        negatives=n,
        roc_auc=ordered / (p * n) if both else None,
        pr_auc=_finite(row["precisions"] / p) if p else None,
        log_loss=_finite(row["loss"] / (p + n)) if both else None,
        accuracy=(tp + n - fp) / (p + n),
        f1=2 * tp / (tp + fp + p) if p else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
