"""A submitted run: its states from PENDING to the end, and the processes of its tasks."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from databricks.sdk.service.catalog import DataSourceFormat, TableInfo, TableType
from databricks.sdk.service.compute import (
    ClusterDetails,
    State,
    TerminationReasonType,
)
from databricks.sdk.service.jobs import (
    PythonWheelTask,
    RunLifeCycleState,
    SubmitTask,
)

from tests.databricks.standin.ends import (
    CANCELED,
    FAILED,
    JOB_FINISHED,
    SUCCESS,
    TIMED_OUT,
    End,
    EndedError,
    cluster_error,
    library_error,
    missing_wheel_message,
    platform_error,
)
from tests.databricks.standin.output import find_error, read_log
from tests.databricks.standin.runtime import LibraryError, WheelTask
from tests.databricks.standin.state import NODE_TYPES, MissingSecretError, Workspace, now_ms

_GRACE_S = 10
_POLL_S = 0.1


class TaskRun:
    """A task of a run, with its own run id."""

    def __init__(self, run_id: int, task: SubmitTask, wheel_task: PythonWheelTask, folder: Path) -> None:
        self.run_id = run_id
        self.task = task
        self.wheel_task = wheel_task
        self.folder = folder
        self.cluster_id: str | None = None
        self.phase = RunLifeCycleState.PENDING
        self.message = "Waiting for cluster"
        self.end: End | None = None
        self.error: tuple[str, str] | None = None
        """The error's line and its trace, if the process failed."""
        self.started_ms = now_ms()
        self.running_ms = 0
        self.terminating_ms = 0
        self.ended_ms = 0

    @property
    def log(self) -> Path:
        """File with the output of its process."""
        return self.folder / "output"

    def move(self, phase: RunLifeCycleState, message: str) -> None:
        """Change to the next state."""
        self.phase, self.message = phase, message

    def finish(self, end: End) -> None:
        """Change to the last state; ``end`` is set last, so that readers never see half of it."""
        self.ended_ms = now_ms()
        self.move(end.life_cycle, end.message)
        self.end = end


_REFERENCE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
"""A reference to a value of the run, in a parameter of a task."""


