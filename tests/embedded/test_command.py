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
from harness.errors import ExitCode
from harness.results import Verdict
from harness.runs import JUNIT, RESULT, RunFolder, RunState, find_run, read_result
from tests.command import start_command, wait_for
from tests.embedded.runner import change_scenario
from tests.embedded.small import ONE_VERSION, write_scenario
from tests.unit import report_samples as samples

pytestmark = pytest.mark.spark

# With so many fits, training takes seconds.
SLOW = change_scenario(
    ONE_VERSION, {"pipeline": {"model": {"grid": {"reg_param": [each / 100 for each in range(40)]}}}}
)


def start_scenario(home: Path, scenario: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start the command; when the block ends, it is stopped in any case."""
    return start_command(["scenario", scenario], {**os.environ, "HARNESS_HOME": str(home)})


def find_job_processes(folder: Path) -> list[int]:
    """Return the ids of the processes that belong to jobs of a home, including their JVMs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and str(folder).encode() in command and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def list_run_statuses(home: Path) -> list[str]:
    """Return the status of each run in a home's MLflow store."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("harness")
    assert experiment is not None
    return [run.info.status for run in client.search_runs([experiment.experiment_id])]


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder, except those of files that every JVM keeps there by itself."""
    return [path.name for path in folder.iterdir() if not path.name.startswith("hsperfdata")]


def test_ctrl_c_ends_everything_and_the_next_run_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends all processes and marks the MLflow runs as killed; the next run passes."""
    home = tmp_path / "home"
    scenario = write_scenario(tmp_path, SLOW)
    with start_scenario(home, scenario) as process:
        wait_for(process, "run: log done")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=600)
    assert (130, True) == (process.returncode, "Interrupted" in output), output
    assert "Traceback" not in output
    assert [] == find_job_processes(home)
    assert {"KILLED"} == set(list_run_statuses(home))
    assert not (home / "models").exists()
    assert [130] == [read_result(home / "runs", "latest").exit_code]
    monkeypatch.setenv("HARNESS_HOME", str(home))
    result = harness.run(Path(write_scenario(tmp_path, ONE_VERSION)), quiet=True)
    assert (Verdict.PASS, [0]) == (result.verdict, [version.version for version in result.versions])


def test_two_simultaneous_runs_do_not_interfere(tmp_path: Path) -> None:
    """Two simultaneous runs both pass, each with its own complete table."""
    scenario = write_scenario(tmp_path, ONE_VERSION)
    with (
        start_scenario(tmp_path / "home", scenario) as one,
        start_scenario(tmp_path / "home", scenario) as other,
    ):
        outputs = [process.communicate()[0] for process in (one, other)]
    assert (0, 0) == (one.returncode, other.returncode), outputs
    results = [json.loads(file.read_text()) for file in (tmp_path / "home" / "runs").glob("2*/result.json")]
    assert [[300], [300]] == [[each["rows"] for each in result["versions"]] for result in results]


def test_a_killed_jvm_is_reported(tmp_path: Path) -> None:
    """If the job's JVM is killed, the result says so, whatever error the job meets without it."""
    home = tmp_path / "home"
    with start_scenario(home, write_scenario(tmp_path, ONE_VERSION)) as process:
        wait_for(process, "run: session done")
        for each in find_job_processes(home):
            if Path(f"/proc/{each}/comm").read_text() == "java\n":
                os.kill(each, signal.SIGKILL)
        output, _ = process.communicate(timeout=600)
    failure = find_run(home / "runs", "latest").read_result().failure
    assert failure is not None, output
    message = "The job's JVM was ended by signal 9 (SIGKILL) during 'ingest'"
    assert (5, "DeadProcessError", message) == (
        process.returncode,
        failure.kind,
        failure.message[: len(message)],
    ), output


def test_a_killed_job_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed job leads to exit code 5, not to a failed bound, and the message names its log.

    Its run is the latest one from the start. The command closes its MLflow runs, removes its temporary files,
    and writes its result and reports.
    """
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = RunFolder.create(home / "runs", "20260101-000000-before-0000")
    (before.path / RESULT).write_text(samples.result().to_json(), encoding="utf-8")
    before.make_latest()
    with start_scenario(home, write_scenario(tmp_path, SLOW)) as process:
        wait_for(process, "run: log done")
        latest = find_run(home / "runs", "latest")
        assert latest.state is RunState.RUNNING
        assert list_names(temporary) != []
        for job in find_job_processes(home):
            if b"harness.job\0" in Path(f"/proc/{job}/cmdline").read_bytes():
                os.kill(job, signal.SIGKILL)
        output, _ = process.communicate(timeout=600)
    assert 5 == process.returncode, output
    message = " ".join(output.split())
    assert "The job's Python process was ended by signal 9 (SIGKILL)" in message, output
    assert ("job.log" in message, "WARN" in message) == (True, False), output
    assert [] == find_job_processes(home)
    assert latest == find_run(home / "runs", "latest")
    assert ([], {"FAILED"}) == (list_names(temporary), set(list_run_statuses(home)))
    failure = latest.read_result().failure
    assert failure is not None
    assert (ExitCode.JOB_FAILED, True) == (failure.exit_code, (latest.path / JUNIT).is_file())
    assert [] == list((home / "lake").rglob(".scratch"))
