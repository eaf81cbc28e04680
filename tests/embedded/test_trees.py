"""The model kinds ``random_forest`` and ``gradient_boosted_trees``."""

from __future__ import annotations

import math
import random
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from mlflow import MlflowClient
from pyspark.ml import PipelineModel
from pyspark.ml.classification import (
    GBTClassificationModel,
    GBTClassifier,
    RandomForestClassificationModel,
    RandomForestClassifier,
)
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, Row, SparkSession, functions as F
from sklearn.metrics import roc_auc_score

from harness.job.explain import (
    choose_background_rows,
    choose_probe_keys,
    choose_probe_rows,
    explain,
    summarize,
)
from harness.job.models.cross_validation import TrainingOutcome
from harness.pipelines import FEATURES, FOLD, KEY, LABEL, make_lime_explainer
from harness.results import Result, Verdict, VersionResult
from harness.scenario.model import Scenario
from harness.scenario.model_kinds import GradientBoostedTrees, RandomForest
from tests.embedded.runner import change_scenario, run_job
from tests.embedded.small import SMALL, write_table
from tests.embedded.tables import add_columns, make_small_samples, scenario, train

pytestmark = pytest.mark.spark

FOLDS = 2
SEED = 7
FOREST = RandomForest.model_validate(
    {
        "kind": "random_forest",
        "folds": FOLDS,
        "max_bins": 16,
        "feature_subset_strategy": "all",
        "subsampling_rate": 0.9,
        "grid": {"num_trees": [3], "max_depth": [1, 3], "min_instances_per_node": [2]},
    }
)
BOOSTED = GradientBoostedTrees.model_validate(
    {
        "kind": "gradient_boosted_trees",
        "folds": FOLDS,
        "max_bins": 16,
        "min_instances_per_node": 2,
        "subsampling_rate": 0.9,
        "grid": {"max_iter": [3], "max_depth": [1, 2], "step_size": [0.2]},
    }
)
OPTIONS: dict[str, RandomForest | GradientBoostedTrees] = {
    "random_forest": FOREST,
    "gradient_boosted_trees": BOOSTED,
}
MODELS: dict[str, type] = {
    "random_forest": RandomForestClassificationModel,
    "gradient_boosted_trees": GBTClassificationModel,
}
KINDS = pytest.mark.parametrize("kind", OPTIONS)


