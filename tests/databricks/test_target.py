"""Scenarios on a cluster: the job really runs there, and what it brings back is held against a local run."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness.report import HTML, PARITY
from harness.verdict.parity import Parity
from tests.command import wait_for
from tests.databricks.command import FILES, Command, besides_polling
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.tracking import TrackingServer
from tests.embedded.runner import changed
from tests.embedded.small import (
    LONG,
    ONE_VERSION,
    UNPUBLISHED,
    write_own_scenario,
    write_scenario,
    write_table,
)

CALLS_AT_MOST = 25


pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def command(spark_workspace: StandIn, tmp_path: Path) -> Command:
    spark_workspace.calm()
    return Command(spark_workspace, tmp_path / ".harness")


def test_three_versions_are_validated(command: Command, tracking: TrackingServer) -> None:
    """Here and on the cluster: the same numbers, one exit code, and nothing left running or lying about."""
    done = command.run("validate", "three_versions")
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
    assert {"pyspark"} <= {each.name for each in parity.libraries if each.differs}
    assert parity.gaps
    assert "databricks" in (folder / HTML).read_text(encoding="utf-8")
    assert [] == command.left_behind() == command.clusters_running()
    assert CALLS_AT_MOST >= len(besides_polling(command.workspace.calls)), command.workspace.calls
    drawn = MlflowClient(tracking.url).list_artifacts(result.mlflow_run_id or "", "pictures/curves")
    assert {"pictures/curves/roc.svg", "pictures/curves/calibration.svg"} == {each.path for each in drawn}
    names = {run.data.tags["mlflow.runName"] for run in _mlflow_runs(tracking, result.run_id)}
    versions = {f"three_versions/{each.name}" for each in result.versions}
    assert {"three_versions", *versions} == names


def test_a_pipeline_in_python_is_validated(command: Command, tmp_path: Path) -> None:
    """Its files travel in the plan: here and on the cluster it gives the same numbers."""
    done = command.run("validate", write_own_scenario(tmp_path))
    assert 0 == done.returncode, done.stdout + done.stderr
    [version] = command.result().versions
    assert (1.0, True) == (version.metrics["fits"], version.bundle is not None)


def test_what_differs_in_the_data_is_found(command: Command, tmp_path: Path) -> None:
    """A row that was changed on one of the sides alone: parity fails and says where."""
    scenario = write_scenario(tmp_path, UNPUBLISHED)
    local = command.run("scenario", scenario, "--target", "embedded")
    assert 0 == local.returncode, local.stderr
    sent = command.run("scenario", scenario, "--target", "databricks")
    assert 0 == sent.returncode, sent.stdout + sent.stderr
    [rows] = command.workspace.volumes.rglob("readings.csv")
    # What is there by its name is not sent again: the cluster reads another value than this machine.
    rows.write_text(rows.read_text().replace("good", "bad", 1))
    done = command.run("scenario", scenario, "--target", "databricks")
    rows.unlink()
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "fingerprint" in done.stdout
    parity = json.loads((command.home / "runs" / "latest" / PARITY).read_text(encoding="utf-8"))
    failed = {each["name"] for each in parity["differences"] if each["verdict"] == "fail"}
    assert "fingerprint" in failed
    assert "rows" not in failed


def test_several_sources_are_sent_and_their_table_is_read_again(command: Command, tmp_path: Path) -> None:
    """A second file of a step goes there too; a table of a volume is read at its versions, and stays."""
    steps = [
        {"name": "first", "append": {"where": "batch = 1"}},
        {"name": "second", "append": {"from": "more/readings.csv", "where": "batch = 2"}},
    ]
    write_table(tmp_path / "more")
    scenario = write_scenario(tmp_path, changed(UNPUBLISHED, {"versions": steps}))
    built = command.run("scenario", scenario, "--target", "databricks")
    assert 4 == built.returncode, built.stdout + built.stderr
    first = command.result()
    assert [200, 300] == [each.rows for each in first.versions]
    table = f"{FILES}/lake/runs/{first.run_id}/readings"
    on = ("--table", table, "--versions", "0,latest")
    read = command.run("scenario", scenario, "--target", "databricks", *on)
    assert 4 == read.returncode, read.stdout + read.stderr
    again = command.result()
    assert ["v0", "latest"] == [each.name for each in again.versions]
    assert [each.fingerprint for each in first.versions] == [each.fingerprint for each in again.versions]
    here = command.run("scenario", scenario, "--target", "embedded", *on)
    assert (3, True) == (here.returncode, "it lies in a volume of a workspace" in here.stderr)


def test_without_a_local_run_nothing_is_proven(command: Command, tmp_path: Path) -> None:
    """Exit code 4, and the command that runs both; the bundle is published all the same."""
    scenario = write_scenario(tmp_path, ONE_VERSION)
    done = command.run("scenario", scenario, "--target", "databricks")
    assert 4 == done.returncode, done.stdout + done.stderr
    assert "There is no local run" in done.stdout
    assert "make validate" in done.stdout
    [version] = command.result().versions
    assert version.bundle is not None
    assert (Path(version.bundle) / "manifest.json").is_file()


def test_the_older_runtime_and_workspace_files(command: Command, tmp_path: Path) -> None:
    """15.4 LTS ML, with what is uploaded among the workspace's own files."""
    scenario = write_scenario(tmp_path, UNPUBLISHED)
    done = command.run(
        "scenario",
        scenario,
        "--target",
        "databricks",
        runtime="15.4.x-cpu-ml-scala2.12",
        files="/Workspace/Users/jane.doe@example.com/harness",
        lake=f"{FILES}/lake",
        models=f"{FILES}/models",
    )
    assert 4 == done.returncode, done.stdout + done.stderr
    assert "3.5.0" == command.result().libraries["pyspark"]


def test_a_client_that_died_is_followed_by_another(command: Command, tmp_path: Path) -> None:
    """The run goes on without its command; another one brings it to its verdict."""
    scenario = write_scenario(tmp_path, UNPUBLISHED)
    with command.started("scenario", scenario, "--target", "databricks") as process:
        wait_for(process, "run: session done")
        process.kill()
    [folder] = [each for each in (command.home / "runs").iterdir() if each.is_dir()]
    done = command.run("attach", folder.name)
    assert 4 == done.returncode, done.stdout + done.stderr
    assert "small on databricks" in done.stdout
    assert [] == command.left_behind() == command.clusters_running()


def test_ctrl_c_ends_the_run_and_its_cluster(command: Command, tmp_path: Path) -> None:
    """Exit code 130, once nothing runs any more."""
    with command.started("scenario", write_scenario(tmp_path, LONG), "--target", "databricks") as process:
        wait_for(process, "run: session done")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert 130 == process.returncode, output
    assert [] == command.left_behind() == command.clusters_running()


def _mlflow_runs(tracking: TrackingServer, run_id: str) -> list[Run]:
    client = MlflowClient(tracking.url)
    experiments = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_runs(experiments, filter_string=f"tags.`harness.run_id` = '{run_id}'"))
