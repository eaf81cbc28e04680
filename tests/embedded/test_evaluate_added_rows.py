"""The metrics on held-out rows, and separately on those that a version adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics

from harness.job.evaluate import HeldOut, evaluate, score_held_out, score_rows
from harness.job.held_out_parts import Parts
from harness.metrics import METRICS
from harness.pipelines import KEY
from harness.scenario.model_kinds import LogisticRegression, LogisticRegressionGrid
from tests.embedded.tables import add_columns, make_small_samples, scenario, train

pytestmark = pytest.mark.spark

_OF_CLASSES = {"roc_auc", "roc_auc_se", "pr_auc", "log_loss", "log_loss_se"}
_MEASURED = {*_OF_CLASSES, "accuracy", "accuracy_se", "f1", "rows", "positives"}


@dataclass(frozen=True)
class Scored:
    """A model, the rows it has not seen, and its scores of them."""

    model: Any
    test: DataFrame
    of_key: dict[int, tuple[float, float]]
    """Key to label and score."""

    def measure(self, before: DataFrame | None) -> HeldOut:
        """Measure the held-out rows, given the keys of the previous version."""
        return measure(self.model, self.test, before)


def measure(model: Any, test: DataFrame, before: DataFrame | None) -> HeldOut:
    """Score and measure rows, given the keys of the previous version."""
    with score_held_out(model, test, before) as scored:
        return evaluate(scored, Parts(before))


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> Scored:
    table = spark.range(400).selectExpr(
        "id", "sin(id) AS x", "if(sin(id) + 2 * cos(id * id) > 1, 'bad', 'good') AS y"
    )
    samples = make_small_samples(add_columns(table, scenario()), scenario(), rows=400)
    options = LogisticRegression(max_iter=10, folds=2, grid=LogisticRegressionGrid(reg_param=(0.01,)))
    model = train(samples.train, options).model
    of_key = {
        int(row[KEY]): (row["label"], row["score"]) for row in score_rows(model, samples.test).collect()
    }
    return Scored(model, samples.test, of_key)


def make_keys(spark: SparkSession, numbers: list[int]) -> DataFrame:
    """Return the keys of the previous version."""
    return spark.createDataFrame([(str(number),) for number in numbers], f"{KEY} string")


def compute_with_sklearn(pairs: list[tuple[float, float]], prefix: str) -> dict[str, float]:
    labels, scores = [label for label, _ in pairs], [score for _, score in pairs]
    predicted = [float(score > 0.5) for score in scores]
    return {
        f"{prefix}roc_auc": metrics.roc_auc_score(labels, scores),
        f"{prefix}pr_auc": metrics.average_precision_score(labels, scores),
        f"{prefix}log_loss": metrics.log_loss(labels, scores),
        f"{prefix}accuracy": metrics.accuracy_score(labels, predicted),
        f"{prefix}f1": metrics.f1_score(labels, predicted),
        f"{prefix}rows": float(len(pairs)),
        f"{prefix}positives": float(sum(labels)),
    }


def test_added_rows_are_measured_separately(spark: SparkSession, rows: Scored) -> None:
    """Metrics on added rows are scikit-learn's on the rows with new keys."""
    actual = rows.measure(make_keys(spark, [*range(250), 7, 7, 9000])).metrics
    added = [pair for key, pair in rows.of_key.items() if key >= 250]
    expected = {
        **compute_with_sklearn(list(rows.of_key.values()), "test_"),
        **compute_with_sklearn(added, "added_test_"),
    }
    assert {name: actual[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_the_first_version_has_no_metrics_on_added_rows(rows: Scored) -> None:
    """The first version has no metrics on added rows."""
    actual = rows.measure(None).metrics
    assert set(actual) == {f"test_{name}" for name in _MEASURED}


def test_without_added_rows_their_metrics_are_none(spark: SparkSession, rows: Scored) -> None:
    """If no rows were added, their count is 0 and their metrics are None."""
    actual = rows.measure(make_keys(spark, list(range(400)))).metrics
    assert {name: value for name, value in actual.items() if name.startswith("added_")} == {
        f"added_test_{name}": 0.0 if name in {"rows", "positives"} else None for name in _MEASURED
    }


def test_added_rows_of_one_class_have_no_roc_auc(spark: SparkSession, rows: Scored) -> None:
    """On added rows of one class, metrics that need both classes are None."""
    key = next(key for key, (label, _) in sorted(rows.of_key.items()) if label == 0)
    actual = rows.measure(make_keys(spark, [each for each in range(400) if each != key])).metrics
    assert {name for name in _OF_CLASSES if actual[f"added_test_{name}"] is None} == _OF_CLASSES
    assert (actual["added_test_rows"], actual["added_test_positives"]) == (1.0, 0.0)


def test_a_null_among_previous_keys_is_ignored(spark: SparkSession, rows: Scored) -> None:
    """A null among the previous version's keys is ignored."""
    before = make_keys(spark, list(range(250)))
    with_null = before.unionAll(spark.createDataFrame([(None,)], f"{KEY} string"))
    assert rows.measure(with_null).metrics == rows.measure(before).metrics


def test_every_measured_metric_is_in_the_list(spark: SparkSession, rows: Scored) -> None:
    """Every metric that is measured on held-out rows is in the list of metrics."""
    measured = set(rows.measure(make_keys(spark, [1])).metrics)
    assert ({"test_rows", "added_test_rows"} - measured, measured - set(METRICS)) == (set(), set())


def test_the_curves_are_those_of_all_held_out_rows(spark: SparkSession, rows: Scored) -> None:
    """The curves are those of all held-out rows, whichever were added."""
    actual = rows.measure(make_keys(spark, list(range(250)))).curves
    assert actual == rows.measure(None).curves
    assert sum(each.rows for each in actual.calibration) == len(rows.of_key)


def test_metrics_do_not_depend_on_the_partitions(spark: SparkSession, rows: Scored) -> None:
    """The metrics don't depend on the partitions, to the last bit."""
    before = make_keys(spark, list(range(250)))
    other = measure(rows.model, rows.test.repartition(7, KEY), before.repartition(5))
    assert other == rows.measure(before)
