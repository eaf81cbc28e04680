"""The metrics of scores, compared with scikit-learn's."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics

from harness.job.evaluate import FORMULAS, Scores, roc_auc_se, score_groups
from harness.metrics import HELD_OUT_METRICS

pytestmark = pytest.mark.spark

Group = list[tuple[float, float]]
"""Label and score of each row."""


def _groups() -> dict[str, Group]:
    """Return groups of rows of all kinds, each with both classes."""
    chance = random.Random(0)  # noqa: S311 - not a secret

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
        "none predicted positive": [(label, score / 2) for label, score in noisy(50, 3)],
        **{f"random {number}": noisy(10 + number, 2) for number in range(20)},
    }


GROUPS = _groups()


def make_frame(spark: SparkSession, groups: dict[str, Group]) -> DataFrame:
    rows = [(name, label, score) for name, group in groups.items() for label, score in group]
    return spark.createDataFrame(rows, "group string, label double, score double")


@pytest.fixture(scope="module")
def scores(spark: SparkSession) -> dict[tuple[object, ...], Scores]:
    return score_groups(make_frame(spark, GROUPS), ["group"])


def compute_with_sklearn(group: Group) -> dict[str, float]:
    labels, values = [label for label, _ in group], [score for _, score in group]
    predicted = [float(score > 0.5) for score in values]
    return {
        "roc_auc": metrics.roc_auc_score(labels, values),
        "pr_auc": metrics.average_precision_score(labels, values),
        "log_loss": metrics.log_loss(labels, values),
        "accuracy": metrics.accuracy_score(labels, predicted),
        "f1": metrics.f1_score(labels, predicted),
    }


def compute_errors_of_means(group: Group) -> dict[str, float]:
    """Return the standard errors of the metrics that are means over rows, from the values of single rows."""
    losses = [metrics.log_loss([label], [score], labels=[0.0, 1.0]) for label, score in group]
    hits = [float((score > 0.5) == (label == 1.0)) for label, score in group]
    rows = len(group)
    return {
        "log_loss_se": statistics.stdev(losses) / math.sqrt(rows),
        "accuracy_se": statistics.pstdev(hits) / math.sqrt(rows),
    }


@pytest.mark.parametrize("name", GROUPS)
def test_metrics_agree_with_sklearn(scores: dict[tuple[object, ...], Scores], name: str) -> None:
    """Every metric equals scikit-learn's on the same scores."""
    actual = scores[name,]
    expected = compute_with_sklearn(GROUPS[name])
    assert pytest.approx(expected, rel=1e-9, abs=1e-300) == {
        each: actual.metrics[f"test_{each}"] for each in expected
    }


@pytest.mark.parametrize("name", GROUPS)
def test_standard_errors_of_means(scores: dict[tuple[object, ...], Scores], name: str) -> None:
    """The standard errors of log loss and accuracy follow from the spread over single rows."""
    expected = compute_errors_of_means(GROUPS[name])
    actual = scores[name,]
    # The spread of equal losses is the rounding of their sum.
    assert pytest.approx(expected, rel=1e-6, abs=1e-6) == {
        each: actual.metrics[f"test_{each}"] for each in expected
    }


def test_positives_and_negatives_are_counted(scores: dict[tuple[object, ...], Scores]) -> None:
    """Scores have the numbers of positives and negatives that they are based on."""
    actual = scores["few positives",]
    assert (actual.positives, actual.negatives, actual.rows) == (1, 499, 500)


def test_without_groups_all_rows_are_one_group(spark: SparkSession) -> None:
    """Without groups, all rows are one group."""
    one = {"all": GROUPS["many ties"]}
    assert score_groups(make_frame(spark, one), []) == {
        (): score_groups(make_frame(spark, one), ["group"])["all",]
    }


def test_an_empty_table_has_no_scores(spark: SparkSession) -> None:
    """An empty table has no groups."""
    assert score_groups(make_frame(spark, {}), []) == {}


def test_undefined_metrics_are_none(spark: SparkSession) -> None:
    """A metric that is not defined for a group is None; all others have values."""
    actual = score_groups(
        make_frame(
            spark,
            {
                "positives": [(1.0, 0.7), (1.0, 0.2)],
                "negatives": [(0.0, 0.7), (0.0, 0.2)],
                "no number": [(1.0, 0.7), (0.0, math.nan), (0.0, 0.1)],
            },
        ),
        ["group"],
    )
    assert actual == {
        ("positives",): make_scores(2, 0, pr_auc=1.0, accuracy=0.5, accuracy_se=math.sqrt(1 / 8), f1=2 / 3),
        ("negatives",): make_scores(0, 2, accuracy=0.5, accuracy_se=math.sqrt(1 / 8)),
        ("no number",): make_scores(1, 2, has_nan=True),
    }


def test_metrics_do_not_depend_on_the_partitions(
    spark: SparkSession, scores: dict[tuple[object, ...], Scores]
) -> None:
    """The metrics don't depend on the partitions, to the last bit."""
    assert score_groups(make_frame(spark, GROUPS).repartition(7, "score"), ["group"]) == scores


def make_scores(positives: int, negatives: int, *, has_nan: bool = False, **metrics: float) -> Scores:
    """Return scores of which only the counts and these metrics are defined."""
    counts = {"rows": float(positives + negatives), "positives": float(positives)}
    defined = {f"test_{name}": value for name, value in {**counts, **metrics}.items()}
    return Scores(positives, negatives, {name: defined.get(name) for name in FORMULAS}, has_nan)


def test_every_metric_on_held_out_rows_has_a_formula() -> None:
    """Each metric on held-out rows has a formula."""
    assert list(HELD_OUT_METRICS) == list(FORMULAS)


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (16, 1300), (58, 51)])
def test_standard_error_of_guessing(positives: int, negatives: int) -> None:
    """The standard error at an area of 0.5 is that of the Mann-Whitney statistic."""
    expected = math.sqrt((positives + negatives + 1) / (12 * positives * negatives))
    assert roc_auc_se(0.5, positives, negatives) == pytest.approx(expected, rel=1e-12)


def test_standard_error_as_published() -> None:
    """The standard error of Hanley and McNeil's published example is 0.032, for an area of 0.893."""
    assert roc_auc_se(0.893, 51, 58) == pytest.approx(0.032, abs=0.001)


@pytest.mark.parametrize("area", [0.1, 0.3, 0.66, 0.893, 0.999])
def test_standard_error_of_exponential_scores(area: float) -> None:
    """The standard error agrees with its derivation from exponential scores."""
    rate = (1 - area) / area
    two_positives_above = 1 / (1 + 2 * rate)
    above_two_negatives = 1 - 2 * rate / (1 + rate) + rate / (2 + rate)
    square = area * area
    covariances = 15 * (two_positives_above - square) + 1299 * (above_two_negatives - square)
    variance = (area * (1 - area) + covariances) / (16 * 1300)
    assert roc_auc_se(area, 16, 1300) == pytest.approx(math.sqrt(variance), rel=1e-9)


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_standard_error_of_a_perfect_ranking(area: float) -> None:
    """The standard error of a perfect ranking is 0."""
    assert roc_auc_se(area, 16, 1300) == pytest.approx(0.0, abs=1e-9)


def test_an_undefined_area_has_no_standard_error() -> None:
    """An undefined area has no standard error."""
    assert roc_auc_se(None, 0, 3) is None
