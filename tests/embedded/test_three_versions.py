"""The main scenario, run once as a user would, and all its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, Run

from tests.embedded.runner import ROOT

pytestmark = pytest.mark.spark

VERSIONS = {"january": (0, 3395), "february": (1, 6383), "march": (2, 10000)}
MODELS = {"featurizer", "classifier", "explainer"}


@dataclass(frozen=True)
class Finished:
    """A finished run of the command."""

    home: Path
    process: subprocess.CompletedProcess[str]

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.home / "runs" / "latest"

    @property
    def result(self) -> dict[str, Any]:
        """The content of result.json."""
        content: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return content


def find_dataset(run: Run) -> Dataset:
    """Return the dataset of an MLflow run."""
    assert run.inputs is not None
    [used] = run.inputs.dataset_inputs
    return used.dataset


def run_harness(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a home folder."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=ROOT,
        env={**os.environ, "HARNESS_HOME": str(home), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    home = tmp_path_factory.mktemp("three versions") / ".harness"
    return Finished(home, run_harness(home, "scenario", "three_versions", "--target", "embedded"))


@pytest.fixture(scope="module")
def children(finished: Finished) -> list[Run]:
    client = MlflowClient(f"sqlite:///{finished.home}/mlflow.db")
    return [client.get_run(version["run_id"]) for version in finished.result["versions"]]


def test_three_versions_passes(finished: Finished) -> None:
    """The scenario three_versions passes on the real loans, with exit code 0."""
    assert (0, "pass") == (finished.process.returncode, finished.result["verdict"]), finished.process.stdout


def test_the_terminal_names_the_verdict_and_the_report(finished: Finished) -> None:
    """The last lines on the terminal show the verdict and the path of the report."""
    assert "PASS" in finished.process.stdout
    assert str(finished.folder.resolve() / "report.html") in finished.process.stdout.replace("\n", "")


def test_versions_are_built_from_zero(finished: Finished) -> None:
    """January is version 0, and every version has its rows."""
    built = {each["name"]: (each["version"], each["rows"]) for each in finished.result["versions"]}
    assert built == VERSIONS


def test_the_run_folder_is_complete(finished: Finished) -> None:
    """A run leaves its plan, its result, its reports and its log, and what the next run needs of it."""
    reports = {"report.html", "report.md", "junit.xml"}
    kept = {"plan.json", "result.json", "job.log", "predictions", "work.json", "drawings.json", "steps.jsonl"}
    assert reports | kept == {path.name for path in finished.folder.iterdir()}


def test_the_result_has_the_documented_keys(finished: Finished) -> None:
    """The file result.json has at least the documented keys."""
    result = finished.result
    assert {"scenario", "target", "verdict", "started", "duration_s", "timings", "versions"} <= result.keys()
    of_version = {
        "name",
        "version",
        "rows",
        "fingerprint",
        "run_id",
        "metrics",
        "explanation",
        "bundle",
        "bounds",
    }
    assert all(of_version <= version.keys() for version in result["versions"])
    of_bound = {"metric", "measured", "bound", "verdict"}
    assert all(of_bound <= bound.keys() for version in result["versions"] for bound in version["bounds"])


def test_fingerprints_differ_between_versions(finished: Finished) -> None:
    """Every version has a different fingerprint."""
    assert len({version["fingerprint"] for version in finished.result["versions"]}) == len(VERSIONS)


def test_two_hundred_rows_are_explained(finished: Finished) -> None:
    """At every version, the number of explained rows is that of the scenario."""
    assert {200} == {version["metrics"]["explained_rows"] for version in finished.result["versions"]}


def test_every_step_is_timed(finished: Finished) -> None:
    """The result has the duration of every step."""
    of_run = {"session", "ingest", "check", "look up", "describe", "prepare", "log"}
    of_versions = {"train", "evaluate", "explain", "publish"}
    assert of_run | of_versions == finished.result["timings"].keys()


def test_the_report_page_is_self_contained(finished: Finished) -> None:
    """The page report.html shows every version and loads nothing from the network."""
    page = (finished.folder / "report.html").read_text()
    assert all(name in page for name in VERSIONS)
    assert "<script" not in page
    assert 'src="http' not in page


def test_junit_has_one_case_per_bound(finished: Finished) -> None:
    """The JUnit results have one test case per bound."""
    cases = ET.parse(finished.folder / "junit.xml").findall(".//testcase")  # noqa: S314 - our own file
    assert sum(len(version["bounds"]) for version in finished.result["versions"]) == len(cases)


def test_the_plan_has_the_origins_of_settings(finished: Finished) -> None:
    """The plan records for each setting whether it is a default, or where it was set."""
    plan = json.loads((finished.folder / "plan.json").read_text())
    origins = {setting["name"]: setting["origin"] for setting in plan["settings"]}
    assert (origins["home"], origins["target"], origins["cores"]) == (
        "HARNESS_HOME",
        "command line",
        "default",
    )


def test_mlflow_has_a_child_run_per_version(finished: Finished, children: list[Run]) -> None:
    """MLflow has a finished child run for each version below the scenario's run."""
    parents = {run.data.tags["mlflow.parentRunId"] for run in children}
    assert ({finished.result["mlflow_run_id"]}, {"FINISHED"}) == (
        parents,
        {run.info.status for run in children},
    )


