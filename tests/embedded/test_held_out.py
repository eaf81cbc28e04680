from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from sklearn import metrics

from harness.job.evaluate import HeldOut, evaluate, scored
from harness.metrics import METRICS
from harness.pipelines import KEY
from harness.scenario.model_kinds import LogisticRegression, LogisticRegressionGrid
from tests.embedded.tables import add_columns, make_small_samples, scenario, train

pytestmark = pytest.mark.spark

_OF_CLASSES = {"roc_auc", "roc_auc_se", "pr_auc", "log_loss"}
_MEASURED = {*_OF_CLASSES, "accuracy", "f1", "rows", "positives"}


@dataclass(frozen=True)
class Scored:
    """A model, the rows it has not seen, and its scores of them."""

    model: Any
    test: DataFrame
    of_key: dict[int, tuple[float, float]]
    """Key to label and score."""

    def evaluated(self, before: DataFrame | None) -> HeldOut:
        """Measure the held-out rows, given the keys of the previous version."""
        return evaluate(self.model, self.test, before)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> Scored:
    table = spark.range(400).selectExpr(
        "id", "sin(id) AS x", "if(sin(id) + 2 * cos(id * id) > 1, 'bad', 'good') AS y"
    )
    samples = make_small_samples(add_columns(table, scenario()), scenario(), rows=400)
    options = LogisticRegression(max_iter=10, folds=2, grid=LogisticRegressionGrid(reg_param=(0.01,)))
    model = train(samples.train, options).model
    of_key = {int(row[KEY]): (row["label"], row["score"]) for row in scored(model, samples.test).collect()}
    return Scored(model, samples.test, of_key)


def keys(spark: SparkSession, numbers: list[int]) -> DataFrame:
    """Return the keys of the previous version."""
    return spark.createDataFrame([(str(number),) for number in numbers], f"{KEY} string")


def by_sklearn(pairs: list[tuple[float, float]], prefix: str) -> dict[str, float]:
    labels, scores = [label for label, _ in pairs], [score for _, score in pairs]
    called = [float(score > 0.5) for score in scores]
    return {
        f"{prefix}roc_auc": metrics.roc_auc_score(labels, scores),
        f"{prefix}pr_auc": metrics.average_precision_score(labels, scores),
        f"{prefix}log_loss": metrics.log_loss(labels, scores),
        f"{prefix}accuracy": metrics.accuracy_score(labels, called),
        f"{prefix}f1": metrics.f1_score(labels, called),
        f"{prefix}rows": float(len(pairs)),
        f"{prefix}positives": float(sum(labels)),
    }


def test_rows_that_were_added_are_measured_apart(spark: SparkSession, rows: Scored) -> None:
    """Added rows are measured separately, as scikit-learn measures rows with new keys."""
    found = rows.evaluated(keys(spark, [*range(250), 7, 7, 9000])).metrics
    added = [pair for key, pair in rows.of_key.items() if key >= 250]
    expected = {
        **by_sklearn(list(rows.of_key.values()), "test_"),
        **by_sklearn(added, "added_test_"),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_the_first_version_has_nothing_added(rows: Scored) -> None:
    """The first version has no separate metrics on added rows."""
    found = rows.evaluated(None).metrics
    assert set(found) == {f"test_{name}" for name in _MEASURED}


def test_no_row_added_has_no_metrics(spark: SparkSession, rows: Scored) -> None:
    """Without added rows their count is 0 and their metrics are None."""
    found = rows.evaluated(keys(spark, list(range(400)))).metrics
    assert {name: value for name, value in found.items() if name.startswith("added_")} == {
        f"added_test_{name}": 0.0 if name in {"rows", "positives"} else None for name in _MEASURED
    }


def test_rows_added_of_one_class_have_no_area(spark: SparkSession, rows: Scored) -> None:
    """On added rows of one class, metrics that need both classes are None."""
    key = next(key for key, (label, _) in sorted(rows.of_key.items()) if label == 0)
    found = rows.evaluated(keys(spark, [each for each in range(400) if each != key])).metrics
    assert {name for name in _OF_CLASSES if found[f"added_test_{name}"] is None} == _OF_CLASSES
    assert (found["added_test_rows"], found["added_test_positives"]) == (1.0, 0.0)


def test_a_null_among_the_keys_before_is_no_row(spark: SparkSession, rows: Scored) -> None:
    """A null among the previous version's keys is ignored."""
    before = keys(spark, list(range(250)))
    with_null = before.unionAll(spark.createDataFrame([(None,)], f"{KEY} string"))
    assert rows.evaluated(with_null).metrics == rows.evaluated(before).metrics


def test_everything_measured_has_a_meaning(spark: SparkSession, rows: Scored) -> None:
    """Every metric that is measured on held-out rows has an entry in the list of metrics."""
    measured = set(rows.evaluated(keys(spark, [1])).metrics)
    assert ({"test_rows", "added_test_rows"} - measured, measured - set(METRICS)) == (set(), set())


def test_the_curves_are_those_of_all_held_out_rows(spark: SparkSession, rows: Scored) -> None:
    """The curves are those of all held-out rows, whichever were added."""
    found = rows.evaluated(keys(spark, list(range(250)))).curves
    assert found == rows.evaluated(None).curves
    assert sum(each.rows for each in found.calibration) == len(rows.of_key)


def test_does_not_depend_on_the_partitions(spark: SparkSession, rows: Scored) -> None:
    """The metrics do not depend on the partitions, to the last bit."""
    before = keys(spark, list(range(250)))
    other = evaluate(rows.model, rows.test.repartition(7, KEY), before.repartition(5))
    assert other == rows.evaluated(before)
