"""The end of a run, and Ctrl-C while it is cancelled."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import Run, RunOutput

from harness.errors import ExitCode, InterruptedRunError
from harness.events import Event
from harness.targets.databricks import job_runs
from harness.targets.databricks.job_runs import Follower
from harness.targets.databricks.workspace_files import RemoteFiles

URL = "https://adb-1.azuredatabricks.net/jobs/1/runs/2"


@pytest.fixture(name="ctrl_c", params=[signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "asked to end"])
def _ctrl_c(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """Send a signal that the command handles as Ctrl-C."""
    before = {
        each: signal.signal(each, signal.default_int_handler) for each in signal.valid_signals() & _BOTH
    }
    yield request.param
    for each, handler in before.items():
        signal.signal(each, handler)


_BOTH = {signal.SIGINT, signal.SIGTERM}


class _Jobs:
    """Records cancelled runs, and sends a signal at a given moment."""

    def __init__(self, during_cancel: signal.Signals | None, during_look: signal.Signals | None) -> None:
        self.cancelled: list[int] = []
        self._during_cancel, self._during_look = during_cancel, during_look

    def cancel_run(self, run_id: int) -> None:
        if self._during_cancel is not None:
            os.kill(os.getpid(), self._during_cancel)
        self.cancelled.append(run_id)

    def get_run(self, run_id: int) -> Run:
        del run_id
        if self._during_look is not None and self.cancelled:
            os.kill(os.getpid(), self._during_look)
        return _run("TERMINATED", "CANCELED")


def _client(jobs: _Jobs) -> WorkspaceClient:
    client: Any = SimpleNamespace(jobs=jobs, config=SimpleNamespace(host="https://adb-1.azuredatabricks.net"))
    return client  # type: ignore[no-any-return]


def _run(life_cycle: str, result: str | None = None, duration_ms: int = 0, message: str = "") -> Run:
    state = {"life_cycle_state": life_cycle, "result_state": result, "state_message": message}
    state_fields = {key: value for key, value in state.items() if value}
    tasks = [{"task_key": "harness", "state": state_fields, "execution_duration": duration_ms}]
    return Run.from_dict({"run_id": 2, "run_page_url": URL, "state": state_fields, "tasks": tasks})


def test_a_second_ctrl_c_still_cancels_the_run(ctrl_c: signal.Signals) -> None:
    """A second Ctrl-C doesn't prevent the request that cancels the run."""
    jobs = _Jobs(during_cancel=ctrl_c, during_look=None)
    job_runs.cancel(_client(jobs), 2)
    assert [2] == jobs.cancelled


def test_a_second_ctrl_c_ends_the_wait(ctrl_c: signal.Signals) -> None:
    """After the request, a second Ctrl-C ends the wait with a message about the cancellation."""
    jobs = _Jobs(during_cancel=None, during_look=ctrl_c)
    with pytest.raises(InterruptedRunError, match="The run 2 is being cancelled") as caught:
        job_runs.cancel(_client(jobs), 2)
    assert ([2], ExitCode.INTERRUPTED) == (jobs.cancelled, caught.value.exit_code)
    assert "https://adb-1.azuredatabricks.net" in str(caught.value.remedy)


def test_ignored_signals_are_restored(ctrl_c: signal.Signals) -> None:
    """The handlers are restored after the block, even if it fails or is nested."""

    def press() -> None:
        with job_runs.ignore_signals():
            with job_runs.ignore_signals():
                os.kill(os.getpid(), ctrl_c)
            os.kill(os.getpid(), ctrl_c)
            raise ValueError("It breaks.")

    with pytest.raises(ValueError, match="breaks"):
        press()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), ctrl_c)


def test_another_thread_sets_no_signals() -> None:
    """The block also runs in another thread, which may not set handlers."""
    done: list[bool] = []

    def work() -> None:
        with job_runs.ignore_signals():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timedelta(minutes=1).total_seconds())
    assert [True] == done


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        ("\x1b[0;31mValueError\x1b[0m\x1b[1;32m: 50% off\x1b[0m", "ValueError: 50% off"),
        ("\x1b]0;title\x07\x1b[2K\x1b[?25lgone", "gone"),
        ("\x1b]8;;https://a\x1b\\link\x1b]8;;\x1b\\ \x1bM\x1b", "link "),
        ("a [31m of no color", "a [31m of no color"),
    ],
    ids=["colors", "title and cursor", "a link", "none"],
)
def test_a_trace_is_shown_without_colors(trace: str, expected: str) -> None:
    """Control sequences are removed from error, traceback and log, as a terminal would execute them."""
    output = RunOutput(error=trace, error_trace=f"Traceback\n{trace}\n", logs=f"{trace}\nlast")
    message = job_runs.make_run_error(_run("TERMINATED", "FAILED", 5), output).message
    assert message == (
        f"The run failed: {expected}\nThe end of its traceback:\n    Traceback\n    {expected}\n"
        f"The end of its log:\n    {expected}\n    last"
    )


class _NoFiles:
    """Folder of a run without events."""

    def read(self, path: str) -> bytes | None:
        del path
        return None


def _follow(*states: Run) -> list[Event]:
    """Return the events of a run that goes through these states."""
    events: list[Event] = []
    files: Any = _NoFiles()
    remote: RemoteFiles = files
    follower = Follower(remote, "events.jsonl", events.append, lambda _line: None)
    for each in states:
        follower.update(each)
    return events


@pytest.mark.parametrize(
    "states",
    [
        [_run("INTERNAL_ERROR", "FAILED", message="No quota.")],
        [_run("SKIPPED", message="No quota.")],
        [_run("TERMINATING", message="Ending."), _run("TERMINATED", "CANCELED", message="No quota.")],
    ],
    ids=["no cluster", "skipped", "cancelled"],
)
def test_a_cluster_that_never_started_has_failed(states: list[Run]) -> None:
    """The event of a cluster that never started is a failure, not the end of a step."""
    events = _follow(_run("PENDING", message="Waiting."), *states)
    assert "done" not in {each.state for each in events}
    assert ("cluster", "failed: No quota.") == (events[-1].step, events[-1].detail)


@pytest.mark.parametrize(
    "states",
    [
        [_run("RUNNING"), _run("TERMINATING"), _run("TERMINATED", "FAILED")],
        [_run("TERMINATED", "FAILED", 3)],
        [_run("TERMINATED", "SUCCESS")],
        [_run("TERMINATING", duration_ms=3), _run("TERMINATED", "SUCCESS", 3)],
    ],
    ids=["seen at work", "failed at once", "passed at once", "seen ending"],
)
def test_a_cluster_that_has_worked_is_done(states: list[Run]) -> None:
    """A cluster has started if its task has run, even if nobody has seen it running."""
    events = _follow(_run("PENDING", message="Waiting."), *states)
    assert ["started", "running", "done"] == [each.state for each in events]