def make_spark_classifier(kind: str, max_depth: float) -> Any:
    """Return Spark's classifier with the options of the tests."""
    common: dict[str, Any] = {
        "maxDepth": int(max_depth),
        "maxBins": 16,
        "minInstancesPerNode": 2,
        "subsamplingRate": 0.9,
    }
    if kind == "random_forest":
        return RandomForestClassifier(numTrees=3, featureSubsetStrategy="all", seed=SEED, **common)
    return GBTClassifier(maxIter=3, stepSize=0.2, seed=SEED, **common)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Return 200 rows in two folds; the label is likely only if the first feature is near zero."""
    chance = random.Random(5)  # noqa: S311 - not a secret
    values = []
    for number in range(200):
        x = chance.uniform(-2, 2)
        label = float(chance.random() < (0.85 if abs(x) < 1 else 0.1))
        values.append(
            Row(
                **{
                    KEY: str(number),
                    LABEL: label,
                    FOLD: number % FOLDS,
                    FEATURES: Vectors.dense(x, chance.gauss(50, 20)),
                }
            )
        )
    return spark.createDataFrame(values).withColumn(FOLD, F.col(FOLD).cast("int")).coalesce(1).persist()


@pytest.fixture(scope="module")
def trained(rows: DataFrame) -> dict[str, TrainingOutcome]:
    return {kind: train(rows, options, seed=SEED) for kind, options in OPTIONS.items()}


def score_rows(model: Any, rows: DataFrame) -> list[float]:
    """Return the probability of the positive class of each row, in the order of the keys."""
    scored = model.transform(rows).select(KEY, vector_to_array(F.col("probability"))[1].alias("score"))
    return [row["score"] for row in scored.orderBy(KEY).collect()]


@KINDS
def test_a_grid_point_scores_the_mean_of_its_folds(
    rows: DataFrame, trained: dict[str, TrainingOutcome], kind: str
) -> None:
    """A grid point's score is the mean of its folds' ROC AUC, as scikit-learn computes them."""
    for point in trained[kind].grid:
        areas = []
        for fold in range(FOLDS):
            model = make_spark_classifier(kind, point.parameters["max_depth"]).fit(
                rows.where(F.col(FOLD) != fold)
            )
            unseen = rows.where(F.col(FOLD) == fold).orderBy(KEY)
            labels = [row[LABEL] for row in unseen.collect()]
            areas.append(roc_auc_score(labels, score_rows(model, unseen)))
        assert point.cv_roc_auc == pytest.approx(fmean(areas), rel=1e-12)


@KINDS
def test_the_chosen_point_is_fitted_on_all_rows(
    rows: DataFrame, trained: dict[str, TrainingOutcome], kind: str
) -> None:
    """The final model is the one that Spark fits on all rows with the parameters of the best grid point."""
    [chosen] = [point for point in trained[kind].grid if point.chosen]
    assert chosen.cv_roc_auc == max(point.cv_roc_auc or 0 for point in trained[kind].grid)
    assert chosen.cv_roc_auc is not None
    assert chosen.cv_roc_auc > 0.75
    expected = make_spark_classifier(kind, chosen.parameters["max_depth"]).fit(rows)
    assert isinstance(trained[kind].model, MODELS[kind])
    assert score_rows(expected, rows) == score_rows(trained[kind].model, rows)


@KINDS
def test_the_seed_decides_the_random_draws(
    rows: DataFrame, trained: dict[str, TrainingOutcome], kind: str
) -> None:
    """The same seed gives the same scores to the last bit; another seed gives other scores."""
    options = OPTIONS[kind]
    again = train(rows, options, seed=SEED)
    assert trained[kind].grid == again.grid
    assert score_rows(trained[kind].model, rows) == score_rows(again.model, rows)
    other = train(rows, options, seed=1 << 70)
    assert score_rows(trained[kind].model, rows) != score_rows(other.model, rows)


@KINDS
def test_a_fold_of_one_class_leaves_no_mean(spark: SparkSession, kind: str) -> None:
    """If a fold has one class, the mean score is None; the model is fitted nevertheless, with two classes."""
    values = [
        Row(**{KEY: str(at), LABEL: label, FOLD: fold, FEATURES: Vectors.dense(float(at))})
        for at, (label, fold) in enumerate([(1.0, 0), (1.0, 0), (0.0, 1), (0.0, 1)])
    ]
    frame = spark.createDataFrame(values).withColumn(FOLD, F.col(FOLD).cast("int")).coalesce(1)
    fitted = train(frame, OPTIONS[kind])
    assert (None, [True, False]) == (fitted.cv_roc_auc, [point.chosen for point in fitted.grid])
    assert [2] == [len(row["probability"]) for row in fitted.model.transform(frame).limit(1).collect()]


@KINDS
def test_a_category_is_explained(spark: SparkSession, kind: str) -> None:
    """An indicator that decides the label has the largest weight, with the right sign.

    With attributes, Spark would split an indicator by equality, but no sample of LIME is exactly 0 or 1.
    """
    table = spark.range(240).selectExpr(
        "id",
        "CAST(id % 11 AS DOUBLE) AS x",
        "element_at(array('a', 'b'), CAST(id % 2 + 1 AS INT)) AS state",
        "if(id % 2 = 1 AND id % 9 > 0, 'bad', 'good') AS y",
    )
    small = scenario(features=["x"], categorical=["state"], model=OPTIONS[kind].model_dump())
    samples = make_small_samples(add_columns(table, small), small, rows=240)
    model = train(samples.train, OPTIONS[kind]).model
    explainer = make_lime_explainer(model, choose_background_rows(samples.train, 100), samples=200)
    probe = choose_probe_rows(samples.test, choose_probe_keys(samples.test, 8), 8)
    summary = summarize(explain(explainer, probe), samples.names, [3.0, 0.5, 0.5])
    largest = max(abs(each.mean_per_sd) for each in summary.values())
    indicators = {name: each.mean_per_sd for name, each in summary.items() if name.startswith("state=")}
    assert largest == max(abs(weight) for weight in indicators.values())
    assert indicators["state=b"] > 0 or indicators["state=a"] < 0


def make_small_scenario(kind: str) -> Scenario:
    """Return the small scenario with a tree model instead of the regression."""
    values = SMALL.model_dump(exclude_unset=True)
    values["pipeline"]["model"] = OPTIONS[kind].model_dump(exclude_unset=True)
    return Scenario.model_validate(values)


@pytest.fixture(scope="module", params=list(OPTIONS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, kind: str) -> Path:
    return tmp_path_factory.mktemp(kind)


@pytest.fixture(scope="module")
def result(spark: SparkSession, home: Path, kind: str) -> Result:
    """Return the result of a run of both versions of the small table."""
    return run_job(spark, make_small_scenario(kind), write_table(home), home)


def test_the_run_passes_and_publishes_its_bundles(result: Result) -> None:
    """A run with a tree model passes, and its published copies predict and explain the same."""
    assert (None, Verdict.PASS) == (result.failure, result.verdict)
    assert all(version.bundle is not None for version in result.versions)


def test_every_version_is_measured_and_explained(result: Result, kind: str) -> None:
    """A tree model has all metrics of a built-in model, and each feature has an explanation."""
    for version in result.versions:
        assert (version.metrics["cv_roc_auc"] or 0) > 0.7
        assert (version.metrics["test_roc_auc"] or 0) > 0.7
        assert version.metrics["lime_r2_mean"] is not None
        assert ["heat", "load"] == list(version.explanations)
        assert version.explanations["heat"].mean > 0
        assert (None, {}) == (version.intercept, version.coefficients)
        assert [list(type(OPTIONS[kind].grid).model_fields)] * 2 == [
            list(point.parameters) for point in version.grid
        ]


def test_the_copied_classifier_has_its_class(spark: SparkSession, result: Result, kind: str) -> None:
    """A bundle's classifier is loaded as the class of its model kind."""
    del spark
    folder = f"file://{result.versions[-1].bundle}/classifier/sparkml"
    [model] = PipelineModel.load(folder).stages
    assert isinstance(model, MODELS[kind])


