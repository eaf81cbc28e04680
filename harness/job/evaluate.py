"""Metrics of the scores of a binary classifier, by scikit-learn's definitions, computed by Spark.

Rows with the same score are counted together first; every number then follows from the counts, so it
depends neither on the order of the rows nor on their partitions. A new metric on the held-out rows is an
entry in ``harness.metrics`` and a formula here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame, Row, Window, functions as F

from harness.job.author_steps import attribute_to_author, require_probabilities, require_same_rows
from harness.job.held_out_parts import SEGMENT, Parts, count_scores, find_weakest
from harness.job.row_diff import KNOWN, mark_known
from harness.metrics import ADDED, COUNTS, METRICS
from harness.pipelines import KEY, LABEL, SCORE
from harness.results import CalibrationBin, MeasuredValue, RocPoint, WeakSegment

# scikit-learn clips probabilities at the machine epsilon before it takes their logarithm.
_EPSILON = 2.0**-52
_THRESHOLD = 0.5
PROBABILITY = "probability"
"""Column that classifiers of Spark ML add: a vector with the probability of each class."""


@dataclass(frozen=True)
class Counts:
    """Sums over the scored rows of one group, from which every metric follows."""

    positives: int
    negatives: int
    ordered_pairs: float
    """Pairs of a positive and a negative in which the positive scores higher; a tie counts half."""
    precisions: float
    """Sum over the positives of the precision at their score."""
    loss: float
    """Sum of the log losses, in nats."""
    squared_losses: float
    """Sum of their squares."""
    true_positives: int
    """Positives that are predicted as such."""
    false_positives: int
    """Negatives that are predicted as positives."""

    @property
    def rows(self) -> int:
        """Number of scored rows."""
        return self.positives + self.negatives


def roc_auc(counts: Counts) -> MeasuredValue:
    """Return the area under the ROC curve; ``None`` if one of the classes is missing."""
    pairs = counts.positives * counts.negatives
    return counts.ordered_pairs / pairs if pairs else None


def roc_auc_se(area: MeasuredValue, positives: int, negatives: int) -> MeasuredValue:
    """Return the standard error of a ROC AUC (Hanley and McNeil, Radiology 143, 1982, formula 2)."""
    if area is None:
        return None
    both_positive = area / (2 - area)
    both_negative = 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area)
        + (positives - 1) * (both_positive - area**2)
        + (negatives - 1) * (both_negative - area**2)
    ) / (positives * negatives)
    return math.sqrt(max(variance, 0.0))


def _roc_auc_se(counts: Counts) -> MeasuredValue:
    return roc_auc_se(roc_auc(counts), counts.positives, counts.negatives)


def _pr_auc(counts: Counts) -> MeasuredValue:
    return _to_finite(counts.precisions / counts.positives) if counts.positives else None


def _log_loss(counts: Counts) -> MeasuredValue:
    return _to_finite(counts.loss / counts.rows) if counts.positives and counts.negatives else None


def _log_loss_se(counts: Counts) -> MeasuredValue:
    """Return the standard error of the mean log loss: its standard deviation over the square root of rows."""
    mean = _log_loss(counts)
    if mean is None:
        return None
    variance = (counts.squared_losses - counts.rows * mean**2) / (counts.rows - 1)
    return _to_finite(math.sqrt(max(variance, 0.0) / counts.rows))


def _accuracy(counts: Counts) -> float:
    return (counts.true_positives + counts.negatives - counts.false_positives) / counts.rows


def _accuracy_se(counts: Counts) -> MeasuredValue:
    """Return the standard error of a share, by the binomial distribution."""
    share = _accuracy(counts)
    return math.sqrt(share * (1 - share) / counts.rows)


def _f1(counts: Counts) -> MeasuredValue:
    predicted = counts.true_positives + counts.false_positives
    return 2 * counts.true_positives / (predicted + counts.positives) if counts.positives else None


FORMULAS: Mapping[str, Callable[[Counts], MeasuredValue]] = {
    "test_roc_auc": roc_auc,
    "test_roc_auc_se": _roc_auc_se,
    "test_pr_auc": _pr_auc,
    "test_log_loss": _log_loss,
    "test_log_loss_se": _log_loss_se,
    "test_accuracy": _accuracy,
    "test_accuracy_se": _accuracy_se,
    "test_f1": _f1,
    "test_rows": lambda counts: float(counts.rows),
    "test_positives": lambda counts: float(counts.positives),
}
"""Metric on held-out rows to the formula that computes it; ``None`` stands for an undefined value."""


@dataclass(frozen=True)
class Scores:
    """The metrics of one group of scored rows."""

    positives: int
    negatives: int
    metrics: Mapping[str, MeasuredValue]
    """By the names of ``FORMULAS``; only counts are known if a score is not a number."""
    has_nan: bool = False
    """Whether a score is not a number."""

    @property
    def rows(self) -> int:
        """Number of scored rows."""
        return self.positives + self.negatives

    @property
    def roc_auc(self) -> MeasuredValue:
        """The area under the ROC curve."""
        return self.metrics["test_roc_auc"]

    @property
    def roc_auc_se(self) -> MeasuredValue:
        """Standard error of the area under the ROC curve."""
        return self.metrics["test_roc_auc_se"]


def score_groups(scored: DataFrame, groups: Sequence[str]) -> dict[tuple[object, ...], Scores]:
    """Return the scores of every group of rows.

    Args:
        scored: One row per row scored: the group's columns, ``label`` (0.0 or 1.0) and ``score``, the
            probability of the positive class.
        groups: Names of the columns that identify a group; none for one group of all rows.
    """
    rows = cumulate(scored, groups).groupBy(*groups).agg(*_list_sums()).collect()
    return {tuple(row[name] for name in groups): _make_scores(row) for row in rows if row["p"] is not None}


def cumulate(scored: DataFrame, groups: Sequence[str]) -> DataFrame:
    """Return a row per group and score: how many positives and negatives have it, or at least it.

    A group is in one partition, from the highest score to the lowest, so that sums over its rows are
    added up in this order.
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


