"""A run of the job on a cluster: submitted once, followed to its end, cancelled where it must be."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from harness.errors import HarnessError, InterruptedRunError, JobError, LostRunError, NotThereError
from harness.results import Model
from harness.workspace.client import BusyError, told

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
        LostRunError: It has not ended in time.
    """
    with told(workspace, f"cancel the run {run_id}"):
        workspace.jobs.cancel_run(run_id)
    deadline = time.monotonic() + _CANCELLED_WITHIN.total_seconds()

    def look(run: Run) -> None:
        if life_cycle(run) not in _ENDED and time.monotonic() >= deadline:
            raise LostRunError(
                f"The run {run_id} was cancelled, but has not ended yet: {message(run)}",
                remedy=f"See that it ends: {run.run_page_url}",
            )

    return follow(workspace, run_id, look)


def has_started(run: Run) -> bool:
    """Whether the task runs, or has run; until then its cluster starts."""
    return _life_cycle_of(task_of(run) or run) not in _NOT_STARTED


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
        for name, text in (("trace", said.error_trace), ("log", said.logs))
        if text
    ]
    return "\n".join((said.error or "", *ends)).strip()


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
    return task is not None and bool(task.execution_duration)


def _life_cycle_of(each: Run | RunTask) -> str:
    found = each.state.life_cycle_state if each.state is not None else None
    return str(found.value) if found is not None else "PENDING"
