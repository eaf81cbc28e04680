"""Custom pipelines, run like the built-in one, and the messages if they fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness.errors import ExitCode, JobError, ScenarioError
from harness.job.custom_pipeline import open_pipeline
from harness.job.main import run
from harness.pipelines import Context, ModelPipeline
from harness.plan import Plan
from harness.results import Result, Verdict
from tests.embedded.runner import change_scenario, make_job, make_plan
from tests.embedded.small import ONE_VERSION, write_table
from tests.embedded.tables import list_problems

pytestmark = pytest.mark.spark

MODULE = "custom_pipelines"
CODE = (Path(__file__).parent / f"{MODULE}.py").read_text()
METRICS = ["fits", "test_brier", "nothing"]


def custom_plan(home: Path, name: str, code: str = CODE, **options: Any) -> Plan:
    """Return a plan of the small scenario's last version with one of the test pipelines."""
    pipeline = {"use": f"{MODULE}:{name}", "options": options, "metrics": METRICS}
    scenario = change_scenario(ONE_VERSION, {"pipeline": pipeline})
    plan = make_plan(scenario, write_table(home), home)
    return plan.model_copy(update={"code": {f"{MODULE}.py": code}})


def run_custom(spark: SparkSession, home: Path, name: str, **options: Any) -> Result:
    """Run the small scenario with a test pipeline."""
    return run(make_job(spark, custom_plan(home, name, **options)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a successful run."""
    return tmp_path_factory.mktemp("custom")


@pytest.fixture(scope="module")
def good(spark: SparkSession, home: Path) -> Result:
    """Return a successful run with the author's own Python code on executors."""
    return run_custom(spark, home, "Good", penalty=0.5)


@pytest.fixture(scope="module")
def client(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home}/mlflow.db")


def test_a_custom_pipeline_is_judged_and_published(good: Result) -> None:
    """A custom pipeline is judged, and its published copy predicts and explains the same."""
    assert (None, Verdict.PASS) == (good.failure, good.verdict)
    assert good.versions[0].bundle is not None


def test_custom_metrics_follow_the_common_ones(good: Result) -> None:
    """The pipeline's own metrics follow those of every model; one that is not finite is None."""
    metrics = good.versions[0].metrics
    assert METRICS == list(metrics)[-3:]
    assert (1.0, None) == (metrics["fits"], metrics["nothing"])
    assert 0 < (metrics["test_brier"] or 0) < 0.25
    assert 0.7 < (metrics["test_roc_auc"] or 0) <= 1
    assert 0.5 < (metrics["explanation_r2_mean"] or 0) <= 1
    assert {"cv_roc_auc", "lime_r2_mean"}.isdisjoint(metrics)


def test_a_custom_pipeline_is_explained(good: Result) -> None:
    """Each slot of a custom pipeline has one weight, and a model that is not linear has no coefficients."""
    version = good.versions[0]
    assert (["heat", "load"], {}) == (list(version.explanations), version.coefficients)


def test_mlflow_has_the_code(good: Result, client: MlflowClient) -> None:
    """Both MLflow runs have the code's digest, and the parent has the files."""
    version = client.get_run(good.versions[0].run_id or "")
    parent = client.get_run(good.mlflow_run_id or "")
    digests = {each.data.tags["harness.pipeline_sha256"] for each in (version, parent)}
    assert {64} == {len(each) for each in digests}
    assert 1 == len(digests)
    assert f"{MODULE}:Good" == version.data.params["use"]
    assert "0.5" == version.data.params["with.penalty"]
    assert [f"pipeline/{MODULE}.py"] == [
        each.path for each in client.list_artifacts(parent.info.run_id, "pipeline")
    ]


def test_the_manifest_has_the_code(good: Result) -> None:
    """The manifest has the code's digest, and each model its requirements."""
    bundle = Path(good.versions[0].bundle or "")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert f"{MODULE}:Good" == manifest["pipeline"]["use"]
    assert 64 == len(manifest["pipeline"]["sha256"])
    needs = {
        model: (bundle / model / "requirements.txt").read_text()
        for model in ("featurizer", "classifier", "explainer")
    }
    assert ["explainer"] == [model for model, lines in needs.items() if "synapseml==" in lines]


WRONG = {
    "BreaksWhenCreated": (
        "failed while it was created: RuntimeError: no such tree (custom_pipelines.py, line {line})."
    ),
    "NOTHING": "is not a pipeline: it has no method 'prepare'.",
    "Nowhere": (
        "failed while it was created: AttributeError: module 'custom_pipelines' has no attribute 'Nowhere'."
    ),
}
"""Name of an object that is not a pipeline to the message about it."""
BROKEN = {
    "NoStages": ("prepare", "returned list from 'prepare'; it must return PreparedFeatures."),
    "OwnStage": (
        "prepare",
        (
            "returned Unchanged from 'prepare': "
            "only classes of Spark and SynapseML can be loaded from a saved model."
        ),
    ),
    "OtherSlot": (
        "prepare",
        (
            "named a slot 'y' in 'prepare': "
            "use the name of a feature, or FEATURE=... if a feature has several slots."
        ),
    ),
    "BreaksInFit": (
        "fit",
        "failed in 'fit': KeyError: 'leaves' (custom_pipelines.py, line {line}).",
    ),
    "NoModel": ("fit", "returned str from 'fit', which is not a Spark transformer that can be saved."),
    "OtherMetric": (
        "evaluate",
        "returned the metric 'test_briar' from 'evaluate'; add it to 'pipeline.metrics'.",
    ),
}
"""Name of an invalid pipeline to the step that fails and the message about it."""


def _with_line(message: str, error: str) -> str:
    """Return the message with the line at which the pipeline raises the error."""
    lines = [number for number, line in enumerate(CODE.splitlines(), 1) if f"raise {error}" in line]
    return message.format(line=lines[0])


def open_custom(spark: SparkSession, home: Path, name: str, code: str = CODE) -> ModelPipeline:
    """Open a test pipeline as the job does."""
    return open_pipeline(spark, custom_plan(home, name, code), home)


@pytest.mark.parametrize("name", WRONG)
def test_an_object_that_is_not_a_pipeline_is_reported(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """A 'use' that does not name a pipeline is reported at its location in the scenario."""
    with pytest.raises(ScenarioError) as caught:
        open_custom(spark, tmp_path, name)
    message = f"{MODULE}:{name} {_with_line(WRONG[name], 'RuntimeError')}"
    assert [(("pipeline", "use"), message)] == list_problems(caught.value)


def test_a_missing_package_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A package that the pipeline imports and that is not installed is reported."""
    with pytest.raises(ScenarioError, match="ModuleNotFoundError: No module named 'no_such_package'"):
        open_custom(spark, tmp_path, "Good", code=f"{CODE}\nimport no_such_package\n")


def test_each_run_has_its_own_code(spark: SparkSession, tmp_path: Path) -> None:
    """Two plans in one process each use their own code files."""
    (tmp_path / "two").mkdir()
    with_two = CODE.replace("penalty: float = 0.1", "penalty: float = 0.2")
    opened = [
        open_custom(spark, tmp_path, "Good"),
        open_custom(spark, tmp_path / "two", "Good", with_two),
    ]
    assert [0.1, 0.2] == [getattr(each, "custom").penalty for each in opened]  # noqa: B009 - not the protocol's


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_in_a_step_is_reported(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """The message about a failing step has the step, and the file and line of the author's code."""
    opened = open_custom(spark, tmp_path, name)
    step, message = BROKEN[name]
    rows = spark.range(4).selectExpr("CAST(id AS DOUBLE) AS heat_column")
    context = Context({"heat": "heat_column"}, {}, "mean", seed=1, folds=2, samples=50)
    with pytest.raises(JobError) as caught:
        getattr(opened, step)(rows, context)
    assert f"{MODULE}:{name} {_with_line(message, 'KeyError')}" == caught.value.message


def test_a_missing_weight_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A wrong number of weights is reported, and the job ends with exit code 5."""
    result = run_custom(spark, tmp_path, "OneWeightFewer")
    assert result.failure is not None
    assert (ExitCode.JOB_FAILED, "The explainer returned 1 weights for 2 slots.") == (
        result.exit_code,
        result.failure.message,
    )
