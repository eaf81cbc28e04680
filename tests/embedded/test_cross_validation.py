"""The cross-validation over a grid, compared with Spark's."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.linalg import Vectors
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, Row, SparkSession, functions as F
from sklearn.metrics import roc_auc_score

from harness.job.evaluate import roc_auc_se, score_rows
from harness.job.models.cross_validation import TrainingOutcome
from harness.pipelines import FEATURES, FOLD, KEY, LABEL
from harness.scenario.model import Scenario
from harness.scenario.model_kinds import LogisticRegression as Options
from tests.conftest import Loans
from tests.embedded.tables import add_columns, make_small_samples, train

pytestmark = pytest.mark.spark

FOLDS = 3
OPTIONS = Options.model_validate(
    {"grid": {"reg_param": [0.01, 0.1], "elastic_net_param": [0.0, 0.5]}, "folds": FOLDS, "max_iter": 20}
)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Return 300 rows in three folds; only the first feature is informative."""
    chance = random.Random(5)  # noqa: S311 - not a secret
    values = []
    for number in range(300):
        label = float(chance.random() < 0.3)
        features = Vectors.dense(round(chance.gauss(label, 1), 1), chance.gauss(50, 20))
        values.append((str(number), label, number % FOLDS, features))
    return make_folds(spark, values)


def make_folds(spark: SparkSession, values: list[tuple[str, float, int, Any]]) -> DataFrame:
    named = [
        Row(**{KEY: key, LABEL: label, FOLD: fold, FEATURES: vector}) for key, label, fold, vector in values
    ]
    frame = spark.createDataFrame(named).withColumn(FOLD, F.col(FOLD).cast("int"))
    return frame.coalesce(1).persist()


@pytest.fixture(scope="module")
def trained(rows: DataFrame) -> TrainingOutcome:
    return train(rows, OPTIONS)


def make_regression(parameters: Mapping[str, float]) -> LogisticRegression:
    return LogisticRegression(
        maxIter=OPTIONS.max_iter,
        regParam=parameters["reg_param"],
        elasticNetParam=parameters["elastic_net_param"],
    )


def compute_fold_roc_auc(rows: DataFrame, fold: int, parameters: Mapping[str, float]) -> float:
    """Return scikit-learn's ROC AUC of a fold, by a Spark model fitted on the other folds."""
    model = make_regression(parameters).fit(rows.where(F.col(FOLD) != fold))
    predicted = model.transform(rows.where(F.col(FOLD) == fold)).select(LABEL, "probability").collect()
    return float(
        roc_auc_score([row[LABEL] for row in predicted], [row["probability"][1] for row in predicted])
    )


def test_every_combination_is_tried_in_order(trained: TrainingOutcome) -> None:
    """Grid points are tried in the order of the grid, in which the least regularized come first."""
    assert [point.parameters for point in trained.grid] == [
        {"reg_param": 0.01, "elastic_net_param": 0.0},
        {"reg_param": 0.01, "elastic_net_param": 0.5},
        {"reg_param": 0.1, "elastic_net_param": 0.0},
        {"reg_param": 0.1, "elastic_net_param": 0.5},
    ]


def test_a_grid_point_scores_the_mean_of_its_folds(rows: DataFrame, trained: TrainingOutcome) -> None:
    """A grid point's score is the mean of its folds' ROC AUC, as scikit-learn computes them."""
    point = trained.grid[1]
    expected = fmean(compute_fold_roc_auc(rows, fold, point.parameters) for fold in range(3))
    assert point.cv_roc_auc == pytest.approx(expected, rel=1e-12)


def test_scores_agree_with_spark_s_cross_validator(rows: DataFrame, trained: TrainingOutcome) -> None:
    """The scores equal those of Spark's CrossValidator with the same folds and an exact evaluator."""
    estimator = LogisticRegression(maxIter=OPTIONS.max_iter, regParam=trained.grid[0].parameters["reg_param"])
    validator = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=ParamGridBuilder()
        .addGrid(estimator.elasticNetParam, list(OPTIONS.grid.elastic_net_param))
        .build(),
        evaluator=BinaryClassificationEvaluator(numBins=0),
        numFolds=FOLDS,
        foldCol=FOLD,
    )
    expected = validator.fit(rows).avgMetrics
    assert [point.cv_roc_auc for point in trained.grid[:2]] == [
        pytest.approx(each, rel=1e-9) for each in expected
    ]


def test_each_fit_is_reported_as_progress(rows: DataFrame) -> None:
    """Each finished fit is reported as progress."""
    progress: list[str] = []
    train(rows, OPTIONS.model_copy(update={"folds": 2, "grid": make_grid([0.1], [0.0])}), progress.append)
    assert ["1 of 2 fits", "2 of 2 fits"] == progress


def test_the_best_mean_is_chosen(rows: DataFrame) -> None:
    """The grid point with the best mean score is chosen."""
    actual = train(rows, OPTIONS.model_copy(update={"grid": make_grid([1000.0, 0.01], [1.0])}))
    assert [(point.cv_roc_auc, point.chosen) for point in actual.grid] == [
        (0.5, False),
        (actual.cv_roc_auc, True),
    ]
    assert actual.cv_roc_auc is not None
    assert actual.cv_roc_auc > 0.6


def make_grid(reg_param: list[float], elastic_net_param: list[float]) -> Any:
    return OPTIONS.grid.model_copy(
        update={"reg_param": tuple(reg_param), "elastic_net_param": tuple(elastic_net_param)}
    )


