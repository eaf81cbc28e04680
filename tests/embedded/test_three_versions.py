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


def dataset_of(run: Run) -> Dataset:
    assert run.inputs is not None
    [used] = run.inputs.dataset_inputs
    return used.dataset


def harness(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
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
    return Finished(home, harness(home, "scenario", "three_versions", "--target", "embedded"))


@pytest.fixture(scope="module")
def children(finished: Finished) -> list[Run]:
    client = MlflowClient(f"sqlite:///{finished.home}/mlflow.db")
    return [client.get_run(version["run_id"]) for version in finished.result["versions"]]


def test_the_verdict_is_pass_and_so_is_the_exit_code(finished: Finished) -> None:
    """three_versions passes on the real loans."""
    assert (0, "pass") == (finished.process.returncode, finished.result["verdict"]), finished.process.stdout


def test_the_terminal_names_the_verdict_and_the_report(finished: Finished) -> None:
    """The last lines on the terminal show the verdict and the path of the report."""
    assert "PASS" in finished.process.stdout
    assert str(finished.folder.resolve() / "report.html") in finished.process.stdout.replace("\n", "")


def test_versions_are_built_from_zero(finished: Finished) -> None:
    """January is version 0, and every version has its rows."""
    built = {each["name"]: (each["version"], each["rows"]) for each in finished.result["versions"]}
    assert built == VERSIONS


def test_every_file_of_the_run_is_there(finished: Finished) -> None:
    """A run leaves its plan, its result, its reports and its log."""
    expected = {"plan.json", "result.json", "report.html", "report.md", "junit.xml", "job.log"}
    assert expected == {path.name for path in finished.folder.iterdir()}


def test_the_result_has_what_is_promised(finished: Finished) -> None:
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


def test_explanations_are_of_two_hundred_rows(finished: Finished) -> None:
    """The number of explained rows at every version is that of the scenario."""
    assert {200} == {version["metrics"]["explained_rows"] for version in finished.result["versions"]}


def test_timings_name_every_step(finished: Finished) -> None:
    """The result has the duration of every step."""
    made = {"session", "ingest", "check", "describe", "prepare", "log"}
    trained = {"train", "evaluate", "explain", "publish"}
    assert made | trained == finished.result["timings"].keys()


def test_the_page_is_whole_in_itself(finished: Finished) -> None:
    """The page report.html names every version and loads nothing from the network."""
    page = (finished.folder / "report.html").read_text()
    assert all(name in page for name in VERSIONS)
    assert "<script" not in page
    assert 'src="http' not in page


def test_junit_has_one_case_per_bound(finished: Finished) -> None:
    """The JUnit results have one test case per bound."""
    cases = ET.parse(finished.folder / "junit.xml").findall(".//testcase")  # noqa: S314 - our own file
    assert sum(len(version["bounds"]) for version in finished.result["versions"]) == len(cases)


def test_the_plan_tells_each_settings_origin(finished: Finished) -> None:
    """The plan records that the home folder comes from its environment variable."""
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
    dataset = dataset_of(run)
    recorded = (
        run.data.tags["harness.data_version"],
        run.data.params["data_version"],
        json.loads(dataset.source)["delta_table_version"],
    )
    assert recorded == ("0", "0", "0")


def test_mlflow_knows_data_by_path_and_fingerprint(finished: Finished, children: list[Run]) -> None:
    """The dataset in MLflow has the fingerprint as digest and the table's path."""
    for run, version in zip(children, finished.result["versions"], strict=True):
        dataset = dataset_of(run)
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


def test_mlflow_has_a_note_in_words(children: list[Run]) -> None:
    """The description of the MLflow run explains what it is."""
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
    """The manifest names version, fingerprint, run and the dependencies of the models by digest."""
    for version in finished.result["versions"]:
        manifest = json.loads((Path(version["bundle"]) / "manifest.json").read_text())
        named = (manifest["version"], manifest["fingerprint"], manifest["mlflow_run_id"])
        assert (version["version"], version["fingerprint"], version["run_id"]) == named
        models = manifest["models"]
        assert models["explainer"]["depends_on"] == {
            "featurizer": models["featurizer"]["sha256"],
            "classifier": models["classifier"]["sha256"],
        }


def test_the_job_leaves_nothing_in_the_lake_but_the_table(finished: Finished) -> None:
    """Temporary files of the job are removed from the lake."""
    folder = finished.home / "lake" / "runs" / finished.result["run_id"]
    assert {"lc_loan"} == {path.name for path in folder.iterdir() if any(path.iterdir())}


def test_runs_of_a_version_are_found(finished: Finished) -> None:
    """The run trained on version 0 is found by table name, URI and fingerprint."""
    version = finished.result["versions"][0]
    by_name = harness(finished.home, "runs", "--table", "lc_loan", "--version", "0")
    by_uri = harness(finished.home, "runs", "--table", finished.result["table_uri"], "--version", "0")
    by_fingerprint = harness(finished.home, "runs", "--table", version["fingerprint"])
    for answer in (by_name, by_uri, by_fingerprint):
        assert version["run_id"] in answer.stdout, answer.stderr
        assert finished.result["versions"][1]["run_id"] not in answer.stdout


def test_a_run_is_traced_to_its_data(finished: Finished) -> None:
    """The trace of a run shows dataset version, fingerprint, parameters, metrics and bundle."""
    version = finished.result["versions"][1]
    answer = harness(finished.home, "trace", version["run_id"]).stdout
    for fact in ("1 (february)", version["fingerprint"], version["bundle"], "model.regParam", "test_roc_auc"):
        assert fact in answer


def test_a_run_that_is_not_there_is_not_traced(finished: Finished) -> None:
    """An unknown run ID is one message and exit code 3."""
    answer = harness(finished.home, "trace", "no-such-run")
    assert (3, True, "") == (
        answer.returncode,
        "There is no run 'no-such-run'" in answer.stderr,
        answer.stdout,
    )
