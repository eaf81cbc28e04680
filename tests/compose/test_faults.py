"""Services that fail while a scenario runs, and the outcome of the run."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness.errors import ExitCode
from harness.parity.compare import compare
from harness.results import Verdict
from harness.runs import find_run, read_result
from tests.command import wait_for
from tests.compose.conftest import END_S, RunningStack
from tests.embedded.runner import run_job
from tests.embedded.small import LONG, UNPUBLISHED, write_custom_scenario, write_scenario, write_table

pytestmark = [pytest.mark.spark, pytest.mark.compose]


def list_newest_statuses(stack: RunningStack) -> set[str]:
    """Return the statuses of the newest run's MLflow runs."""
    client = MlflowClient(f"http://127.0.0.1:{stack.variables['HARNESS_MLFLOW_PORT']}")
    experiment = client.get_experiment_by_name("harness")
    assert experiment is not None
    newest = find_run(stack.home / "runs", "latest").path.name
    found = client.search_runs([experiment.experiment_id], f"tags.`harness.run_id` = '{newest}'")
    return {each.info.status for each in found}


def test_the_only_worker_is_killed_in_the_middle_of_training(stack: RunningStack, tmp_path: Path) -> None:
    """If the only worker is killed during training, it starts again, and the run passes."""
    file = write_scenario(tmp_path, LONG)
    with stack.start("scenario", file, "--fresh") as process:
        wait_for(process, "run: log done")
        stack.kill_process("spark-worker", "pgrep -f deploy.worker.Worker")
        output, _ = process.communicate(timeout=END_S)
    assert 0 == process.returncode, output
    [worker] = stack.containers("spark-worker")
    assert 1 == worker.attrs["RestartCount"]


def test_a_run_without_workers_ends_by_name(stack: RunningStack, tmp_path: Path) -> None:
    """A run without workers says so, and ends if the master forgets it; the next start repairs the stack."""
    with stack.start(
        "scenario", write_scenario(tmp_path, LONG), "--fresh", HARNESS_SERVICE_TIMEOUT="2m"
    ) as process:
        wait_for(process, "run: log done")
        # As 'docker kill' or 'docker stop' does, after which Docker doesn't start it again.
        stack.containers("spark-worker")[0].kill()
        wait_for(process, "run: waiting for workers: 0 of 1 (worker exited 137 at ")
        stack.kill_process("spark-master", "pgrep -f deploy.master.Master")
        output, _ = process.communicate(timeout=END_S)
    assert 3 == process.returncode, output
    assert "waiting for the Spark master, which was restarted and lost this run" in output
    assert read_result(stack.home / "runs", "latest").failure is not None
    assert 0 == stack.run("up").returncode


def test_azurite_stops_and_starts_again(stack: RunningStack, tmp_path: Path) -> None:
    """If Azurite restarts, the run passes or names the service. The next test's run passes."""
    with stack.start("scenario", write_scenario(tmp_path, UNPUBLISHED), "--fresh") as process:
        wait_for(process, "run: ingest done")
        [azurite] = stack.containers("azurite")
        azurite.stop(timeout=1)
        threading.Timer(5, azurite.start).start()
        output, _ = process.communicate(timeout=END_S)
    assert 0 == process.returncode or "azurite" in output.lower(), output
    assert process.returncode in (0, 3), output


