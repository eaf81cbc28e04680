"""The models of a version in MLflow: listed, described, and served by MLflow alone."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from harness.job.deployable import make_deployable
from harness.job.main import run
from harness.plan import SourceData
from harness.prediction_files import read_predictions
from harness.results import Result, VersionResult
from harness.scenario.model import Scenario
from harness.tracked_names import MODEL_TAG, name_explanation_metric
from tests.embedded.runner import change_scenario, make_job, make_plan

pytestmark = [
    pytest.mark.spark,
    # PySpark's own, when it takes a frame of pandas.
    pytest.mark.filterwarnings("ignore:is_datetime64tz_dtype is deprecated:DeprecationWarning"),
]

CODE = Path(__file__).with_name("custom_pipelines.py")
# The label is derived, and only the filter needs 'open'; 'day' is a date, 'limit' a word of SQL.
SCENARIO: dict[str, Any] = {
    "name": "loans",
    "table": {"name": "loans", "source": "loans.csv", "key": "id", "columns": {"rate": "decimal(9,3)"}},
    "pipeline": {
        "label": {"column": "bad", "positive": [True], "negative": [False]},
        "filter": "open = 1",
        "derive": {
            "bad": "status = 'late'",
            "ratio": "coalesce(amount, 0) * rate",
            "month": "concat('m', month(day))",
        },
        "features": ["amount", "ratio", "limit", "status code"],
        "categorical": ["month", "home", "grade"],
        "impute": "median",
        "explainer": {"samples": 50, "rows": 40, "background": 20},
    },
    "versions": [{"name": "first", "append": {}}],
    "publish": {"when": "never"},
}
NEEDED = {
    "amount": "double",
    "rate": "double",
    "day": "datetime",
    "limit": "double",
    "status code": "long",
    "home": "string",
    "grade": "long",
}
KINDS: dict[str, dict[str, Any]] = {
    "logistic_regression": {"model": {"max_iter": 5, "folds": 2, "grid": {"reg_param": [0.01]}}},
    "random_forest": {"model": {"kind": "random_forest", "folds": 2, "grid": {"num_trees": [3]}}},
    "gradient_boosted_trees": {
        "model": {"kind": "gradient_boosted_trees", "folds": 2, "grid": {"max_iter": [3]}}
    },
    "custom": {"use": f"{CODE.stem}:Good", "metrics": ["fits", "test_brier", "nothing"]},
}


def write_loans(folder: Path) -> Path:
    """Write 300 loans with missing numbers and texts."""
    chance = random.Random(5)  # noqa: S311 - not a secret
    file = folder / "loans.csv"
    rows = []
    for number in range(300):
        rate = round(chance.uniform(1, 30), 3)
        late = chance.random() < (0.7 if rate > 18 else 0.1)
        rows.append(
            {
                "id": number,
                "day": f"2024-{1 + number % 4:02d}-15",
                "amount": "" if number % 7 == 0 else round(chance.gauss(1000, 300), 2),
                "rate": rate,
                "limit": "" if number % 11 == 0 else chance.randrange(100),
                "status code": chance.randrange(3),
                "home": "" if number % 13 == 0 else chance.choice(["own", "rent", "nice & new"]),
                "grade": chance.randrange(3),
                "open": int(number % 10 > 0),
                "status": "late" if late else "paid",
            }
        )
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


@dataclass(frozen=True)
class Logged:
    """A run, and what MLflow has of it."""

    result: Result
    home: Path
    table: DataFrame
    predictions: dict[str, float]

    @property
    def version(self) -> VersionResult:
        """The only version."""
        return self.result.versions[-1]

    @property
    def models(self) -> dict[str, LoggedModel]:
        """The models that MLflow lists, by their role."""
        client = MlflowClient(f"sqlite:///{self.home}/mlflow.db")
        [experiment] = [each for each in client.search_experiments() if each.name == "harness"]
        listed = client.search_logged_models([experiment.experiment_id])
        return {each.tags["harness.role"]: each for each in listed}

    @property
    def rows(self) -> pd.DataFrame:
        """The raw rows that were tested, by their key, with no more columns than the features need."""
        rows = self.table.toPandas()
        rows.index = rows["id"].astype(str)
        return rows.loc[list(self.predictions), list(NEEDED)]


def run_kind(spark: SparkSession, home: Path, kind: str, changes: Mapping[str, Any] | None = None) -> Logged:
    """Run the scenario with a kind of model and changes, on the session of the tests."""
    text = json.dumps(SCENARIO | {"pipeline": SCENARIO["pipeline"] | KINDS[kind]})
    scenario = change_scenario(Scenario.model_validate_json(text), changes or {})
    file = write_loans(home)
    plan = make_plan(scenario, file, home)
    source = SourceData(uri=str(file), format="csv")
    code = {CODE.name: CODE.read_text()} if scenario.pipeline.use else {}
    job = make_job(spark, plan.model_copy(update={"sources": {"loans.csv": source}, "code": code}))
    result = run(job)
    assert result.failure is None, result.failure
    stored = result.versions[-1].predictions
    assert stored is not None
    found = read_predictions(job.files[stored.file])
    assert found is not None
    table = spark.read.format("delta").load(result.table_uri)
    return Logged(result, home, table, {row.key: row.score for row in found.rows})


@pytest.fixture(scope="module", params=list(KINDS))
def logged(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Logged:
    return run_kind(spark, tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def plain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    return run_kind(spark, tmp_path_factory.mktemp("plain"), "logistic_regression")


def test_mlflow_alone_predicts_the_same(logged: Logged) -> None:
    """Loaded as a Python function, the pipeline of each kind scores raw rows to the digits of the run."""
    assert len(logged.predictions) > 50
    model = mlflow.pyfunc.load_model(logged.models["pipeline"].model_uri)
    assert list(logged.predictions.values()) == model.predict(logged.rows)


def test_spark_predicts_and_explains_the_same(logged: Logged) -> None:
    """Loaded with Spark, the pipeline keeps the row's columns, and the explainer takes its output."""
    pipeline = mlflow.spark.load_model(logged.models["pipeline"].model_uri)
    scored = pipeline.transform(logged.table.where("open = 1"))
    assert [*logged.table.columns, "features", "probability", "prediction"] == scored.columns
    found = {str(row["id"]): row["prediction"] for row in scored.collect()}
    assert logged.predictions == {key: found[key] for key in logged.predictions}
    explainer = mlflow.spark.load_model(logged.models["explainer"].model_uri)
    [row] = explainer.transform(scored.limit(1)).collect()
    assert row["weights"][0].size == len(logged.version.explanations)


