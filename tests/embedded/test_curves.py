from __future__ import annotations

import math
import random

import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics
from sklearn.calibration import calibration_curve

from harness.job.evaluate import CALIBRATION_BINS, ROC_POINTS, Curves, draw_curves, score_groups

pytestmark = pytest.mark.spark

Group = list[tuple[float, float]]
"""Label and score of each row."""


def noisy(rows: int, digits: int, seed: int = 0) -> Group:
    chance = random.Random(seed)  # noqa: S311 - scores, no secret
    labels = [0.0, 1.0, *(float(chance.random() < 0.3) for _ in range(rows - 2))]
    return [(label, round(chance.random() * 0.7 + label * 0.3, digits)) for label in labels]


def frame_of(spark: SparkSession, group: Group) -> DataFrame:
    return spark.createDataFrame(group, "label double, score double")


def drawn(frame: DataFrame) -> Curves:
    return draw_curves(frame, score_groups(frame, []).get(()))


def points(curves: Curves) -> list[tuple[float, float]]:
    return [(point.false_positive_rate, point.true_positive_rate) for point in curves.roc]


GROUPS = {
    "many rows": noisy(900, 15),
    "many ties": noisy(300, 1),
    "all tied": [(label, 0.5) for label, _ in noisy(20, 1)],
    "one row of each class": [(0.0, 0.2), (1.0, 0.1)],
    "few positives": [(0.0, index / 500) for index in range(499)] + [(1.0, 0.7004)],
    "certain": [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)],
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_roc_curve_is_sklearns(spark: SparkSession, name: str) -> None:
    """Every point of the ROC curve is one of scikit-learn's, and the area is the same to a hundredth."""
    labels, scores = zip(*GROUPS[name], strict=True)
    found = points(drawn(frame_of(spark, GROUPS[name])))
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    known = {(round(x, 12), round(y, 12)) for x, y in zip(false, true, strict=True)}
    assert len(found) <= ROC_POINTS
    assert (found[0], found[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert {(round(x, 12), round(y, 12)) for x, y in found} <= known
    area = metrics.auc([x for x, _ in found], [y for _, y in found])
    assert area == pytest.approx(metrics.roc_auc_score(labels, scores), abs=0.01)


def test_a_long_roc_curve_has_a_point_on_each_hundredth(spark: SparkSession) -> None:
    """A ROC curve of many rows is reduced to the maximum number of points."""
    assert len(drawn(frame_of(spark, noisy(3000, 15))).roc) == ROC_POINTS


def test_the_calibration_is_sklearns(spark: SparkSession) -> None:
    """Without ties, the calibration has ten quantile bins with equal numbers of rows."""
    group = GROUPS["many rows"]
    labels, scores = zip(*group, strict=True)
    found = drawn(frame_of(spark, group)).calibration
    observed, predicted = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert [each.rows for each in found] == [90] * CALIBRATION_BINS
    assert [each.observed for each in found] == pytest.approx(list(observed), rel=1e-12)
    assert [each.predicted for each in found] == pytest.approx(list(predicted), rel=1e-12)


def test_rows_of_one_score_are_in_one_bin(spark: SparkSession) -> None:
    """Rows with the same score are in the same bin, each counted exactly once."""
    found = drawn(frame_of(spark, [(0.0, 0.2)] * 70 + [(1.0, 0.2)] * 5 + [(1.0, 0.9)] * 25)).calibration
    assert [(each.rows, each.observed) for each in found] == [(75, 5 / 75), (25, 1.0)]
    assert [each.predicted for each in found] == pytest.approx([0.2, 0.9], rel=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_a_calibration_alone(spark: SparkSession, label: float) -> None:
    """With one class there is a calibration curve but no ROC curve."""
    found = drawn(frame_of(spark, [(label, 0.25), (label, 0.75)]))
    assert (found.roc, [(each.predicted, each.observed) for each in found.calibration]) == (
        (),
        [(0.25, label), (0.75, label)],
    )


@pytest.mark.parametrize("group", [[], [(1.0, 0.7), (0.0, math.nan), (0.0, 0.1)]])
def test_nothing_is_drawn_of_no_scores(spark: SparkSession, group: Group) -> None:
    """Without rows, or with a score that is not finite, there are no curves."""
    assert drawn(frame_of(spark, group)) == Curves()


def test_does_not_depend_on_the_partitions(spark: SparkSession) -> None:
    """The curves do not depend on the partitions, to the last bit."""
    frame = frame_of(spark, [*noisy(500, 15), *noisy(500, 2, seed=1)])
    assert drawn(frame.repartition(1)) == drawn(frame.repartition(7, "score"))
