"""The command as a process: interrupted, started twice at once, and with a job that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from mlflow import MlflowClient

import harness
from harness.results import Verdict
from tests.command import start_command, wait_for
from tests.embedded.runner import change_scenario
from tests.embedded.small import ONE_VERSION, write_scenario

pytestmark = pytest.mark.spark

# Enough fits that training is under way for seconds.
SLOW = change_scenario(
    ONE_VERSION, {"pipeline": {"model": {"grid": {"reg_param": [each / 100 for each in range(40)]}}}}
)


def started(home: Path, scenario: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start the command; end it with the block, whatever happens."""
    return start_command(["scenario", scenario], {**os.environ, "HARNESS_HOME": str(home)})


def jobs(folder: Path) -> list[int]:
    """Return the job processes whose plan is below a folder, and their JVMs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and str(folder).encode() in command and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def killed_runs(home: Path) -> list[str]:
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("harness")
    assert experiment is not None
    return [run.info.status for run in client.search_runs([experiment.experiment_id])]


def test_ctrl_c_ends_everything_and_the_next_run_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends all processes and marks the MLflow runs as killed; the next run passes."""
    home = tmp_path / "home"
    scenario = write_scenario(tmp_path, SLOW)
    with started(home, scenario) as process:
        wait_for(process, "run: log done")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert (130, True) == (process.returncode, "Interrupted" in output), output
    assert "Traceback" not in output
    assert [] == jobs(home)
    assert {"KILLED"} == set(killed_runs(home))
    assert not (home / "models").exists()
    monkeypatch.setenv("HARNESS_HOME", str(home))
    result = harness.run(Path(write_scenario(tmp_path, ONE_VERSION)), quiet=True)
    assert (Verdict.PASS, [0]) == (result.verdict, [version.version for version in result.versions])


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    """Two simultaneous runs both pass, each with a complete table of its own."""
    scenario = write_scenario(tmp_path, ONE_VERSION)
    with started(tmp_path / "home", scenario) as one, started(tmp_path / "home", scenario) as other:
        outputs = [process.communicate()[0] for process in (one, other)]
    assert (0, 0) == (one.returncode, other.returncode), outputs
    results = [json.loads(file.read_text()) for file in (tmp_path / "home" / "runs").glob("2*/result.json")]
    assert [[300], [300]] == [[each["rows"] for each in result["versions"]] for result in results]


def test_a_job_that_dies_is_told_from_a_failed_bound(tmp_path: Path) -> None:
    """A killed job leads to exit code 5, a message with its log file, and no published bundle."""
    home = tmp_path / "home"
    with started(home, write_scenario(tmp_path, SLOW)) as process:
        wait_for(process, "run: log done")
        for job in jobs(home):
            if b"harness.job\0" in Path(f"/proc/{job}/cmdline").read_bytes():
                os.kill(job, signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    assert 5 == process.returncode, output
    assert "job.log" in output
    assert [] == jobs(home)
