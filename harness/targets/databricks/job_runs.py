"""A run of the job on a cluster: submitted once, followed to its end, cancelled where it must be."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from harness.errors import HarnessError, InterruptedRunError, JobError, LostRunError, NotThereError
from harness.results import Model
from harness.targets.databricks.client import BusyError, told

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.compute import ClusterSpec, Library
    from databricks.sdk.service.jobs import Run, RunOutput, RunTask

TASK = "harness"
PACKAGE, ENTRY_POINT = "dataset-harness", "harness-job"
_POLL_S = 1.0
_CANCELLED_WITHIN = timedelta(minutes=2)
_PATIENCE = timedelta(minutes=5)
"""With a workspace that can't answer for the moment."""
_ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_NOT_STARTED = ("PENDING", "QUEUED", "BLOCKED", "WAITING_FOR_RETRY")
_LOG_LINES_SHOWN = 12
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_]?)")
"""ANSI's codes of colours, of the cursor and of titles (ECMA-48, 5.4 and 8.3), which a terminal obeys."""


@dataclass(frozen=True)
class Job:
    """What a run does, and where."""

    run_id: str
    """The harness's own; two submissions of it start one run."""
    cluster: ClusterSpec | str
    """A new one, or the id of one that is there."""
    libraries: list[Library]
    parameters: list[str]
    timeout: timedelta


class Submission(Model):
    """A run that was submitted, for whoever takes it up again."""

    host: str
    run_id: int
    """The workspace's own."""
    folder: str
    """With the run's plan, events and result."""


def submit(workspace: WorkspaceClient, job: Job) -> int:
    """Submit a one-time run, and give its id; a second time gives the same."""
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
    with told(workspace, "submit the run"):
        submitted = workspace.jobs.submit(
            run_name=f"harness {job.run_id}",
            tasks=[task],
            # As long as a token may be, however long the run's id is.
            idempotency_token=hashlib.sha256(job.run_id.encode()).hexdigest(),
            timeout_seconds=int(job.timeout.total_seconds()),
        )
        return int(submitted.run_id)


def follow(workspace: WorkspaceClient, run_id: int, look: Callable[[Run], None]) -> Run:
    """Wait for a run's end.

    Args:
        workspace: Where it runs.
        run_id: The workspace's own.
        look: Shown the run each time that it was asked for, the last one too.
    """
    heard = time.monotonic()
    while True:
        try:
            with told(workspace, f"follow the run {run_id}"):
                run = workspace.jobs.get_run(run_id)
        except BusyError:
            if time.monotonic() - heard > _PATIENCE.total_seconds():
                raise
            time.sleep(_POLL_S)
            continue
        heard = time.monotonic()
        look(run)
        if life_cycle(run) in _ENDED:
            return run
        time.sleep(_POLL_S)


def cancel(workspace: WorkspaceClient, run_id: int) -> Run:
    """Cancel a run, and wait until it and its cluster have ended; gives it as it is then.

    Raises:
        InterruptedRunError: Ctrl-C while it was waited for; it is cancelled all the same.
        LostRunError: It has not ended in time.
    """
    ask_to_cancel(workspace, run_id)
    return await_cancelled(workspace, run_id)


def ask_to_cancel(workspace: WorkspaceClient, run_id: int) -> None:
    """Have a run cancelled, which takes its time; no Ctrl-C keeps this from being asked."""
    with undisturbed(), told(workspace, f"cancel the run {run_id}"):
        workspace.jobs.cancel_run(run_id)


def await_cancelled(workspace: WorkspaceClient, run_id: int) -> Run:
    """Wait until a run that is being cancelled has ended, as :func:`cancel` does."""
    deadline = time.monotonic() + _CANCELLED_WITHIN.total_seconds()
    page: str | None = None

    def look(run: Run) -> None:
        nonlocal page
        page = run.run_page_url
        if life_cycle(run) not in _ENDED and time.monotonic() >= deadline:
            raise LostRunError(
                f"The run {run_id} was cancelled, but has not ended yet: {message(run)}",
                remedy=f"See that it ends: {page}",
            )

    try:
        return follow(workspace, run_id, look)
    except KeyboardInterrupt as error:
        raise InterruptedRunError(
            f"Interrupted again. The run {run_id} is being cancelled, and its end was not waited for.",
            remedy=f"See that it ends: {page or workspace.config.host}",
        ) from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no Ctrl-C break into the block, nor a request to end, which the command takes for one."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python raises KeyboardInterrupt in the main thread alone, which alone may set handlers.
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            # None stands for a handler that Python has not set and can't set again.
            signal.signal(each, signal.SIG_DFL if handler is None else handler)


