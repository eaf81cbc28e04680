"""The champion, scored at each version beside the model that is trained there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import SparkSession
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harness.errors import PrerequisiteError
from harness.files import write_text
from harness.job.champion_model import SparkScoringModel
from harness.job.main import run
from harness.job.prepare import hash_to_unit_interval
from harness.pipelines import KEY
from harness.results import ChampionResult, Result, Verdict, VersionResult
from harness.scenario.model import Scenario
from tests.embedded.runner import change_scenario, make_job, make_plan
from tests.embedded.small import SMALL, make_rows, write_table

pytestmark = pytest.mark.spark

FEATURES = {"heat": DataType.double, "load": DataType.double}
UNPUBLISHED: Mapping[str, Any] = {"publish": {"when": "never"}}
CHAMPION = "models:/readings@champion"


def train_elsewhere(model: Any = None) -> Any:
    """Return a model of scikit-learn on the rows of the first version."""
    frame = pd.DataFrame(make_rows())
    known = frame[frame.batch == 1]
    fitted = make_pipeline(StandardScaler(), LogisticRegression() if model is None else model)
    return fitted.fit(known[list(FEATURES)], known.outcome if model is None else known.outcome == "bad")


def register(home: Path, model: Any, inputs: Mapping[str, DataType] = FEATURES) -> None:
    """Register a model that wasn't trained by the harness, as ``CHAMPION``."""
    uri = f"sqlite:///{home}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    experiment = client.create_experiment("elsewhere", artifact_location=str(home / "elsewhere"))
    with mlflow.start_run(experiment_id=experiment):
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=ModelSignature(Schema([ColSpec(kind, name) for name, kind in inputs.items()])),
            registered_model_name="readings",
            pip_requirements=["scikit-learn"],
        )
    client.set_registered_model_alias("readings", "champion", "1")


def run_champion(
    spark: SparkSession, home: Path, changes: Mapping[str, Any], base: Scenario = SMALL, run_id: str = "run"
) -> Result:
    """Run a scenario with changes, and return its result."""
    scenario = change_scenario(base, {"champion": CHAMPION, **UNPUBLISHED, **changes})
    plan = make_plan(scenario, write_table(home / "data"), home, run_id)
    return run(make_job(spark, plan))


def of_champion(version: VersionResult) -> ChampionResult:
    assert version.champion is not None
    return version.champion


def expect_second(**metrics: Any) -> dict[str, Any]:
    """Return changes that expect something of the second version."""
    first, second = SMALL.model_dump(exclude_none=True)["versions"]
    return {"versions": [first, {**second, "expect": {"metrics": metrics}}]}


def test_a_model_from_elsewhere_is_scored_on_added_rows(spark: SparkSession, tmp_path: Path) -> None:
    """A model whose training rows are unknown is scored on added rows only, as scikit-learn does."""
    model = train_elsewhere()
    register(tmp_path, model)
    result = run_champion(spark, tmp_path, {})
    assert result.failure is None, result.failure
    first, second = result.versions
    assert ("none", "added") == (of_champion(first).rows, of_champion(second).rows)
    assert "models:/readings/1" == of_champion(second).model
    assert "it isn't known which rows the champion was trained on" in of_champion(second).reason
    assert not any(name.startswith("champion_test_") for name in second.metrics)
    rows = pd.DataFrame([row for row in make_rows() if row["batch"] == 2])
    keys = spark.createDataFrame([(str(each),) for each in rows.id], "key string")
    chances = keys.select(
        "key", hash_to_unit_interval(keys.key, "split", SMALL.seed).alias("chance")
    ).collect()
    held_out = {row.key for row in chances if row.chance < SMALL.pipeline.split.test}
    tested = rows[rows.id.astype(str).isin(held_out)]
    bad = list(model.classes_).index("bad")
    expected = roc_auc_score(tested.outcome == "bad", model.predict_proba(tested[list(FEATURES)])[:, bad])
    assert second.metrics["champion_added_test_roc_auc"] == pytest.approx(expected, rel=1e-12)
    assert second.metrics["champion_added_test_rows"] == len(tested)
    difference = of_champion(second).differences["added_test_roc_auc"]
    assert difference.value == pytest.approx(
        (second.metrics["added_test_roc_auc"] or 0) - expected, abs=1e-12
    )
    assert difference.standard_error is not None
    logged = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").get_run(second.run_id or "").data.metrics
    assert logged["champion_added_test_roc_auc"] == second.metrics["champion_added_test_roc_auc"]


def test_a_bundle_of_the_same_split_is_scored_on_all_held_out_rows(
    spark: SparkSession, tmp_path: Path
) -> None:
    """The held-out rows of a champion that a scenario trained are those of today: it has the same scores."""
    earlier = run_champion(spark, tmp_path, {"champion": None, "publish": {"when": "pass"}}, run_id="earlier")
    bundle = earlier.versions[-1].bundle
    assert bundle is not None, earlier
    changes = expect_second(
        test_roc_auc={"min": 0.5, "champion": {"min": -0.01}},
        test_f1={"champion": {"min": -0.01}},
        champion_test_roc_auc={"min": 0.5},
    )
    result = run_champion(spark, tmp_path, {**changes, "champion": bundle})
    assert Verdict.PASS is result.verdict, result.versions[-1].bounds
    version = result.versions[-1]
    assert ("all", "") == (of_champion(version).rows, of_champion(version).reason)
    for name in ("test_roc_auc", "test_pr_auc", "test_log_loss", "added_test_roc_auc"):
        assert version.metrics[f"champion_{name}"] == pytest.approx(version.metrics[name], rel=1e-9)
    assert version.roc == of_champion(version).roc
    assert [0.0, 0.0] == [
        of_champion(version).differences[each].standard_error for each in ("test_roc_auc", "test_f1")
    ]
    first = result.versions[0]
    assert first.metrics["champion_test_roc_auc"] is not None


