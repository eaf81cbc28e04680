"""Custom pipelines: they run like the built-in ones, and their errors are reported."""

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
from tests.embedded.runner import changed, make_job, make_plan
from tests.embedded.small import ONE_VERSION, write_table
from tests.embedded.tables import problems

pytestmark = pytest.mark.spark

MODULE = "custom_pipelines"
CODE = (Path(__file__).parent / f"{MODULE}.py").read_text()
METRICS = ["fits", "test_brier", "nothing"]


def custom_plan(home: Path, name: str, code: str = CODE, **options: Any) -> Plan:
    """The small scenario's last version with one of the pipelines of the test."""
    pipeline = {"use": f"{MODULE}:{name}", "options": options, "metrics": METRICS}
    scenario = changed(ONE_VERSION, {"pipeline": pipeline})
    plan = make_plan(scenario, write_table(home), home)
    return plan.model_copy(update={"code": {f"{MODULE}.py": code}})


def run_custom(spark: SparkSession, home: Path, name: str, **options: Any) -> Result:
    """A run of it."""
    return run(make_job(spark, custom_plan(home, name, **options)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that went well."""
    return tmp_path_factory.mktemp("custom")


@pytest.fixture(scope="module")
def good(spark: SparkSession, home: Path) -> Result:
    """A run that went well, with the author's Python on the executors."""
    return run_custom(spark, home, "Good", penalty=0.5)


@pytest.fixture(scope="module")
def client(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home}/mlflow.db")


def test_it_is_judged_and_published(good: Result) -> None:
    """Its copy was loaded back, and predicts and explains the same."""
    assert (None, Verdict.PASS) == (good.failure, good.verdict)
    assert good.versions[0].bundle is not None


def test_what_it_measures_is_beside_what_is_measured_of_all(good: Result) -> None:
    """Custom metrics come last; a value that is not a finite number counts as not measured."""
    metrics = good.versions[0].metrics
    assert METRICS == list(metrics)[-3:]
    assert (1.0, None) == (metrics["fits"], metrics["nothing"])
    assert 0 < (metrics["test_brier"] or 0) < 0.25
    assert 0.7 < (metrics["test_roc_auc"] or 0) <= 1
    assert 0.5 < (metrics["explanation_r2_mean"] or 0) <= 1
    assert {"cv_roc_auc", "lime_r2_mean"}.isdisjoint(metrics)


def test_its_features_are_explained(good: Result) -> None:
    """Each slot has one weight; a model without coefficients has none in the result."""
    version = good.versions[0]
    assert (["heat", "load"], {}) == (list(version.explanations), version.coefficients)


def test_the_tracking_knows_the_code(good: Result, client: MlflowClient) -> None:
    """Both runs have the code's digest, and the parent has the files themselves."""
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


def test_the_bundle_knows_the_code(good: Result) -> None:
    """Its manifest says which code it was, and each model what it needs."""
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
    "BreaksWhenMade": (
        "failed while it was created: RuntimeError: no such tree (custom_pipelines.py, line {line})."
    ),
    "NOTHING": "is not a pipeline: it has no method 'prepare'.",
    "Nowhere": (
        "failed while it was created: AttributeError: module 'custom_pipelines' has no attribute 'Nowhere'."
    ),
}
"""Objects that are not pipelines, and the message before anything is built."""
BROKEN = {
    "NoStages": ("prepare", "returned list from 'prepare'; it must return Prepared."),
    "OwnStage": (
        "prepare",
        (
            "returned Untouched from 'prepare': "
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
"""The step in which something is wrong, and the message."""


def _with_line(message: str, error: str) -> str:
    """The message with the line at which the pipeline raises the error."""
    lines = [number for number, line in enumerate(CODE.splitlines(), 1) if f"raise {error}" in line]
    return message.format(line=lines[0])


def open_custom(spark: SparkSession, home: Path, name: str, code: str = CODE) -> ModelPipeline:
    """One of the pipelines of the test, as the job opens it."""
    return open_pipeline(spark, custom_plan(home, name, code), home)


@pytest.mark.parametrize("name", WRONG)
def test_an_object_that_is_not_a_pipeline_is_a_mistake_of_the_scenario(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    """The mistake is reported at the key 'use'."""
    with pytest.raises(ScenarioError) as caught:
        open_custom(spark, tmp_path, name)
    message = f"{MODULE}:{name} {_with_line(WRONG[name], 'RuntimeError')}"
    assert [(("pipeline", "use"), message)] == problems(caught.value)


def test_what_it_imports_must_be_there(spark: SparkSession, tmp_path: Path) -> None:
    """A package that the harness's own environment lacks is named."""
    with pytest.raises(ScenarioError, match="ModuleNotFoundError: No module named 'no_such_package'"):
        open_custom(spark, tmp_path, "Good", code=f"{CODE}\nimport no_such_package\n")


def test_each_run_has_its_own_code(spark: SparkSession, tmp_path: Path) -> None:
    """A process that runs two plans, one after the other, uses the files of each."""
    (tmp_path / "two").mkdir()
    with_two = CODE.replace("penalty: float = 0.1", "penalty: float = 0.2")
    opened = [
        open_custom(spark, tmp_path, "Good"),
        open_custom(spark, tmp_path / "two", "Good", with_two),
    ]
    assert [0.1, 0.2] == [getattr(each, "custom").penalty for each in opened]  # noqa: B009 - not the protocol's


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_in_a_step_is_reported(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """The message is one sentence with the step, and with the file and line if the author's code failed."""
    opened = open_custom(spark, tmp_path, name)
    step, message = BROKEN[name]
    rows = spark.range(4).selectExpr("CAST(id AS DOUBLE) AS heat_column")
    context = Context({"heat": "heat_column"}, {}, "mean", seed=1, folds=2, samples=50)
    with pytest.raises(JobError) as caught:
        getattr(opened, step)(rows, context)
    assert f"{MODULE}:{name} {_with_line(message, 'KeyError')}" == caught.value.message


def test_a_missing_weight_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """An explainer must return one weight per named slot; otherwise the job ends with exit code 5."""
    result = run_custom(spark, tmp_path, "OneWeightFewer")
    assert result.failure is not None
    assert (ExitCode.JOB_BROKE, "The explainer returned 1 weights for 2 slots.") == (
        result.exit_code,
        result.failure.message,
    )
