"""The states and the errors of runs in a workspace."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.sdk.service.jobs import Run, RunOutput

from harness.errors import ExitCode
from harness.targets.databricks.job_runs import has_started, make_run_error

URL = "https://adb-1.azuredatabricks.net/jobs/1/runs/2"


def _run(
    life_cycle: str, result: str | None = None, message: str = "", task: dict[str, Any] | None = None
) -> Run:
    state = {"life_cycle_state": life_cycle, "result_state": result, "state_message": message}
    state_fields = {key: value for key, value in state.items() if value}
    tasks = [{"task_key": "harness", "state": task or state_fields}]
    return Run.from_dict({"run_id": 2, "run_page_url": URL, "state": state_fields, "tasks": tasks})


@pytest.mark.parametrize(
    ("run", "expected", "exit_code"),
    [
        (
            _run("TERMINATED", "CANCELED", "Run cancelled."),
            "The run was cancelled: Run cancelled.",
            ExitCode.INTERRUPTED,
        ),
        (
            _run("TERMINATED", "TIMEDOUT", "Time is up."),
            "The run exceeded its time limit: Time is up.",
            ExitCode.JOB_FAILED,
        ),
        (
            _run("INTERNAL_ERROR", "FAILED", "No quota for Standard_D4ds_v5."),
            "The run didn't start: No quota for Standard_D4ds_v5.",
            ExitCode.PREREQUISITE_MISSING,
        ),
        (
            _run("SKIPPED", None, "Too many runs."),
            "The run didn't start: Too many runs.",
            ExitCode.PREREQUISITE_MISSING,
        ),
        (_run("TERMINATED", "FAILED", "It failed."), "The run failed: It failed.", ExitCode.JOB_FAILED),
    ],
    ids=["cancelled", "time limit", "no cluster", "skipped", "failed"],
)
def test_the_end_of_a_run_is_reported(run: Run, expected: str, exit_code: ExitCode) -> None:
    """The error has the workspace's message, the run's page and the exit code of the cause."""
    error = make_run_error(run, None)
    assert (expected, exit_code) == (error.message, error.exit_code)
    assert URL in (error.remedy or "")


def test_a_tasks_error_has_the_end_of_its_traceback_and_log() -> None:
    """The error of a task has the end of its traceback and log, so that nobody needs the run's page."""
    lines = "\n".join(f"line {number}" for number in range(30))
    output = RunOutput(error="ValueError: no", error_trace=f"Traceback\n{lines}", logs=f"{lines}\nlast")
    message = make_run_error(_run("TERMINATED", "FAILED"), output).message
    assert message.startswith("The run failed: ValueError: no\nThe end of its traceback:\n    line 18\n")
    assert message.endswith("    last")
    assert "line 17" not in message


@pytest.mark.parametrize(
    ("task", "started"), [("PENDING", False), ("BLOCKED", False), ("RUNNING", True), ("TERMINATED", True)]
)
def test_the_task_shows_whether_the_cluster_is_up(task: str, started: bool) -> None:
    """The task's state shows whether the cluster is up; the run's state alone does not."""
    assert started == has_started(_run("RUNNING", task={"life_cycle_state": task}))