def _list_sums() -> list[Column]:
    positives, negatives, score = F.col("positives"), F.col("negatives"), F.col("score")
    above = F.col("positives_above")
    precision = above / (above + F.col("negatives_above"))
    clipped = F.least(F.greatest(score, F.lit(_EPSILON)), F.lit(1 - _EPSILON))
    positive_loss, negative_loss = -F.log(clipped), -F.log1p(-clipped)
    is_predicted = score > _THRESHOLD
    return [
        F.sum(positives).alias("p"),
        F.sum(negatives).alias("n"),
        F.sum(positives * F.col("negatives_above")).alias("inversions"),
        F.sum(positives * negatives).alias("ties"),
        F.sum(positives * precision).alias("precisions"),
        F.sum(positives * positive_loss + negatives * negative_loss).alias("loss"),
        F.sum(positives * positive_loss * positive_loss + negatives * negative_loss * negative_loss).alias(
            "squared_losses"
        ),
        F.sum(F.when(is_predicted, positives).otherwise(0)).alias("true_positives"),
        F.sum(F.when(is_predicted, negatives).otherwise(0)).alias("false_positives"),
        F.sum(F.isnan(score).cast("int")).alias("nans"),
    ]


def _make_scores(row: Row) -> Scores:
    p, n, inversions, ties = (int(row[name]) for name in ("p", "n", "inversions", "ties"))
    counts = Counts(
        positives=p,
        negatives=n,
        ordered_pairs=p * n - (inversions - ties) - ties / 2,
        precisions=row["precisions"],
        loss=row["loss"],
        squared_losses=row["squared_losses"],
        true_positives=int(row["true_positives"]),
        false_positives=int(row["false_positives"]),
    )
    has_nan = bool(row["nans"])
    metrics = {
        name: None if has_nan and not _is_count(name) else formula(counts)
        for name, formula in FORMULAS.items()
    }
    return Scores(p, n, metrics, has_nan)


def _is_count(metric: str) -> bool:
    return METRICS[metric].domain == COUNTS


def _to_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


ROC_POINTS = 101
"""Maximum number of points, including the one at the origin."""
CALIBRATION_BINS = 10
"""Maximum number of bins: rows with the same score are never separated."""

# Sums of decimals are exact, in any order.
_SCORE, _ROWS = "decimal(19,18)", "decimal(12,0)"


@dataclass(frozen=True)
class Curves:
    """The ROC curve and the calibration; empty if they are not defined."""

    roc: tuple[RocPoint, ...] = ()
    """From (0, 0) to (1, 1), from the highest score to the lowest."""
    calibration: tuple[CalibrationBin, ...] = ()
    """From the lowest predicted probability to the highest."""


