"""How good the scores of a binary classifier are, by scikit-learn's definitions, computed by Spark.

Rows with the same score are counted together first; every number then follows from the counts, so it
depends neither on the order of the rows nor on how they are partitioned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame, Row, Window, functions as F

from harness.job.model_pipeline import KEY, LABEL, SCORE
from harness.metrics import ADDED
from harness.results import CalibrationBin, Measured, RocPoint

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


ROC_POINTS = 101
"""At most, the one at the origin among them."""
CALIBRATION_BINS = 10
"""At most: rows with the same score are never parted."""

# Sums of decimals are exact, in whatever order they are added up.
_SCORE, _ROWS = "decimal(19,18)", "decimal(12,0)"


@dataclass(frozen=True)
class Curves:
    """Both curves; empty where they are not defined."""

    roc: tuple[RocPoint, ...] = ()
    """From (0, 0) to (1, 1), from the highest score to the lowest."""
    calibration: tuple[CalibrationBin, ...] = ()
    """From the lowest predicted probability to the highest."""


def draw_curves(scored: DataFrame, scores: Scores | None) -> Curves:
    """Both curves in one pass.

    The points of the ROC curve are those of scikit-learn's ``roc_curve``, thinned to one on each hundredth
    of the way along its axes. The bins of the calibration have the same number of rows, but for ties.

    Args:
        scored: One row per row scored: ``label`` (0.0 or 1.0) and ``score``, the probability of the
            positive class.
        scores: What is known of these rows.
    """
    # A score that is no number has no place among the others.
    if scores is None or scores.accuracy is None:
        return Curves()
    rows = (
        cumulated(scored, [])
        .withColumns({"stretch": _stretch(scores), "bin": _bin(scores)})
        .groupBy("stretch", "bin")
        .agg(
            F.max("positives_above").alias("positives_above"),
            F.max("negatives_above").alias("negatives_above"),
            F.sum("positives").alias("positives"),
            F.sum(F.col("positives") + F.col("negatives")).alias("rows"),
            F.sum(F.col("score").cast(_SCORE) * (F.col("positives") + F.col("negatives")).cast(_ROWS)).alias(
                "predicted"
            ),
        )
        .collect()
    )
    return Curves(roc=_roc(rows, scores), calibration=_calibration(rows))


def _stretch(scores: Scores) -> Column:
    """On which part of the way from (0, 0) along both axes to (1, 1) a point lies, counted from 1."""
    if not (scores.positives and scores.negatives):
        return F.lit(0)
    walked = F.col("positives_above") / F.lit(float(scores.positives)) + F.col("negatives_above") / F.lit(
        float(scores.negatives)
    )
    return F.ceil(walked / 2 * (ROC_POINTS - 1))


def _bin(scores: Scores) -> Column:
    """The bin of a score, by how many rows have a lower one."""
    lower = F.lit(scores.rows) - F.col("positives_above") - F.col("negatives_above")
    return F.floor(lower * CALIBRATION_BINS / scores.rows)


def _roc(rows: Sequence[Row], scores: Scores) -> tuple[RocPoint, ...]:
    if not (scores.positives and scores.negatives):
        return ()
    ends: dict[int, tuple[int, int]] = {0: (0, 0)}
    for row in rows:
        here = (row["negatives_above"], row["positives_above"])
        ends[row["stretch"]] = max(here, ends.get(row["stretch"], here))
    return tuple(
        RocPoint(
            false_positive_rate=negatives / scores.negatives,
            true_positive_rate=positives / scores.positives,
        )
        for _, (negatives, positives) in sorted(ends.items())
    )


def _calibration(rows: Sequence[Row]) -> tuple[CalibrationBin, ...]:
    found = []
    for place in sorted({row["bin"] for row in rows}):
        inside = [row for row in rows if row["bin"] == place]
        size = sum(row["rows"] for row in inside)
        found.append(
            CalibrationBin(
                rows=size,
                predicted=float(sum(row["predicted"] for row in inside) / size),
                observed=sum(row["positives"] for row in inside) / size,
            )
        )
    return tuple(found)


_GROUP = "group"
_ALL, _NEW = "all", "added"


@dataclass(frozen=True)
class HeldOut:
    """What was measured on the held-out rows of a version."""

    metrics: dict[str, Measured]
    """``test_*``, ``added_test_*`` where there is a version before it, and what the pipeline measures."""
    curves: Curves


def evaluate(
    model: Any,
    test: DataFrame,
    before: DataFrame | None,
    more: Callable[[DataFrame], Mapping[str, Measured]] = lambda _scored: {},
) -> HeldOut:
    """Score the held-out rows, and measure the scores.

    Args:
        model: The classifier.
        test: The held-out rows: ``features``, ``label`` and the key.
        before: The keys of the version before this one, which tell the rows that were added; ``None``
            where there is none, or it has no keys.
        more: What else is measured of the scored rows.
    """
    # Scored once, for all that is measured below.
    rows = scored(model, test).persist()
    groups = rows.withColumn(_GROUP, F.lit(_ALL))
    if before is not None:
        added = rows.join(before, KEY, "left_anti").withColumn(_GROUP, F.lit(_NEW))
        groups = groups.unionByName(added)
    scores = score_groups(groups, [_GROUP])
    metrics = _metrics(scores.get((_ALL,)), "")
    if before is not None:
        metrics |= _metrics(scores.get((_NEW,)), ADDED)
    metrics |= more(rows)
    curves = draw_curves(rows, scores.get((_ALL,)))
    rows.unpersist()
    return HeldOut(metrics, curves)


def scored(model: Any, rows: DataFrame) -> DataFrame:
    """Key and label of the rows with ``score``, the probability of the positive class."""
    predicted: DataFrame = model.transform(rows)
    return predicted.select(KEY, LABEL, vector_to_array(F.col("probability"))[1].alias(SCORE))


def _metrics(scores: Scores | None, prefix: str) -> dict[str, Measured]:
    """What could not be measured is there as ``None``; of no rows, there are 0."""
    return {
        f"{prefix}test_roc_auc": scores.roc_auc if scores else None,
        f"{prefix}test_roc_auc_se": scores.roc_auc_se if scores else None,
        f"{prefix}test_pr_auc": scores.pr_auc if scores else None,
        f"{prefix}test_log_loss": scores.log_loss if scores else None,
        f"{prefix}test_accuracy": scores.accuracy if scores else None,
        f"{prefix}test_f1": scores.f1 if scores else None,
        f"{prefix}test_rows": float(scores.rows) if scores else 0.0,
        f"{prefix}test_positives": float(scores.positives) if scores else 0.0,
    }