class JobRun:
    """A run from its submission on; its tasks run one after the other."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        tasks: tuple[SubmitTask, ...],
        timeout_s: int,
        token: str | None,
        job_id: int | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self._workspace = workspace
        self.run_id = next(workspace.numbers)
        self.job_id = job_id or next(workspace.numbers)
        self.is_scheduled = job_id is not None
        """Whether a job started it, rather than a submission."""
        self.parameters = parameters or {}
        self.name = name
        self.token = token
        self.deleted = False
        self.started_ms = now_ms()
        self.tasks = tuple(self._task(each) for each in tasks)
        self.polls = 0
        self.cancelled = False
        self.changed = threading.Condition()
        self._cluster_polls = workspace.faults.cluster_polls()
        self._cancel_polls = workspace.faults.cancel_polls()
        self._deadline = time.monotonic() + timeout_s if timeout_s else float("inf")
        self.thread = threading.Thread(target=self._run_tasks, name=f"run-{self.run_id}", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether all tasks have ended, and all clusters of the run are gone."""
        return all(each.end is not None for each in self.tasks)

    def poll(self) -> None:
        """Count a request for the run's state."""
        with self.changed:
            self.polls += 1
            if self._cancel_polls is not None and self.polls >= self._cancel_polls:
                self.cancelled = True
            self.changed.notify_all()

    def cancel(self) -> None:
        """Request the run's end, which comes later."""
        with self.changed:
            self.cancelled = True
            self.changed.notify_all()

    def _task(self, task: SubmitTask) -> TaskRun:
        if task.python_wheel_task is None:
            raise AssertionError("Tasks without a wheel are refused before.")
        run_id = next(self._workspace.numbers)
        wheel_task = self._resolve(task.python_wheel_task)
        return TaskRun(run_id, task, wheel_task, self._workspace.folder / "tasks" / str(run_id))

    def _resolve(self, task: PythonWheelTask) -> PythonWheelTask:
        """Return a task with its references to the run replaced by their values; unknown ones stay."""
        values = {
            "job.id": str(self.job_id),
            "job.run_id": str(self.run_id),
            "job.repair_count": "0",
            **{f"job.parameters.{name}": value for name, value in self.parameters.items()},
        }
        resolved = [
            _REFERENCE.sub(lambda found: values.get(found[1], found[0]), text)
            for text in task.parameters or ()
        ]
        return dataclasses.replace(task, parameters=resolved)

    def _run_tasks(self) -> None:
        for each in self.tasks:
            try:
                with self._cluster(each) as cluster:
                    end = self._run_task(each, cluster)
            except EndedError as ended:
                end = ended.end
            except Exception as error:  # A run must end, whatever happens in its thread.
                end = platform_error(f"Bug of the stand-in: {error!r}")
            each.finish(end)

    @contextmanager
    def _cluster(self, task: TaskRun) -> Iterator[ClusterDetails]:
        """Yield the task's cluster; a cluster of the run is gone before the task has ended."""
        spec = task.task.new_cluster
        if spec is None:
            task.cluster_id = str(task.task.existing_cluster_id)
            yield self._workspace.clusters[task.cluster_id]
            return
        name = f"job-{self.job_id}-run-{self.run_id}-{task.task.task_key}"
        task.cluster_id = self._workspace.new_cluster(spec, name)
        reason = JOB_FINISHED
        try:
            yield self._workspace.clusters[task.cluster_id]
        except EndedError as ended:
            reason = ended.reason
            raise
        finally:
            task.terminating_ms = task.terminating_ms or now_ms()
            self._workspace.end_cluster(task.cluster_id, reason)

    def _run_task(self, task: TaskRun, cluster: ClusterDetails) -> End:
        wheel_task = self._start_cluster(task, cluster)
        task.message = "Installing libraries"
        try:
            self._workspace.tasks.install(wheel_task)
        except LibraryError as error:
            raise EndedError(library_error(str(error))) from error
        self._check_stop()
        with self._workspace.tasks.start(wheel_task, task.log) as process:
            task.running_ms = now_ms()
            task.move(RunLifeCycleState.RUNNING, "In run")
            end = self._watch(process, task)
        for name, folder in wheel_task.read_managed_tables().items():
            self._workspace.tables[name] = TableInfo(
                full_name=name,
                table_type=TableType.MANAGED,
                data_source_format=DataSourceFormat.DELTA,
                storage_location=folder,
            )
        if end is FAILED:
            task.error = find_error(read_log(task.log)[0])
        return end

    def _start_cluster(self, task: TaskRun, cluster: ClusterDetails) -> WheelTask:
        with self.changed:
            while self.polls < self._cluster_polls:
                self._check_stop()
                self.changed.wait(_POLL_S)
        self._check_stop()
        failure = self._workspace.faults.cluster_failure()
        if failure is not None:
            raise cluster_error(
                task.cluster_id, failure.code, TerminationReasonType.CLOUD_FAILURE, failure.message
            )
        try:
            wheel_task = self._wheel_task(task, cluster)
        except MissingSecretError as error:
            raise cluster_error(
                task.cluster_id, "SECRET_RESOLUTION_ERROR", TerminationReasonType.CLIENT_ERROR, str(error)
            ) from error
        cluster.state, cluster.state_message = State.RUNNING, ""
        return wheel_task

    def _wheel_task(self, task: TaskRun, cluster: ClusterDetails) -> WheelTask:
        workspace = self._workspace
        spark_conf = workspace.resolve_secrets(cluster.spark_conf or {})
        environ = workspace.resolve_secrets(cluster.spark_env_vars or {})
        task.folder.mkdir(parents=True)
        libraries = task.task.libraries or []
        nodes = {each.node_type_id: each for each in NODE_TYPES}
        return WheelTask(
            folder=task.folder,
            runtime=str(cluster.spark_version),
            wheel=self._wheel(task, [each.whl for each in libraries if each.whl is not None]),
            maven=tuple(each.maven.coordinates for each in libraries if each.maven is not None),
            package_name=task.wheel_task.package_name,
            entry_point=task.wheel_task.entry_point,
            parameters=_parameters(task.wheel_task),
            spark_conf=spark_conf,
            environ={
                **environ,
                "DATABRICKS_HOST": workspace.host,
                "DATABRICKS_TOKEN": workspace.job_token,
            },
            schemas=tuple(workspace.schemas),
            warehouse=workspace.folder / "managed",
            tables={name: str(table.storage_location) for name, table in workspace.tables.items()},
            cores=min(os.cpu_count() or 1, int(nodes[str(cluster.node_type_id)].num_cores)),
        )

    def _wheel(self, task: TaskRun, wheels: list[str]) -> Path:
        """Return a copy of the submitted wheel; a warm cluster keeps the first one of each name."""
        if len(wheels) != 1:
            raise EndedError(library_error(f"The stand-in installs exactly one wheel, not {wheels}"))
        name = PurePosixPath(wheels[0]).name
        warm = task.task.existing_cluster_id
        copy = (self._workspace.folder / "warm" / warm if warm else task.folder) / name
        if not copy.is_file():
            given = self._workspace.local(wheels[0])
            if not given.is_file():
                raise EndedError(library_error(missing_wheel_message(wheels[0])))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(given, copy)
        return copy

    def _check_stop(self) -> None:
        """Raise EndedError if the run is cancelled or exceeds its time limit."""
        if self.cancelled:
            raise EndedError(CANCELED)
        if time.monotonic() > self._deadline:
            raise EndedError(TIMED_OUT)

    def _watch(self, process: subprocess.Popen[bytes], task: TaskRun) -> End:
        deadline = time.monotonic() + (task.task.timeout_seconds or float("inf"))
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return FAILED if process.wait(_POLL_S) else SUCCESS
                self._check_stop()
                if time.monotonic() > deadline:
                    raise EndedError(TIMED_OUT)
        finally:
            task.terminating_ms = now_ms()
            task.move(RunLifeCycleState.TERMINATING, "Terminating the cluster")
            _end_group(process)


def _parameters(task: PythonWheelTask) -> tuple[str, ...]:
    """Return the parameters; named ones become --name=value."""
    named: Mapping[str, str] = task.named_parameters or {}
    return (*(task.parameters or ()), *(f"--{name}={value}" for name, value in named.items()))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