def compute_curves(scored: DataFrame, scores: Scores | None) -> Curves:
    """Compute the ROC curve and the calibration in one pass.

    The points of the ROC curve are those of scikit-learn's ``roc_curve``, thinned to one per hundredth of
    the distance along its axes. The bins of the calibration have the same number of rows, except for ties.

    Args:
        scored: One row per row scored: ``label`` (0.0 or 1.0) and ``score``, the probability of the
            positive class.
        scores: The metrics of these rows.
    """
    # A score that is not a number can't be ordered.
    if scores is None or scores.has_nan:
        return Curves()
    rows = (
        cumulate(scored, [])
        .withColumns({"segment": _find_segment(scores), "bin": _find_bin(scores)})
        .groupBy("segment", "bin")
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
    return Curves(roc=_make_roc(rows, scores), calibration=_make_calibration(rows))


def _find_segment(scores: Scores) -> Column:
    """Return the segment of a point between (0, 0) and (1, 1), by its distance along both axes, from 1."""
    if not (scores.positives and scores.negatives):
        return F.lit(0)
    distance = F.col("positives_above") / F.lit(float(scores.positives)) + F.col("negatives_above") / F.lit(
        float(scores.negatives)
    )
    return F.ceil(distance / 2 * (ROC_POINTS - 1))


def _find_bin(scores: Scores) -> Column:
    """Return the calibration bin of a score: the share of rows with a lower one, in tenths."""
    lower = F.lit(scores.rows) - F.col("positives_above") - F.col("negatives_above")
    return F.floor(lower * CALIBRATION_BINS / scores.rows)


def _make_roc(rows: Sequence[Row], scores: Scores) -> tuple[RocPoint, ...]:
    if not (scores.positives and scores.negatives):
        return ()
    ends: dict[int, tuple[int, int]] = {0: (0, 0)}
    for row in rows:
        corner = (row["negatives_above"], row["positives_above"])
        ends[row["segment"]] = max(corner, ends.get(row["segment"], corner))
    return tuple(
        RocPoint(
            false_positive_rate=negatives / scores.negatives,
            true_positive_rate=positives / scores.positives,
        )
        for _, (negatives, positives) in sorted(ends.items())
    )


def _make_calibration(rows: Sequence[Row]) -> tuple[CalibrationBin, ...]:
    bins = []
    for number in sorted({row["bin"] for row in rows}):
        inside = [row for row in rows if row["bin"] == number]
        size = sum(row["rows"] for row in inside)
        bins.append(
            CalibrationBin(
                rows=size,
                predicted=float(sum(row["predicted"] for row in inside) / size),
                observed=sum(row["positives"] for row in inside) / size,
            )
        )
    return tuple(bins)


_GROUP = "group"
_ALL, _NEW = "all", "added"


@dataclass(frozen=True)
class HeldOut:
    """Metrics and curves of the held-out rows of a version."""

    metrics: dict[str, MeasuredValue]
    """``test_*``, ``added_test_*`` if there is an earlier version, and the metrics of the pipeline."""
    curves: Curves
    segments: dict[str, dict[str, MeasuredValue]]
    """Segment to its ``test_*`` metrics."""
    weakest: WeakSegment | None
    scores: dict[str, tuple[int, ...]]


@contextmanager
def score_held_out(
    model: Any, test: DataFrame, before: DataFrame | None, use: str | None = None
) -> Iterator[DataFrame]:
    """Score the held-out rows, once for all that is measured of them.

    Args:
        model: The classifier.
        test: The held-out rows: ``features``, ``label`` and the key.
        before: Keys of the version before this one; ``None`` if there is none, or it has no keys.
        use: The custom pipeline, whose scores are checked; ``None`` for a built-in one.

    Yields:
        The key, ``label``, ``score`` and ``KNOWN`` of each row; cached until the block ends.

    Raises:
        JobError: A custom pipeline's model fails, doesn't score each row once, or its scores aren't
            probabilities.
    """
    with attribute_to_author(use, "fit"):
        scored = mark_known(score_rows(model, test), before).persist()
        if use is not None:
            require_same_rows(test, scored, use, "scoring")
            require_probabilities(scored, SCORE, use)
    yield scored
    scored.unpersist()


def evaluate(
    scored: DataFrame,
    parts: Parts,
    more: Callable[[DataFrame], Mapping[str, MeasuredValue]] = lambda _scored: {},
) -> HeldOut:
    """Compute the metrics of the scores of the held-out rows.

    Args:
        scored: The rows, as ``score_held_out`` yields them.
        parts: Parts of the rows that are also measured separately.
        more: Computes additional metrics of the scored rows.
    """
    rows = scored.drop(KNOWN)
    groups = rows.withColumn(_GROUP, F.lit(_ALL))
    if parts.before is not None:
        added = scored.where(F.col(KNOWN).isNull()).drop(KNOWN)
        groups = groups.unionByName(added.withColumn(_GROUP, F.lit(_NEW)))
    if parts.named is not None:
        exploded = rows.join(parts.named, KEY).withColumn(_GROUP, F.explode("parts"))
        groups = groups.unionByName(exploded.select(*groups.columns))
    scores = score_groups(groups, [_GROUP])
    metrics = name_metrics(scores.get((_ALL,)), "")
    if parts.before is not None:
        metrics |= name_metrics(scores.get((_NEW,)), ADDED)
    metrics |= more(rows)
    return HeldOut(
        metrics,
        compute_curves(rows, scores.get((_ALL,))),
        segments={name: name_metrics(scores.get((f"{SEGMENT}{name}",)), "") for name in parts.segments},
        weakest=find_weakest(scores, parts.min_class_rows),
        scores={} if parts.before is None else count_scores(scored),
    )


def score_rows(model: Any, rows: DataFrame) -> DataFrame:
    """Return key and label of the rows with ``score``, the probability of the positive class."""
    predicted: DataFrame = model.transform(rows)
    return predicted.select(KEY, LABEL, select_probability().alias(SCORE))


def select_probability() -> Column:
    """Return the column of the probability of the positive class, of rows that a classifier has scored."""
    return vector_to_array(F.col(PROBABILITY))[1]


def name_metrics(scores: Scores | None, prefix: str) -> dict[str, MeasuredValue]:
    """Return the metrics of a group with a prefix; of no rows, counts are 0 and the others ``None``."""
    if scores is None:
        return {f"{prefix}{name}": 0.0 if _is_count(name) else None for name in FORMULAS}
    return {f"{prefix}{name}": value for name, value in scores.metrics.items()}