def has_started(run: Run) -> bool:
    """Whether the task runs, or has run; until then its cluster starts."""
    state = _life_cycle_of(task_of(run) or run)
    # A run that is cancelled while its cluster starts comes by this state, too.
    return _has_worked(run) if state == "TERMINATING" else state not in _NOT_STARTED


def did_not_start(run: Run) -> bool:
    """Whether a run has ended before its task did anything."""
    return life_cycle(run) in _ENDED and not _has_worked(run)


def task_of(run: Run) -> RunTask | None:
    """The run's only task; none where the workspace has not made it yet."""
    return run.tasks[0] if run.tasks else None


def life_cycle(run: Run) -> str:
    """Such as ``PENDING``, ``RUNNING`` or ``TERMINATED``."""
    return _life_cycle_of(run)


def message(run: Run) -> str:
    """What the workspace says of the run's state."""
    said = [
        each.state.state_message
        for each in (task_of(run), run)
        if each is not None and each.state is not None and each.state.state_message
    ]
    return said[0] if said else life_cycle(run)


def output(workspace: WorkspaceClient, run: Run) -> RunOutput | None:
    """What the task said and how it failed; asked of the task, as a run has none of its own."""
    task = task_of(run)
    if task is None or task.run_id is None:
        return None
    with told(workspace, f"get the output of the task {task.run_id}"):
        return workspace.jobs.get_run_output(task.run_id)


def fault(run: Run, said: RunOutput | None) -> HarnessError:
    """Why a run ended without a result."""
    result = _result(run)
    url = f"The run's page: {run.run_page_url}"
    if result in ("CANCELED", "UPSTREAM_CANCELED"):
        return InterruptedRunError(f"The run was cancelled: {message(run)}", remedy=url)
    if result == "TIMEDOUT":
        return JobError(
            f"The run took longer than its limit: {message(run)}",
            remedy=f"HARNESS_TARGETS_DATABRICKS_TIME_LIMIT_MIN is the limit in minutes. {url}",
        )
    if life_cycle(run) in ("INTERNAL_ERROR", "SKIPPED") and not _has_worked(run):
        return NotThereError(f"The run did not start: {message(run)}", remedy=url)
    if result == "SUCCESS":
        return JobError("The run came to its end, but its result is not there any more.", remedy=url)
    return JobError(f"The run failed: {_told(said) or message(run)}", remedy=url)


def _told(said: RunOutput | None) -> str:
    """The task's error, the end of its trace and the end of its log."""
    if said is None:
        return ""
    ends = [
        f"The end of its {name}:\n"
        + "\n".join(f"    {line}" for line in text.splitlines()[-_LOG_LINES_SHOWN:])
        for name, text in (("trace", _plain(said.error_trace)), ("log", _plain(said.logs)))
        if text
    ]
    return "\n".join((_plain(said.error), *ends)).strip()


def _plain(text: str | None) -> str:
    """A text of the task's without the codes that colour it: a notebook's traces have them."""
    return _ESCAPES.sub("", text or "")


def _result(run: Run) -> str:
    """How it ended: the run's limit ends its task like somebody who cancels it."""
    found = [
        str(each.state.result_state.value)
        for each in (task_of(run), run)
        if each is not None and each.state is not None and each.state.result_state is not None
    ]
    return "TIMEDOUT" if "TIMEDOUT" in found else next(iter(found), "")


def _has_worked(run: Run) -> bool:
    task = task_of(run)
    return task is not None and (bool(task.execution_duration) or _result(run) == "SUCCESS")


def _life_cycle_of(each: Run | RunTask) -> str:
    found = each.state.life_cycle_state if each.state is not None else None
    return str(found.value) if found is not None else "PENDING"