def test_the_pipeline_is_described(plain: Logged) -> None:
    """The signature has the raw columns that features need, without label, key and filter, and an example."""
    info = mlflow.models.get_model_info(plain.models["pipeline"].model_uri)
    signature = info.signature
    assert signature is not None
    assert NEEDED == {each.name: each.type.name for each in signature.inputs}
    assert [("prediction", "double")] == [(each.name, each.type.name) for each in signature.outputs]
    model = mlflow.pyfunc.load_model(plain.models["pipeline"].model_uri)
    assert 3 == len(model.predict(model.input_example))


def test_the_models_are_linked(plain: Logged) -> None:
    """The models name run, dataset and metrics, and the explainer the pipeline that it explains."""
    client = MlflowClient(f"sqlite:///{plain.home}/mlflow.db")
    models, version = plain.models, plain.version
    assert {"pipeline": "loans_first", "explainer": "loans_first_explainer"} == {
        role: each.name for role, each in models.items()
    }
    run_id = version.run_id or ""
    recorded = client.get_run(run_id)
    uri = f"models:/{models['pipeline'].model_id}"
    assert uri == recorded.data.tags[MODEL_TAG] == models["explainer"].tags["harness.depends_on"]
    assert {"harness.depends_on": uri} == mlflow.models.get_model_info(models["explainer"].model_uri).metadata
    assert recorded.outputs is not None
    assert {each.model_id for each in models.values()} == {
        each.model_id for each in recorded.outputs.model_outputs
    }
    for model in models.values():
        assert ("READY", run_id) == (model.status.name, model.source_run_id)
        assert {("loans", version.fingerprint)} == {
            (each.dataset_name, each.dataset_digest) for each in model.metrics or ()
        }
    of_pipeline = {each.key: each.value for each in models["pipeline"].metrics or ()}
    of_explainer = {each.key: each.value for each in models["explainer"].metrics or ()}
    assert of_pipeline["test_roc_auc"] == version.metrics["test_roc_auc"]
    assert of_explainer["lime_r2_mean"] == version.metrics["lime_r2_mean"]
    assert recorded.data.metrics.items() >= (of_pipeline | of_explainer).items()


