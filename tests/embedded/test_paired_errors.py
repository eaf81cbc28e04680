"""Standard errors of the differences between two models on the same rows."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from harness.job import paired_errors
from harness.job.evaluate import score_groups
from harness.job.paired_errors import OTHER_SCORE, bootstrap_errors, compute_delong_error, measure_differences
from harness.pipelines import KEY, LABEL, SCORE

pytestmark = pytest.mark.spark

PUBLISHED = Path(__file__).with_name("asah.csv")
"""113 patients with a subarachnoid hemorrhage: the data set aSAH of the R package pROC (Turck et al.,
Intensive Care Medicine 36, 2010)."""
Array = npt.NDArray[np.float64]
Rows = list[tuple[str, float, float, float]]


def frame(spark: SparkSession, rows: Rows, partitions: int = 2) -> DataFrame:
    """Return rows of key, label and both scores."""
    made = spark.createDataFrame(rows, f"{KEY} string, {LABEL} double, {SCORE} double, {OTHER_SCORE} double")
    return made.repartition(partitions)


def make_rows(count: int = 400) -> Rows:
    """Return rows with ties in both scores; the first one is the better score."""
    chance = random.Random(5)  # noqa: S311 - not a secret
    rows: Rows = []
    for number in range(count):
        label = float(chance.random() < 0.3)
        first, second = (
            round(min(max(chance.gauss(0.4 + x * label, 0.2), 0.0), 1.0), 2) for x in (0.25, 0.15)
        )
        rows.append((str(number), label, first, second))
    return rows


def measure_delong(labels: Array, scores: Array, others: Array) -> float:
    """Return the standard error by the definition, pair by pair."""
    contributions = []
    for each in (scores, others):
        positive, negative = each[labels == 1], each[labels == 0]
        ordered = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        contributions.append((ordered.mean(axis=1), ordered.mean(axis=0)))
    differences = [a - b for a, b in zip(*contributions, strict=True)]
    return float(np.sqrt(sum(each.var(ddof=1) / len(each) for each in differences)))


def test_the_published_numbers_are_met(spark: SparkSession) -> None:
    """The statistic of two biomarkers is that of the R package pROC: Z = 2.20898359144091."""
    with PUBLISHED.open() as stream:
        read = list(csv.DictReader(stream))
    rows = [
        (str(number), float(row["outcome"]), float(row["wfns"]), float(row["s100b"]))
        for number, row in enumerate(read)
    ]
    labels, wfns, s100b = (np.array([row[at] for row in rows]) for at in (1, 2, 3))
    difference = roc_auc_score(labels, wfns) - roc_auc_score(labels, s100b)
    error = compute_delong_error(frame(spark, rows))
    assert error is not None
    assert difference / error == pytest.approx(2.20898359144091, rel=1e-12)


def test_delong_error_is_that_of_the_definition(spark: SparkSession) -> None:
    """With ties, the error is that computed pair by pair, however the rows are partitioned."""
    rows = make_rows()
    expected = measure_delong(*(np.array([row[at] for row in rows]) for at in (1, 2, 3)))
    for partitions in (1, 7):
        assert compute_delong_error(frame(spark, rows, partitions)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("positives", [0, 1])
def test_with_too_few_rows_of_a_class_there_is_no_error(spark: SparkSession, positives: int) -> None:
    """With fewer than two positives, the error is undefined."""
    rows = [(str(number), float(number < positives), number / 10, 0.5) for number in range(8)]
    assert compute_delong_error(frame(spark, rows)) is None


def test_equal_scores_have_no_error(spark: SparkSession) -> None:
    """Two models with the same scores differ by 0, with an error of 0."""
    rows = [(key, label, score, score) for key, label, score, _ in make_rows(60)]
    scored = frame(spark, rows)
    [scores] = score_groups(scored.drop(OTHER_SCORE, KEY), []).values()
    found = measure_differences(scored, scores, scores, ["test_pr_auc", "test_f1"], seed=1)
    for name in ("test_roc_auc", "test_pr_auc", "test_f1"):
        assert (0.0, 0.0) == (found[name].value, found[name].standard_error)
    assert found["test_log_loss"].standard_error is None


def test_bootstrapped_errors_are_those_of_another_bootstrap(spark: SparkSession) -> None:
    """The errors are close to those of rows drawn with replacement, and the same for any partitioning."""
    rows = make_rows()
    labels, scores, others = (np.array([row[at] for row in rows]) for at in (1, 2, 3))
    chance = np.random.default_rng(2)
    drawn = [chance.integers(0, len(rows), len(rows)) for _ in range(500)]
    expected = {
        "test_pr_auc": np.std(
            [
                average_precision_score(labels[at], scores[at])
                - average_precision_score(labels[at], others[at])
                for at in drawn
            ]
        ),
        "test_f1": np.std(
            [f1_score(labels[at], scores[at] > 0.5) - f1_score(labels[at], others[at] > 0.5) for at in drawn]
        ),
    }
    found = bootstrap_errors(frame(spark, rows, 1), list(expected), seed=3)
    for name, error in expected.items():
        assert found[name] == pytest.approx(error, rel=0.2), name
    assert found == bootstrap_errors(frame(spark, rows, 5), list(expected), seed=3)


def test_a_sample_has_the_error_of_all_rows(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more rows than are drawn from, a sample is used, and its error is that of all rows."""
    scored = frame(spark, make_rows(1200))
    whole = bootstrap_errors(scored, ["test_pr_auc"], seed=3)["test_pr_auc"]
    monkeypatch.setattr(paired_errors, "_BOOTSTRAPPED_ROWS", 600)
    assert bootstrap_errors(scored, ["test_pr_auc"], seed=3)["test_pr_auc"] == pytest.approx(whole, rel=0.3)
