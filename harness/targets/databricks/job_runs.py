"""Runs of the job on a cluster: submitted once, followed until they end, cancelled if needed."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.errors import HarnessError, InterruptedRunError, JobError, LostRunError, PrerequisiteError
from harness.events import Event, Listener
from harness.results import Record, Result
from harness.targets.databricks.client import BusyError, translate_errors
from harness.targets.databricks.workspace_files import RemoteFiles
from harness.targets.end_causes import read_messages
from harness.wheel import make_version_error

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.compute import ClusterSpec, Library
    from databricks.sdk.service.jobs import Run, RunOutput, RunTask

TASK = "harness"
PACKAGE, ENTRY_POINT = "dataset-harness", "harness-job"
SCHEDULED_ENTRY_POINT = "harness-scheduled-run"
_POLL_S = 1.0
_POLL_SLOWER = timedelta(minutes=1)
"""After how long the pause between two requests is twice as long, and so on."""
_SLOWEST = 5
"""The longest pause, in times of the first one."""
_CANCELLED_WITHIN = timedelta(minutes=2)
_PATIENCE = timedelta(minutes=5)
"""How long a workspace may return server errors."""
_ENDED_STATES = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_UNSTARTED_STATES = ("PENDING", "QUEUED", "BLOCKED", "WAITING_FOR_RETRY")
_LOG_LINES_SHOWN = 12
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_]?)")
"""Escape sequences for colors, cursor and titles (ECMA-48, 5.4 and 8.3), which a terminal would execute."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that a submission of a run contains."""

    run_id: str
    """Id that the harness gave the run; two submissions with it start one run."""
    cluster: ClusterSpec | str
    """New cluster, or the id of an existing one."""
    libraries: list[Library]
    parameters: list[str]
    timeout: timedelta


class SubmittedRun(Record):
    """A submitted run, kept for a command that attaches to it."""

    host: str
    run_id: int
    """Id that the workspace gave the run."""
    folder: str
    """Remote folder with the run's plan, events and result."""


def submit(workspace: WorkspaceClient, job: RunSpec) -> int:
    """Submit a one-time run, and return its id; a second submission returns the same id."""
    from databricks.sdk.service.compute import ClusterSpec
    from databricks.sdk.service.jobs import PythonWheelTask, SubmitTask

    is_new = isinstance(job.cluster, ClusterSpec)
    task = SubmitTask(
        task_key=TASK,
        python_wheel_task=PythonWheelTask(
            package_name=PACKAGE, entry_point=ENTRY_POINT, parameters=job.parameters
        ),
        new_cluster=job.cluster if isinstance(job.cluster, ClusterSpec) else None,
        existing_cluster_id=None if is_new else str(job.cluster),
        libraries=job.libraries,
    )
    with translate_errors(workspace, "submit the run"):
        submitted = workspace.jobs.submit(
            run_name=f"harness {job.run_id}",
            tasks=[task],
            # A digest, because a token has a maximal length, and the run's id may be longer.
            idempotency_token=hashlib.sha256(job.run_id.encode()).hexdigest(),
            timeout_seconds=int(job.timeout.total_seconds()),
        )
        return int(submitted.run_id)


def await_run(workspace: WorkspaceClient, run_id: int, on_update: Callable[[Run], None]) -> Run:
    """Wait until a run has ended.

    Args:
        workspace: Client of the workspace.
        run_id: Id that the workspace gave the run.
        on_update: Receives the run after each request, including the last one.
    """
    started = answered = time.monotonic()
    while True:
        try:
            with translate_errors(workspace, f"follow the run {run_id}"):
                run = workspace.jobs.get_run(run_id)
        except BusyError:
            if time.monotonic() - answered > _PATIENCE.total_seconds():
                raise
            time.sleep(choose_pause(time.monotonic() - started))
            continue
        answered = time.monotonic()
        on_update(run)
        if find_life_cycle(run) in _ENDED_STATES:
            return run
        time.sleep(choose_pause(answered - started))