def test_the_grid_and_the_seed_are_tracked(result: Result, home: Path, kind: str) -> None:
    """MLflow has a metric for each grid point, by its parameters, and the seed of the model."""
    data = MlflowClient(f"sqlite:///{home}/mlflow.db").get_run(result.versions[0].run_id or "").data
    expected = {
        "/".join(["grid", *(f"{name}_{value:g}" for name, value in point.items()), "cv_roc_auc"])
        for point in OPTIONS[kind].grid.points
    }
    assert expected == {name for name in data.metrics if name.startswith("grid/")}
    assert str(make_small_scenario(kind).seed) == data.params["model.seed"]


def list_measurements(version: VersionResult) -> dict[str, Any]:
    """Return everything that was measured of a version's model."""
    keep = {"metrics", "grid", "explanations", "roc", "calibration"}
    return version.model_dump(include=keep)


def test_the_same_scenario_gives_the_same_numbers(
    spark: SparkSession, tmp_path: Path, result: Result, kind: str
) -> None:
    """A second run has the same metrics, grid, curves and explanations, to the last bit."""
    unpublished = change_scenario(make_small_scenario(kind), {"publish": {"when": "never"}})
    again = run_job(spark, unpublished, write_table(tmp_path), tmp_path)
    assert [list_measurements(each) for each in result.versions] == [
        list_measurements(each) for each in again.versions
    ]
    assert all(math.isfinite(each.mean) for each in again.versions[0].explanations.values())
