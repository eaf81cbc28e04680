"""The ROC curve and the calibration of a classifier, from its scores of rows whose labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row, functions as F

from harness.job.evaluate import Scores, cumulated
from harness.results import CalibrationBin, RocPoint

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
