"""Scenarios on a cluster of the stand-in, which really runs the job, compared with local runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness.files import sha256_of
from harness.parity.compare import Parity
from harness.report import HTML, PARITY
from harness.runs import list_runs
from tests.command import wait_for
from tests.databricks.command import Command, besides_polling
from tests.databricks.standin.environments import DBR_15_4, DBR_16_4, read_locked_version
from tests.databricks.standin.tracking import TrackingServer
from tests.embedded.runner import change_scenario, load_with_fewer_fits
from tests.embedded.small import LONG, UNPUBLISHED, write_file, write_scenario

CALLS_AT_MOST = 25
CALLS_PER_VERSION = 2
"""To download and remove its predictions."""


VARYING = {
    "harness.bundle",
    "harness.commit_time",
    "harness.data_path",
    "harness.key",
    "harness.libraries",
    "harness.model",
    "harness.run_id",
    "harness.target",
    "mlflow.note.content",
    "mlflow.parentRunId",
    "mlflow.user",
}
"""Tags whose values belong to one run, or to its target."""

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("runtime", [DBR_16_4, DBR_15_4])
def test_loans_are_validated(
    command: Command, tracking: TrackingServer, tmp_path: Path, runtime: str
) -> None:
    """Two versions of the loans have the same numbers, tags and datasets locally and on each runtime."""
    loans = load_with_fewer_fits()
    versions = loans.model_dump(exclude_none=True)["versions"][:2]
    scenario = write_file(tmp_path, change_scenario(loans, {"versions": versions}))
    done = command.run("validate", scenario, runtime=runtime)
    assert 0 == done.returncode, done.stdout + done.stderr
    result = command.result()
    folder = command.home / "runs" / "latest"
    parity = Parity.model_validate_json((folder / PARITY).read_text(encoding="utf-8"))
    assert ("databricks", ("embedded", "databricks"), "pass") == (
        result.target,
        parity.targets,
        parity.verdict,
    )
    assert {"data", "metric", "coefficient", "explanation"} == {each.kind for each in parity.differences}
    assert {"pyspark", "mlflow"} <= {each.name for each in parity.libraries if each.differs}
    assert read_locked_version(runtime, "mlflow-skinny") == result.libraries["mlflow"]
    assert parity.gaps
    assert "databricks" in (folder / HTML).read_text(encoding="utf-8")
    assert [] == command.left_behind() == command.clusters_running()
    most = CALLS_AT_MOST + CALLS_PER_VERSION * len(result.versions)
    assert most >= len(besides_polling(command.workspace.calls)), command.workspace.calls
    stored = [version.predictions for version in result.versions]
    assert all(each is not None and sha256_of(folder / each.file) == each.sha256 for each in stored)
    drawn = MlflowClient(tracking.url).list_artifacts(result.mlflow_run_id or "", "pictures/curves")
    assert {"pictures/curves/roc.svg", "pictures/curves/calibration.svg"} == {each.path for each in drawn}
    on_cluster = _mlflow_runs(tracking.url, result.run_id)
    names = {f"three_versions/{each.name}" for each in result.versions}
    assert {"three_versions", *names} == on_cluster.keys()
    [local_id] = {each.path.name for each in list_runs(command.home / "runs")} - {result.run_id}
    local = _mlflow_runs(f"sqlite:///{command.home / 'mlflow.db'}", local_id)
    assert {name: _describe(run) for name, run in local.items()} == {
        name: _describe(run) for name, run in on_cluster.items()
    }
    client = MlflowClient(tracking.url)
    for name in names:
        run_id = on_cluster[name].info.run_id
        assert f"runs:/{run_id}/pipeline" == on_cluster[name].data.tags["harness.model"]
        saved = {each.path for each in client.list_artifacts(run_id, "pipeline")}
        assert {"pipeline/MLmodel", "pipeline/input_example.json", "pipeline/sparkml"} <= saved


def test_a_run_of_a_killed_command_is_followed_again(command: Command, tmp_path: Path) -> None:
    """A run whose command was killed is followed to its verdict; the next run uses its model."""
    scenario = write_scenario(tmp_path, UNPUBLISHED)
    with command.start("scenario", scenario, "--target", "databricks") as process:
        wait_for(process, "run: session done")
        process.kill()
    [folder] = [each.path for each in list_runs(command.home / "runs")]
    done = command.run("attach", folder.name)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "small on databricks" in done.stdout
    assert "Parity (not required): not compared." in done.stdout
    again = command.run("scenario", scenario, "--target", "databricks")
    assert 0 == again.returncode, again.stdout + again.stderr
    assert f"not trained again: the model of the run {folder.name} is the same" in again.stdout
    assert [folder.name] == [each.reused_from for each in command.result().versions]
    assert [] == command.left_behind() == command.clusters_running()


def test_ctrl_c_ends_the_run_and_its_cluster(command: Command, tmp_path: Path) -> None:
    """Ctrl-C ends the run and its cluster, then the command exits with 130."""
    with command.start("scenario", write_scenario(tmp_path, LONG), "--target", "databricks") as process:
        wait_for(process, "run: session done")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=600)
    assert 130 == process.returncode, output
    assert [] == command.left_behind() == command.clusters_running()


def _mlflow_runs(store: str, run_id: str) -> dict[str, Run]:
    """Return the MLflow runs of a run by their names."""
    client = MlflowClient(store)
    experiments = [each.experiment_id for each in client.search_experiments()]
    found = client.search_runs(experiments, filter_string=f"tags.`harness.run_id` = '{run_id}'")
    return {run.data.tags["mlflow.runName"]: run for run in found}


def _describe(run: Run) -> dict[str, Any]:
    """Return what is the same in MLflow on every target: names of metrics, parameters, tags and datasets."""
    tags = {name: "" if name in VARYING else value for name, value in run.data.tags.items()}
    tags.pop("mlflow.log-model.history", None)  # Only versions before MLflow 3 set it.
    datasets = [
        {
            **{
                name: getattr(each.dataset, name)
                for name in ("name", "digest", "source_type", "schema", "profile")
            },
            "source": {**json.loads(each.dataset.source), "path": ""},
            "tags": {tag.key: tag.value for tag in each.tags},
        }
        for each in (run.inputs.dataset_inputs if run.inputs else ())
    ]
    return {
        "metrics": sorted(run.data.metrics),
        "parameters": {**run.data.params, "data_path": ""},
        "tags": tags,
        "datasets": datasets,
    }