def test_mlflow_keeps_version_zero(children: list[Run]) -> None:
    """Version 0 is recorded in MLflow as tag, parameter and dataset."""
    run = children[0]
    dataset = find_dataset(run)
    recorded = (
        run.data.tags["harness.data_version"],
        run.data.params["data_version"],
        json.loads(dataset.source)["delta_table_version"],
    )
    assert recorded == ("0", "0", "0")


def test_mlflow_has_the_path_and_fingerprint_of_the_data(finished: Finished, children: list[Run]) -> None:
    """The dataset in MLflow has the fingerprint as its digest, and the run has the table's path."""
    for run, version in zip(children, finished.result["versions"], strict=True):
        dataset = find_dataset(run)
        assert version["fingerprint"] == dataset.digest == run.data.params["data_fingerprint"]
        assert finished.result["table_uri"] == run.data.tags["harness.data_path"]


def test_mlflow_has_every_grid_point_and_parameter(children: list[Run]) -> None:
    """MLflow has the scores of the four grid points and the parameters of model and explainer."""
    data = children[0].data
    assert sum(name.startswith("grid/") for name in data.metrics) == 4
    assert {
        "model.regParam",
        "model.maxIter",
        "explainer.numSamples",
        "explainer.kernelWidth",
    } <= data.params.keys()


def test_mlflow_has_a_description(children: list[Run]) -> None:
    """The description of the MLflow run has its version, its rows and its bundle."""
    run = children[0]
    note = run.data.tags["mlflow.note.content"]
    assert "Delta version **0** (january): 3,395 rows" in note
    assert note.endswith(f"Its bundle was published to `{run.data.tags['harness.bundle']}`.\n")


def test_mlflow_has_three_models(finished: Finished, children: list[Run]) -> None:
    """Featurizer, classifier and explainer are artifacts in MLflow's model format."""
    mlflow.set_tracking_uri(f"sqlite:///{finished.home}/mlflow.db")
    listed = MlflowClient(f"sqlite:///{finished.home}/mlflow.db").list_artifacts(
        children[0].info.run_id, "models"
    )
    assert {f"models/{name}" for name in MODELS} == {each.path for each in listed}
    info = mlflow.models.get_model_info(f"runs:/{children[0].info.run_id}/models/explainer")
    assert "spark" in info.flavors


def test_bundles_are_published_with_a_manifest(finished: Finished) -> None:
    """The manifest has version, fingerprint and run, and the digests of the models that each depends on."""
    for version in finished.result["versions"]:
        manifest = json.loads((Path(version["bundle"]) / "manifest.json").read_text())
        recorded = (manifest["version"], manifest["fingerprint"], manifest["mlflow_run_id"])
        assert (version["version"], version["fingerprint"], version["run_id"]) == recorded
        models = manifest["models"]
        assert models["explainer"]["depends_on"] == {
            "featurizer": models["featurizer"]["sha256"],
            "classifier": models["classifier"]["sha256"],
        }


def test_the_job_leaves_only_the_table_in_the_lake(finished: Finished) -> None:
    """The job removes its temporary files from the lake."""
    folder = finished.home / "lake" / "runs" / finished.result["run_id"]
    assert {"lc_loan"} == {path.name for path in folder.iterdir() if any(path.iterdir())}


def test_runs_of_a_version_are_found(finished: Finished) -> None:
    """'harness runs' finds the run trained on version 0 by table name, URI and fingerprint."""
    version = finished.result["versions"][0]
    by_name = run_harness(finished.home, "runs", "--table", "lc_loan", "--version", "0")
    by_uri = run_harness(finished.home, "runs", "--table", finished.result["table_uri"], "--version", "0")
    by_fingerprint = run_harness(finished.home, "runs", "--table", version["fingerprint"])
    for answer in (by_name, by_uri, by_fingerprint):
        assert version["run_id"] in answer.stdout, answer.stderr
        assert finished.result["versions"][1]["run_id"] not in answer.stdout


def test_a_run_is_traced_to_its_data(finished: Finished) -> None:
    """'harness trace' shows a run's version, fingerprint, parameters, metrics and bundle."""
    version = finished.result["versions"][1]
    answer = run_harness(finished.home, "trace", version["run_id"]).stdout
    for fact in ("1 (february)", version["fingerprint"], version["bundle"], "model.regParam", "test_roc_auc"):
        assert fact in answer


def test_an_unknown_run_is_reported(finished: Finished) -> None:
    """'harness trace' reports an unknown run id in one message with exit code 3."""
    answer = run_harness(finished.home, "trace", "no-such-run")
    assert (3, True, "") == (
        answer.returncode,
        "Unknown run 'no-such-run'" in answer.stderr,
        answer.stdout,
    )


def test_the_required_faults_are_caught_within_seconds(finished: Finished) -> None:
    """The command reuses the finished run, without Spark, and leaves the newest run as it is."""
    runs = sorted(path.name for path in (finished.home / "runs").iterdir())
    done = run_harness(finished.home, "prove", "three_versions", "--quick", "--target", "embedded")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "Every required fault is caught." in done.stdout
    assert f"using run {finished.folder.resolve().name}" in done.stdout + done.stderr
    assert runs == sorted(path.name for path in (finished.home / "runs").iterdir())