def test_a_model_that_a_run_has_registered_is_the_next_champion(spark: SparkSession, tmp_path: Path) -> None:
    """The model to which a passed run has moved an alias is scored on all held-out rows of the next run."""
    registers = {"publish": {"when": "pass", "register": "readings", "alias": "champion"}}
    first = run_champion(spark, tmp_path, {"champion": None, **registers}, run_id="earlier")
    assert Verdict.PASS is first.verdict, first.failure
    result = run_champion(spark, tmp_path, expect_second(test_roc_auc={"champion": {"min": -0.01}}))
    assert Verdict.PASS is result.verdict, (result.failure, result.versions[-1].bounds)
    version = result.versions[-1]
    assert ("all", "models:/readings/1") == (of_champion(version).rows, of_champion(version).model)
    assert version.metrics["champion_test_roc_auc"] == pytest.approx(
        version.metrics["test_roc_auc"], rel=1e-9
    )


def test_a_difference_within_its_error_is_not_proven(spark: SparkSession, tmp_path: Path) -> None:
    """A bound on the difference is not proven if the standard error is larger than the room to the limit."""
    register(tmp_path, train_elsewhere())
    rows = {"on": "added", "champion": {"min": -0.001}}
    result = run_champion(
        spark, tmp_path, {**expect_second(test_roc_auc=[rows]), "proof": {"min_class_rows": 1}}
    )
    [bound] = result.versions[-1].bounds
    assert Verdict.NOT_PROVEN is bound.verdict
    assert "the standard error of the difference is" in bound.reason
    assert ">= -0.001 compared with the champion" == bound.text


def test_a_version_that_breaks_the_input_fails(spark: SparkSession, tmp_path: Path) -> None:
    """Each column that doesn't fit the model's signature is named, and the run fails."""
    inputs = {"heat": DataType.integer, "pressure": DataType.double, "outcome": DataType.string}
    register(tmp_path, train_elsewhere(), inputs)
    result = run_champion(spark, tmp_path, expect_second(champion_added_test_roc_auc={"min": 0.1}))
    assert Verdict.FAIL is result.verdict
    for version in result.versions:
        [found] = [each.found for each in version.bounds if each.metric == "champion_input"]
        assert "column heat is double, the model expects int; column pressure is missing" == found
    [bound] = [each for each in result.versions[-1].bounds if each.metric != "champion_input"]
    assert "breaks the champion's input: column heat is double" in bound.reason


def test_a_champion_is_judged_without_training(spark: SparkSession, tmp_path: Path) -> None:
    """With 'train: false', only the champion is scored: no model is trained, and its bounds are judged."""
    register(tmp_path, train_elsewhere())
    first, second = SMALL.model_dump(exclude_none=True)["versions"]
    untrained = {
        "versions": [
            {**first, "train": False, "expect": {}},
            {
                **second,
                "train": False,
                "expect": {"metrics": {"champion_test_roc_auc": {"on": "added", "min": 0.5}}},
            },
        ],
        "proof": {"min_class_rows": 1},
    }
    result = run_champion(spark, tmp_path, untrained)
    assert Verdict.PASS is result.verdict, (result.failure, result.versions[-1].bounds)
    assert ["built", "built"] == [each.status for each in result.versions]
    assert "champion_added_test_roc_auc" in result.versions[-1].metrics
    assert result.versions[0].champion is None


def test_outputs_without_their_rows_are_one_message(spark: SparkSession) -> None:
    """A pipeline that drops the key can't be scored row by row; the message says why."""
    model = SparkScoringModel((SQLTransformer(statement="SELECT 0.5D AS prediction FROM __THIS__"),))
    with pytest.raises(PrerequisiteError, match="returns its outputs without the rows"):
        model.score(spark.createDataFrame([("1", 2.0)], f"{KEY} string, prediction double"), "score")


def _name_nothing(home: Path) -> str:
    register(home, train_elsewhere())
    return "models:/readings@retired"


def _name_no_bundle(home: Path) -> str:
    (home / "models" / "readings" / "v0-0123456789abcdef0123456789abcdef").mkdir(parents=True)
    return str(home / "models" / "readings" / "v0-0123456789abcdef0123456789abcdef")


def _name_a_damaged_bundle(home: Path) -> str:
    bundle = _name_no_bundle(home)
    write_text(Path(bundle) / "manifest.json", "{")
    return bundle


def _name_a_regression(home: Path) -> str:
    register(home, train_elsewhere(LinearRegression()))
    return CHAMPION


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (_name_nothing, "The champion models:/readings@retired can't be read from MLflow"),
        (_name_no_bundle, "is not a bundle: it has no manifest.json"),
        (_name_a_damaged_bundle, "can't be used: its manifest.json is damaged"),
        (_name_a_regression, "for a row, which is not a probability"),
    ],
)
def test_a_champion_that_can_not_be_scored_is_one_message(
    spark: SparkSession, tmp_path: Path, name: Callable[[Path], str], message: str
) -> None:
    """A missing model, a folder that isn't a bundle, a damaged one and other outputs are named."""
    result = run_champion(spark, tmp_path, {"champion": name(tmp_path)})
    assert result.failure is not None
    assert message in result.failure.message
