from __future__ import annotations

import math
import random

import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics

from harness.job.evaluate import FORMULAS, Scores, roc_auc_se, score_groups
from harness.metrics import ON_HELD_OUT

pytestmark = pytest.mark.spark

Group = list[tuple[float, float]]
"""Label and score of each row."""


def _groups() -> dict[str, Group]:
    """Return groups of rows of all kinds, each with both classes."""
    chance = random.Random(0)  # noqa: S311 - scores, no secret

    def noisy(rows: int, digits: int) -> Group:
        labels = [0.0, 1.0, *(float(chance.random() < 0.3) for _ in range(rows - 2))]
        return [(label, round(chance.random() * 0.7 + label * 0.3, digits)) for label in labels]

    return {
        "no ties": noisy(300, 15),
        "many ties": noisy(300, 1),
        "all tied": [(label, 0.5) for label, _ in noisy(20, 1)],
        "certain": [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 0.3), (0.0, 0.6)],
        "certain and right": [(0.0, 0.0), (1.0, 1.0), (0.0, 0.0)],
        "one row of each class": [(0.0, 0.2), (1.0, 0.1)],
        "tiny scores": [(label, 1e-300 * score) for label, score in noisy(30, 3)],
        "close to one": [(label, 1 - 1e-15 * score) for label, score in noisy(30, 3)],
        "few positives": [(0.0, index / 500) for index in range(499)] + [(1.0, 0.7004)],
        "none called": [(label, score / 2) for label, score in noisy(50, 3)],
        **{f"random {number}": noisy(10 + number, 2) for number in range(20)},
    }


GROUPS = _groups()


def frame_of(spark: SparkSession, groups: dict[str, Group]) -> DataFrame:
    rows = [(name, label, score) for name, group in groups.items() for label, score in group]
    return spark.createDataFrame(rows, "group string, label double, score double")


@pytest.fixture(scope="module")
def scores(spark: SparkSession) -> dict[tuple[object, ...], Scores]:
    return score_groups(frame_of(spark, GROUPS), ["group"])


def by_sklearn(group: Group) -> dict[str, float]:
    labels, values = [label for label, _ in group], [score for _, score in group]
    called = [float(score > 0.5) for score in values]
    return {
        "roc_auc": metrics.roc_auc_score(labels, values),
        "pr_auc": metrics.average_precision_score(labels, values),
        "log_loss": metrics.log_loss(labels, values),
        "accuracy": metrics.accuracy_score(labels, called),
        "f1": metrics.f1_score(labels, called),
    }


@pytest.mark.parametrize("name", GROUPS)
def test_agrees_with_sklearn(scores: dict[tuple[object, ...], Scores], name: str) -> None:
    """Every metric equals scikit-learn's on the same scores."""
    found = scores[name,]
    expected = by_sklearn(GROUPS[name])
    assert pytest.approx(expected, rel=1e-9, abs=1e-300) == {
        each: found.metrics[f"test_{each}"] for each in expected
    }


def test_counts_the_rows(scores: dict[tuple[object, ...], Scores]) -> None:
    """A ROC AUC comes with the numbers of positives and negatives it is based on."""
    found = scores["few positives",]
    assert (found.positives, found.negatives, found.rows) == (1, 499, 500)


def test_scores_all_rows_without_groups(spark: SparkSession) -> None:
    """Without groups, all rows are one group."""
    one = {"all": GROUPS["many ties"]}
    assert score_groups(frame_of(spark, one), []) == {
        (): score_groups(frame_of(spark, one), ["group"])["all",]
    }


def test_no_row_has_no_score(spark: SparkSession) -> None:
    """An empty table has no groups."""
    assert score_groups(frame_of(spark, {}), []) == {}


def test_what_is_not_defined_is_none(spark: SparkSession) -> None:
    """Undefined metrics are None; metrics that are still defined have values."""
    found = score_groups(
        frame_of(
            spark,
            {
                "positives": [(1.0, 0.7), (1.0, 0.2)],
                "negatives": [(0.0, 0.7), (0.0, 0.2)],
                "no number": [(1.0, 0.7), (0.0, math.nan), (0.0, 0.1)],
            },
        ),
        ["group"],
    )
    assert found == {
        ("positives",): known(2, 0, pr_auc=1.0, accuracy=0.5, f1=2 / 3),
        ("negatives",): known(0, 2, accuracy=0.5),
        ("no number",): known(1, 2, has_nan=True),
    }


def test_does_not_depend_on_the_partitions(
    spark: SparkSession, scores: dict[tuple[object, ...], Scores]
) -> None:
    """The metrics do not depend on the partitions, to the last bit."""
    assert score_groups(frame_of(spark, GROUPS).repartition(7, "score"), ["group"]) == scores


def known(positives: int, negatives: int, *, has_nan: bool = False, **metrics: float) -> Scores:
    """Return scores of which only the counts and some metrics are defined."""
    counts = {"rows": float(positives + negatives), "positives": float(positives)}
    defined = {f"test_{name}": value for name, value in {**counts, **metrics}.items()}
    return Scores(positives, negatives, {name: defined.get(name) for name in FORMULAS}, has_nan)


def test_every_metric_on_held_out_rows_has_a_formula() -> None:
    """The list of metrics and the formulas have the same names."""
    assert list(ON_HELD_OUT) == list(FORMULAS)


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (16, 1300), (58, 51)])
def test_standard_error_of_guessing(positives: int, negatives: int) -> None:
    """At an area of 0.5 the standard error is that of the Mann-Whitney statistic."""
    expected = math.sqrt((positives + negatives + 1) / (12 * positives * negatives))
    assert roc_auc_se(0.5, positives, negatives) == pytest.approx(expected, rel=1e-12)


def test_standard_error_as_published() -> None:
    """The standard error reproduces Hanley and McNeil's published example: 0.032 for an area of 0.893."""
    assert roc_auc_se(0.893, 51, 58) == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize("area", [0.1, 0.3, 0.66, 0.893, 0.999])
def test_standard_error_by_its_derivation(area: float) -> None:
    """The standard error agrees with its derivation from exponential scores."""
    rate = (1 - area) / area
    two_positives_above = 1 / (1 + 2 * rate)
    above_two_negatives = 1 - 2 * rate / (1 + rate) + rate / (2 + rate)
    square = area * area
    covariances = 15 * (two_positives_above - square) + 1299 * (above_two_negatives - square)
    variance = (area * (1 - area) + covariances) / (16 * 1300)
    assert roc_auc_se(area, 16, 1300) == pytest.approx(math.sqrt(variance), rel=1e-9)


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_standard_error_of_a_perfect_order(area: float) -> None:
    """The standard error of a perfect ranking is 0."""
    assert roc_auc_se(area, 16, 1300) == pytest.approx(0.0, abs=1e-9)


def test_standard_error_of_nothing() -> None:
    """An undefined area has no standard error."""
    assert roc_auc_se(None, 0, 3) is None