def test_the_first_of_equals_is_chosen(rows: DataFrame) -> None:
    """Of grid points with equal scores, the first one is chosen."""
    actual = train(rows, OPTIONS.model_copy(update={"grid": make_grid([1000.0, 2000.0], [1.0])}))
    assert [(point.cv_roc_auc, point.chosen) for point in actual.grid] == [(0.5, True), (0.5, False)]


def test_the_chosen_point_is_fitted_on_all_rows(rows: DataFrame, trained: TrainingOutcome) -> None:
    """The final model is fitted on all rows with the chosen parameters."""
    [chosen] = [point for point in trained.grid if point.chosen]
    expected = make_regression(chosen.parameters).fit(rows)
    assert list(trained.model.coefficients.toArray()) == list(expected.coefficients.toArray())


def test_the_standard_error_of_the_mean_assumes_independent_folds(
    rows: DataFrame, trained: TrainingOutcome
) -> None:
    """The standard error of the mean is the root of the summed squared errors over the number of folds."""
    [chosen] = [point for point in trained.grid if point.chosen]
    squares = []
    for fold in range(FOLDS):
        labels = [row[LABEL] for row in rows.where(F.col(FOLD) == fold).collect()]
        positives = int(sum(labels))
        area = compute_fold_roc_auc(rows, fold, chosen.parameters)
        error = roc_auc_se(area, positives, len(labels) - positives)
        assert error is not None
        squares.append(error**2)
    assert trained.cv_roc_auc_se == pytest.approx(math.sqrt(sum(squares)) / FOLDS, rel=1e-9)


def test_scores_are_of_the_positive_class(rows: DataFrame, trained: TrainingOutcome) -> None:
    """Scores are the probabilities of label 1."""
    expected = [row["probability"][1] for row in trained.model.transform(rows).collect()]
    assert [row["score"] for row in score_rows(trained.model, rows).collect()] == expected


@pytest.mark.parametrize(
    "folds",
    [
        pytest.param([(1.0, 0), (0.0, 0), (0.0, 1), (0.0, 1)], id="no positive in one fold"),
        pytest.param([(1.0, 0), (0.0, 0), (1.0, 1), (1.0, 1)], id="no negative in one fold"),
        pytest.param([(1.0, 0), (1.0, 0), (0.0, 1), (0.0, 1)], id="one class in each"),
    ],
)
def test_a_fold_with_one_class_leaves_no_mean(spark: SparkSession, folds: list[tuple[float, int]]) -> None:
    """If a fold has one class, the mean score is None; the model is fitted nevertheless."""
    values = [(str(at), label, fold, Vectors.dense(at * 1.0)) for at, (label, fold) in enumerate(folds)]
    options = OPTIONS.model_copy(update={"folds": 2, "grid": make_grid([0.1, 0.01], [0.0])})
    actual = train(make_folds(spark, values), options)
    assert (actual.cv_roc_auc, actual.cv_roc_auc_se) == (None, None)
    assert [(point.cv_roc_auc, point.chosen) for point in actual.grid] == [
        (None, True),
        (None, False),
    ]
    assert actual.model.numFeatures == 1


def test_an_empty_fold_leaves_no_mean(rows: DataFrame) -> None:
    """If a fold is empty, the mean score is None."""
    actual = train(rows, OPTIONS.model_copy(update={"folds": 4, "grid": make_grid([0.1], [0.0])}))
    assert actual.cv_roc_auc is None


@dataclass(frozen=True)
class Numbers:
    """The coefficients and scores of a training."""

    coefficients: list[float]
    cv_roc_auc: list[float | None]
    chosen: list[bool]


def train_numbers(loans: Loans, table: DataFrame, partitions: int) -> Numbers:
    """Train on a table, and return the numbers."""
    scenario = reduce_fits(loans.scenario, partitions)
    samples = make_small_samples(add_columns(table, scenario), scenario, rows=3395)
    actual = train(samples.train, scenario.pipeline.model)
    samples.release()
    return Numbers(
        [float(actual.model.intercept), *(float(value) for value in actual.model.coefficients.toArray())],
        [point.cv_roc_auc for point in actual.grid],
        [point.chosen for point in actual.grid],
    )


def reduce_fits(scenario: Scenario, partitions: int) -> Scenario:
    """Return the loans' scenario with a quarter of the fits, on a number of partitions."""
    model = Options.model_validate(
        {"max_iter": 50, "grid": {"reg_param": [0, 0.001]}, "folds": 2, "partitions": partitions}
    )
    pipeline = scenario.pipeline.model_copy(update={"model": model})
    return scenario.model_copy(update={"pipeline": pipeline})


@pytest.fixture(scope="module")
def january(loans: Loans) -> Numbers:
    return train_numbers(loans, loans.january(), 1)


@pytest.mark.parametrize("partitions", [2, 6])
def test_numbers_do_not_depend_on_the_partitions(loans: Loans, january: Numbers, partitions: int) -> None:
    """Coefficients and scores do not depend on the partitions, to a relative 1e-9."""
    actual = train_numbers(loans, loans.january(), partitions)
    assert actual.coefficients == pytest.approx(january.coefficients, rel=1e-9, abs=0)
    assert actual.cv_roc_auc == [pytest.approx(each, rel=1e-9) for each in january.cv_roc_auc]
    assert actual.chosen == january.chosen


def test_numbers_do_not_depend_on_the_order_of_rows(loans: Loans, january: Numbers) -> None:
    """Coefficients and scores do not depend on the order of rows, to the last bit."""
    assert train_numbers(loans, loans.january().repartition(3).orderBy("dti"), 1) == january