def test_explanations_are_named_after_features(plain: Logged) -> None:
    """The metrics of explanations have the names of the slots, with other characters encoded."""
    metrics = (
        MlflowClient(f"sqlite:///{plain.home}/mlflow.db").get_run(plain.version.run_id or "").data.metrics
    )
    explanations = plain.version.explanations
    assert explanations["amount"].mean_per_sd == metrics["explanation.amount.mean_per_sd"]
    of_home = explanations["home=nice & new"].mean
    assert of_home == metrics["explanation.home-3Dnice-20-26-20new.mean"]
    assert 2 * len(explanations) == len([name for name in metrics if name.startswith("explanation.")])


def test_names_of_metrics_differ_and_are_valid() -> None:
    """Slots have different names, which every version of MLflow allows, however long and strange they are."""
    slots = ["a", "a-", "a=b", "a=-", "a/../b", "ä", "%", "a=" + "x" * 300, "a=" + "x" * 301, "a b", "A"]
    names = {name_explanation_metric(slot, "mean") for slot in slots}
    assert len(slots) == len(names)
    assert all(len(name) <= 250 and set(name) <= set(_allowed()) for name in names)


def test_columns_may_be_named_like_outputs(plain: Logged) -> None:
    """A feature named like an output is read, and only the outputs are returned."""
    table = plain.table.withColumnRenamed("limit", "prediction").withColumnRenamed("open", "features")
    pipeline = Scenario.model_validate(SCENARIO).pipeline
    renamed = [{"limit": "prediction"}.get(name, name) for name in pipeline.features]
    scenario = Scenario.model_validate(SCENARIO | {"pipeline": SCENARIO["pipeline"] | {"features": renamed}})
    client = MlflowClient(f"sqlite:///{plain.home}/mlflow.db")
    models = Path(client.download_artifacts(plain.version.run_id or "", "models"))
    featurizer, classifier = (
        PipelineModel.load(f"{models}/{name}/sparkml") for name in ("featurizer", "classifier")
    )
    deployable = make_deployable(table, scenario, {"prediction": 0.1}, featurizer, classifier)
    scored = deployable.model.transform(table.where("features = 1"))
    assert ["features", "probability", "prediction"] == scored.columns
    assert set(plain.predictions.values()) <= {row["prediction"] for row in scored.collect()}


def _allowed() -> str:
    return "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."


def test_an_example_has_no_sensitive_value(spark: SparkSession, tmp_path: Path) -> None:
    """If a column is sensitive, the example is made up; the model predicts the same as always."""
    logged = run_kind(spark, tmp_path, "logistic_regression", {"table": {"sensitive": ["home"]}})
    uri = logged.models["pipeline"].model_uri
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    example = json.loads((folder / "input_example.json").read_text())
    assert [["1970-01-01T00:00:00", 0.0, 0.0, 0.0, 0, "", 0]] == example["data"]
    [score] = mlflow.pyfunc.load_model(uri).predict(mlflow.pyfunc.load_model(uri).input_example)
    assert math.isfinite(score)