def test_mlflow_and_its_database_are_unavailable_for_ten_seconds(
    stack: RunningStack, spark: SparkSession, tmp_path: Path
) -> None:
    """If MLflow stops for ten seconds and Postgres is killed, the run passes and MLflow has every metric.

    The numbers are those of an embedded run.
    """
    file = write_scenario(tmp_path, UNPUBLISHED)
    [mlflow] = stack.containers("mlflow")
    with stack.start("scenario", file, "--fresh") as process:
        wait_for(process, "second: train done")
        mlflow.stop(timeout=1)
        stack.kill_process("postgres", "head -1 $PGDATA/postmaster.pid")
        threading.Timer(10, mlflow.start).start()
        output, _ = process.communicate(timeout=END_S)
    assert 0 == process.returncode, output
    result = read_result(stack.home / "runs", "latest")
    [version] = result.versions
    assert (0, 300) == (version.version, version.rows)
    client = MlflowClient(f"http://127.0.0.1:{stack.variables['HARNESS_MLFLOW_PORT']}")
    logged = client.get_run(version.run_id or "").data.metrics
    measured = {name: value for name, value in version.metrics.items() if value is not None}
    assert measured == {name: logged[name] for name in measured}
    embedded = run_job(spark, UNPUBLISHED, write_table(tmp_path / "embedded"), tmp_path / "embedded")
    assert Verdict.PASS == compare(embedded, result).verdict


def test_ctrl_c_ends_the_job_in_its_container(stack: RunningStack, tmp_path: Path) -> None:
    """Ctrl-C removes the job's container, marks the MLflow runs as killed, and exits with 130."""
    with stack.start("scenario", write_scenario(tmp_path, LONG), "--fresh") as process:
        wait_for(process, "run: log done")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=END_S)
    assert 130 == process.returncode, output
    assert [] == stack.containers("job")
    assert {"KILLED"} == list_newest_statuses(stack)


def test_two_simultaneous_runs_do_not_interfere(stack: RunningStack, tmp_path: Path) -> None:
    """Two simultaneous runs both pass, each with its own complete table; one waits for the other's workers.

    One has a custom pipeline, whose code is in the plan, for the driver and the workers.
    """
    file, own = write_scenario(tmp_path, UNPUBLISHED), write_custom_scenario(tmp_path / "own")
    before = set((stack.home / "runs").iterdir())
    with stack.start("scenario", file, "--fresh") as one, stack.start("scenario", own, "--fresh") as other:
        outputs = [process.communicate(timeout=END_S)[0] for process in (one, other)]
    assert (0, 0) == (one.returncode, other.returncode), outputs
    assert "waiting for the run " in "".join(outputs), outputs
    new = [path for path in (stack.home / "runs").iterdir() if path not in before and not path.is_symlink()]
    results = [json.loads((path / "result.json").read_text()) for path in new]
    assert [[300], [300]] == [[each["rows"] for each in result["versions"]] for result in results]
    [[of_own]] = [result["versions"] for result in results if "fits" in result["versions"][0]["metrics"]]
    assert (1.0, True) == (of_own["metrics"]["fits"], of_own["bundle"] is not None)


def test_a_killed_job_is_an_error(stack: RunningStack, tmp_path: Path) -> None:
    """A killed container leads to exit code 5 and a message with the log file; its MLflow runs are closed."""
    with stack.start("scenario", write_scenario(tmp_path, LONG), "--fresh") as process:
        wait_for(process, "run: log done")
        [job] = stack.containers("job")
        job.kill()
        output, _ = process.communicate(timeout=END_S)
    assert 5 == process.returncode, output
    assert f"job.log{os.linesep}" in output + os.linesep
    assert {"FAILED"} == list_newest_statuses(stack)
    assert ExitCode.JOB_FAILED == read_result(stack.home / "runs", "latest").exit_code


def test_a_job_ends_with_its_killed_command(stack: RunningStack, tmp_path: Path) -> None:
    """If the command is killed, its job ends by itself, and closes its MLflow runs; then the run goes on."""
    with stack.start("scenario", write_scenario(tmp_path, UNPUBLISHED), "--fresh") as process:
        wait_for(process, "run: log done")
        process.kill()
        limit = time.monotonic() + END_S
        while stack.containers("job"):
            assert time.monotonic() < limit
            time.sleep(0.5)
    assert {"KILLED"} == list_newest_statuses(stack)
    resumed = stack.run("resume", "latest")
    assert ExitCode.PASS == resumed.returncode, resumed.stdout + resumed.stderr
    assert "[" in resumed.stdout
    assert "check done" not in resumed.stdout
    assert {"FINISHED"} == list_newest_statuses(stack)
