"""The ROC curve and the calibration, compared with scikit-learn's."""

from __future__ import annotations

import math
import random

import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics
from sklearn.calibration import calibration_curve

from harness.job.evaluate import CALIBRATION_BINS, ROC_POINTS, Curves, compute_curves, score_groups

pytestmark = pytest.mark.spark

Group = list[tuple[float, float]]
"""Label and score of each row."""


def make_noisy_scores(rows: int, digits: int, seed: int = 0) -> Group:
    chance = random.Random(seed)  # noqa: S311 - not a secret
    labels = [0.0, 1.0, *(float(chance.random() < 0.3) for _ in range(rows - 2))]
    return [(label, round(chance.random() * 0.7 + label * 0.3, digits)) for label in labels]


def make_frame(spark: SparkSession, group: Group) -> DataFrame:
    return spark.createDataFrame(group, "label double, score double")


def draw(frame: DataFrame) -> Curves:
    return compute_curves(frame, score_groups(frame, []).get(()))


def list_points(curves: Curves) -> list[tuple[float, float]]:
    return [(point.false_positive_rate, point.true_positive_rate) for point in curves.roc]


GROUPS = {
    "many rows": make_noisy_scores(900, 15),
    "many ties": make_noisy_scores(300, 1),
    "all tied": [(label, 0.5) for label, _ in make_noisy_scores(20, 1)],
    "one row of each class": [(0.0, 0.2), (1.0, 0.1)],
    "few positives": [(0.0, index / 500) for index in range(499)] + [(1.0, 0.7004)],
    "certain": [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)],
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_roc_curve_agrees_with_sklearn(spark: SparkSession, name: str) -> None:
    """Every point of the ROC curve is one of scikit-learn's, and the area is the same to a hundredth."""
    labels, scores = zip(*GROUPS[name], strict=True)
    actual = list_points(draw(make_frame(spark, GROUPS[name])))
    false, true, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    expected = {(round(x, 12), round(y, 12)) for x, y in zip(false, true, strict=True)}
    assert len(actual) <= ROC_POINTS
    assert (actual[0], actual[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert {(round(x, 12), round(y, 12)) for x, y in actual} <= expected
    area = metrics.auc([x for x, _ in actual], [y for _, y in actual])
    assert area == pytest.approx(metrics.roc_auc_score(labels, scores), abs=0.01)


def test_a_long_roc_curve_is_thinned(spark: SparkSession) -> None:
    """A ROC curve of many rows is reduced to the maximum number of points."""
    assert len(draw(make_frame(spark, make_noisy_scores(3000, 15))).roc) == ROC_POINTS


def test_the_calibration_agrees_with_sklearn(spark: SparkSession) -> None:
    """Without ties, the calibration has ten quantile bins, as scikit-learn computes them."""
    group = GROUPS["many rows"]
    labels, scores = zip(*group, strict=True)
    actual = draw(make_frame(spark, group)).calibration
    observed, predicted = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert [each.rows for each in actual] == [90] * CALIBRATION_BINS
    assert [each.observed for each in actual] == pytest.approx(list(observed), rel=1e-12)
    assert [each.predicted for each in actual] == pytest.approx(list(predicted), rel=1e-12)


def test_rows_of_one_score_are_in_one_bin(spark: SparkSession) -> None:
    """Rows with the same score are in the same bin, and each row is counted once."""
    actual = draw(make_frame(spark, [(0.0, 0.2)] * 70 + [(1.0, 0.2)] * 5 + [(1.0, 0.9)] * 25)).calibration
    assert [(each.rows, each.observed) for each in actual] == [(75, 5 / 75), (25, 1.0)]
    assert [each.predicted for each in actual] == pytest.approx([0.2, 0.9], rel=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_has_no_roc_curve(spark: SparkSession, label: float) -> None:
    """Rows of one class have a calibration curve but no ROC curve."""
    actual = draw(make_frame(spark, [(label, 0.25), (label, 0.75)]))
    assert (actual.roc, [(each.predicted, each.observed) for each in actual.calibration]) == (
        (),
        [(0.25, label), (0.75, label)],
    )


@pytest.mark.parametrize("group", [[], [(1.0, 0.7), (0.0, math.nan), (0.0, 0.1)]])
def test_no_curves_without_finite_scores(spark: SparkSession, group: Group) -> None:
    """Without rows, or with a score that is not a number, there are no curves."""
    assert draw(make_frame(spark, group)) == Curves()


def test_curves_do_not_depend_on_the_partitions(spark: SparkSession) -> None:
    """The curves don't depend on the partitions, to the last bit."""
    frame = make_frame(spark, [*make_noisy_scores(500, 15), *make_noisy_scores(500, 2, seed=1)])
    assert draw(frame.repartition(1)) == draw(frame.repartition(7, "score"))