def choose_pause(elapsed_s: float) -> float:
    """Return the seconds until the next request for a run's state: the longer it runs, the more."""
    return _POLL_S * min(_SLOWEST, 1 + elapsed_s // _POLL_SLOWER.total_seconds())


def cancel(workspace: WorkspaceClient, run_id: int) -> Run:
    """Cancel a run, wait until it and its cluster have ended, and return it.

    Raises:
        InterruptedRunError: Ctrl-C while waiting; the run is cancelled nevertheless.
        LostRunError: It has not ended in time.
    """
    ask_to_cancel(workspace, run_id)
    return await_cancelled(workspace, run_id)


def ask_to_cancel(workspace: WorkspaceClient, run_id: int) -> None:
    """Request that a run be cancelled, which takes some time; Ctrl-C can't prevent the request."""
    with ignore_signals(), translate_errors(workspace, f"cancel the run {run_id}"):
        workspace.jobs.cancel_run(run_id)


def await_cancelled(workspace: WorkspaceClient, run_id: int) -> Run:
    """Wait until a run that is being cancelled has ended, as :func:`cancel` does."""
    deadline = time.monotonic() + _CANCELLED_WITHIN.total_seconds()
    page: str | None = None

    def check_deadline(run: Run) -> None:
        nonlocal page
        page = run.run_page_url
        if find_life_cycle(run) not in _ENDED_STATES and time.monotonic() >= deadline:
            raise LostRunError(
                f"The run {run_id} was cancelled but has not ended yet: {find_message(run)}",
                remedy=f"Check that it ends: {page}",
            )

    try:
        return await_run(workspace, run_id, check_deadline)
    except KeyboardInterrupt as error:
        raise InterruptedRunError(
            f"Interrupted again. The run {run_id} is being cancelled, but may not have ended yet.",
            remedy=f"Check that it ends: {page or workspace.config.host}",
        ) from error


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore Ctrl-C and requests to terminate during the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread gets KeyboardInterrupt, and only it may set handlers.
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            # None means a handler that Python did not set and can't set again.
            signal.signal(each, signal.SIG_DFL if handler is None else handler)


def has_started(run: Run) -> bool:
    """Return whether the task runs or has run; until then its cluster is starting."""
    state = _find_life_cycle_of(find_task(run) or run)
    # A run that is cancelled while its cluster starts has this state, too.
    return _has_worked(run) if state == "TERMINATING" else state not in _UNSTARTED_STATES


def did_not_start(run: Run) -> bool:
    """Return whether a run has ended before its task did anything."""
    return find_life_cycle(run) in _ENDED_STATES and not _has_worked(run)


def find_task(run: Run) -> RunTask | None:
    """Return the run's only task, or ``None`` if the workspace has not created it yet."""
    return run.tasks[0] if run.tasks else None


def find_life_cycle(run: Run) -> str:
    """Return the run's life cycle state, such as ``PENDING``, ``RUNNING`` or ``TERMINATED``."""
    return _find_life_cycle_of(run)


def find_message(run: Run) -> str:
    """Return the workspace's message about the run's state."""
    messages = [
        each.state.state_message
        for each in (find_task(run), run)
        if each is not None and each.state is not None and each.state.state_message
    ]
    return messages[0] if messages else find_life_cycle(run)


def read_output(workspace: WorkspaceClient, run: Run) -> RunOutput | None:
    """Return the task's output and error; a run itself has none."""
    task = find_task(run)
    if task is None or task.run_id is None:
        return None
    with translate_errors(workspace, f"get the output of the task {task.run_id}"):
        return workspace.jobs.get_run_output(task.run_id)


def make_run_error(run: Run, output: RunOutput | None) -> HarnessError:
    """Return the error that explains why a run ended without a result."""
    result = _find_result_state(run)
    url = f"The run's page: {run.run_page_url}"
    if result in ("CANCELED", "UPSTREAM_CANCELED"):
        return InterruptedRunError(f"The run was cancelled: {find_message(run)}", remedy=url)
    if result == "TIMEDOUT":
        return JobError(
            f"The run exceeded its time limit: {find_message(run)}",
            remedy=f"Increase HARNESS_TARGETS_DATABRICKS_TIME_LIMIT_MIN (minutes). {url}",
        )
    if find_life_cycle(run) in ("INTERNAL_ERROR", "SKIPPED") and not _has_worked(run):
        return PrerequisiteError(f"The run didn't start: {find_message(run)}", remedy=url)
    if result == "SUCCESS":
        return JobError(
            "The run has finished, but its result has been removed.", remedy=f"Run the scenario again. {url}"
        )
    return JobError(f"The run failed: {_describe_output(output) or find_message(run)}", remedy=url)


def parse_result(content: bytes, version: str) -> Result:
    """Return the result, and require that it is from the uploaded wheel: a warm cluster may have another."""
    try:
        result = Result.from_json(content)
        ran = result.libraries.get("harness")
    except ValueError:
        result, ran = None, None
    if result is None or ran != version:
        raise make_version_error(ran or "", version)
    return result


def _describe_output(output: RunOutput | None) -> str:
    """Return the task's error, the end of its traceback and the end of its log."""
    if output is None:
        return ""
    ends = [
        f"The end of its {name}:\n" + "\n".join(f"    {line}" for line in lines[-_LOG_LINES_SHOWN:])
        for name, text in (("traceback", output.error_trace), ("log", output.logs))
        if (lines := read_messages(_remove_escape_sequences(text)))
    ]
    return "\n".join((_remove_escape_sequences(output.error), *ends)).strip()


def _remove_escape_sequences(text: str | None) -> str:
    """Return a text without escape sequences, which the tracebacks of notebooks contain."""
    return _ESCAPES.sub("", text or "")


def _find_result_state(run: Run) -> str:
    """Return how a run ended; its time limit ends the task as if somebody had cancelled it."""
    results = [
        str(each.state.result_state.value)
        for each in (find_task(run), run)
        if each is not None and each.state is not None and each.state.result_state is not None
    ]
    return "TIMEDOUT" if "TIMEDOUT" in results else next(iter(results), "")


def _has_worked(run: Run) -> bool:
    task = find_task(run)
    return task is not None and (bool(task.execution_duration) or _find_result_state(run) == "SUCCESS")


def _find_life_cycle_of(each: Run | RunTask) -> str:
    state = each.state.life_cycle_state if each.state is not None else None
    return str(state.value) if state is not None else "PENDING"


_STEP = "cluster"


class Follower:
    """A reader of a run's events that forwards each one once."""

    def __init__(
        self, files: RemoteFiles, events: str, listener: Listener, report: Callable[[str], None]
    ) -> None:
        self._files = files
        self._events = events
        self._listener = listener
        self._report = report
        self._received = 0
        self._started_at: datetime | None = None
        self._started = False

    def update(self, run: Run) -> None:
        """Report what is new since the last time."""
        now = datetime.now(UTC)
        if self._started_at is None:
            self._started_at = now
            self._report(f"Run: {run.run_page_url}")
            self._listener(Event(_STEP, "started"))
        if not self._started:
            if not self._is_cluster_up(run):
                return
            self._started = True
            took_s = (now - self._started_at).total_seconds()
            self._listener(Event(_STEP, "done", elapsed_s=took_s))
        self._forward_events()

    def _is_cluster_up(self, run: Run) -> bool:
        """Return whether the cluster is up; if it is not, report its state."""
        if did_not_start(run):
            self._listener(Event(_STEP, "running", detail=f"failed: {find_message(run)}"))
            return False
        if not has_started(run):
            self._listener(Event(_STEP, "running", detail=find_message(run)))
            return False
        return True

    def _forward_events(self) -> None:
        try:
            content = self._files.read(self._events)
        except PrerequisiteError:
            return  # The run's state decides how it continues; events are for display only.
        lines = (content or b"").decode(errors="replace").splitlines()
        for line in lines[self._received :]:
            if (event := Event.from_line(line)) is not None:
                self._listener(event)
        self._received = max(self._received, len(lines))
