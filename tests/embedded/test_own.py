"""Pipelines in Python that a scenario brings along: run like the built-in one, and told of if they break."""

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
from harness.job.model_pipeline import Context, ModelPipeline
from harness.plan import Plan
from harness.results import Result, Verdict
from tests.embedded.runner import changed, make_job, make_plan
from tests.embedded.small import ONE_VERSION, write_table
from tests.embedded.tables import problems

pytestmark = pytest.mark.spark

MODULE = "own_pipelines"
CODE = (Path(__file__).parent / f"{MODULE}.py").read_text()
METRICS = ["fits", "test_brier", "nothing"]


def own_plan(home: Path, name: str, code: str = CODE, **options: Any) -> Plan:
    """The small scenario's last version with one of the pipelines of the test."""
    pipeline = {"use": f"{MODULE}:{name}", "options": options, "metrics": METRICS}
    scenario = changed(ONE_VERSION, {"pipeline": pipeline})
    plan = make_plan(scenario, write_table(home), home)
    return plan.model_copy(update={"code": {f"{MODULE}.py": code}})


def run_own(spark: SparkSession, home: Path, name: str, **options: Any) -> Result:
    """A run of it."""
    return run(make_job(spark, own_plan(home, name, **options)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that went well."""
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def good(spark: SparkSession, home: Path) -> Result:
    """A run that went well, with Python of the author's own on the executors."""
    return run_own(spark, home, "Good", penalty=0.5)


@pytest.fixture(scope="module")
def client(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home}/mlflow.db")


def test_it_is_judged_and_published(good: Result) -> None:
    """Its copy was loaded back, and predicts and explains the same."""
    assert (None, Verdict.PASS) == (good.failure, good.verdict)
    assert good.versions[0].bundle is not None


def test_what_it_measures_is_beside_what_is_measured_of_all(good: Result) -> None:
    """Metrics of its own come last; what is no number could not be measured."""
    metrics = good.versions[0].metrics
    assert METRICS == list(metrics)[-3:]
    assert (1.0, None) == (metrics["fits"], metrics["nothing"])
    assert 0 < (metrics["test_brier"] or 0) < 0.25
    assert 0.7 < (metrics["test_roc_auc"] or 0) <= 1
    assert 0.5 < (metrics["explanation_r2_mean"] or 0) <= 1
    assert {"cv_roc_auc", "lime_r2_mean"}.isdisjoint(metrics)


def test_its_features_are_explained(good: Result) -> None:
    """One weight for each slot; without coefficients, where the model says none."""
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
    "BreaksWhenMade": "broke while it was made: RuntimeError: no such tree (own_pipelines.py, line {line}).",
    "NOTHING": "is no pipeline: it has no 'prepare'.",
    "Nowhere": "broke while it was made: AttributeError: module 'own_pipelines' has no attribute 'Nowhere'.",
}
"""What is no pipeline, and what is told of it before anything is built."""
BROKEN = {
    "NoStages": ("prepare", "gave list from 'prepare', where Prepared is due."),
    "OwnStage": (
        "prepare",
        "gave Untouched from 'prepare': only Spark's and SynapseML's own classes can be loaded again.",
    ),
    "OtherSlot": (
        "prepare",
        "prepared a slot 'y', which is of no feature: call it FEATURE, or FEATURE=... where it has several.",
    ),
    "BreaksInFit": ("fit", "broke while it ran 'fit': KeyError: 'leaves' (own_pipelines.py, line {line})."),
    "NoModel": ("fit", "gave str from 'fit', which is no Spark transformer that can be saved."),
    "OtherMetric": (
        "evaluate",
        "gave the metric 'test_briar' from 'evaluate', which 'pipeline.metrics' does not name.",
    ),
}
"""The step in which something is wrong, and what is told of it."""


def _told(message: str, error: str) -> str:
    """The message with the line at which the pipeline raises the error."""
    lines = [number for number, line in enumerate(CODE.splitlines(), 1) if f"raise {error}" in line]
    return message.format(line=lines[0])


def open_own(spark: SparkSession, home: Path, name: str, code: str = CODE) -> ModelPipeline:
    """One of the pipelines of the test, as the job opens it."""
    return open_pipeline(spark, own_plan(home, name, code), home)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_pipeline_is_a_mistake_of_the_scenario(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    """Told at 'use'."""
    with pytest.raises(ScenarioError) as caught:
        open_own(spark, tmp_path, name)
    told = f"{MODULE}:{name} {_told(WRONG[name], 'RuntimeError')}"
    assert [(("pipeline", "use"), told)] == problems(caught.value)


def test_what_it_imports_must_be_there(spark: SparkSession, tmp_path: Path) -> None:
    """A package that the harness's own environment lacks is named."""
    with pytest.raises(ScenarioError, match="ModuleNotFoundError: No module named 'no_such_package'"):
        open_own(spark, tmp_path, "Good", code=f"{CODE}\nimport no_such_package\n")


def test_each_run_has_its_own_code(spark: SparkSession, tmp_path: Path) -> None:
    """A process that runs two plans, one after the other, uses the files of each."""
    (tmp_path / "two").mkdir()
    with_two = CODE.replace("penalty: float = 0.1", "penalty: float = 0.2")
    opened = [
        open_own(spark, tmp_path, "Good"),
        open_own(spark, tmp_path / "two", "Good", with_two),
    ]
    assert [0.1, 0.2] == [getattr(each, "made").penalty for each in opened]  # noqa: B009 - not the protocol's


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_in_a_step_is_told(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """One sentence with the step and, where the author's own code broke, the file and the line."""
    opened = open_own(spark, tmp_path, name)
    step, message = BROKEN[name]
    rows = spark.range(4).selectExpr("CAST(id AS DOUBLE) AS heat_column")
    context = Context({"heat": "heat_column"}, {}, "mean", seed=1, folds=2, samples=50)
    with pytest.raises(JobError) as caught:
        getattr(opened, step)(rows, context)
    assert f"{MODULE}:{name} {_told(message, 'KeyError')}" == caught.value.message


def test_a_missing_weight_is_told(spark: SparkSession, tmp_path: Path) -> None:
    """Weights are told apart by the names of the slots: there must be as many; the job ends with code 5."""
    result = run_own(spark, tmp_path, "OneWeightFewer")
    assert result.failure is not None
    assert (ExitCode.JOB_BROKE, "The explainer gives 1 weights for 2 named slots.") == (
        result.exit_code,
        result.failure.message,
    )
