"""Small Python programs, submitted as wheels through the real SDK, and their outcomes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.compute import (
    ClusterSource,
    ClusterSpec,
    DataSecurityMode,
    Library,
    ListClustersFilterBy,
    MavenLibrary,
    State,
)
from databricks.sdk.service.jobs import (
    PythonWheelTask,
    Run,
    RunLifeCycleState,
    RunLifecycleStateV2State,
    RunResultState,
    SubmitTask,
    TerminationCodeCode,
    TerminationTypeType,
)

from tests.databricks.standin.quick import PUBLISHED
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import NODE, RUNTIME, USER

ROOT = "/Volumes/main/default/harness"
HOME = f"/Users/{USER}"
WHEEL = f"{ROOT}/wheels/quick-1.0-py3-none-any.whl"
DEADLINE_S = 120
WAIT = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"


def cluster(**changed: Any) -> ClusterSpec:
    """Return a job cluster that a workspace accepts."""
    defaults: dict[str, Any] = {
        "data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_DEDICATED,
        "node_type_id": NODE,
        "num_workers": 1,
        "spark_version": RUNTIME,
    }
    return ClusterSpec(**{**defaults, **changed})


def task(*parameters: str, **changed: Any) -> SubmitTask:
    """Return a task that a workspace accepts."""
    defaults: dict[str, Any] = {
        "task_key": "harness",
        "libraries": [Library(whl=WHEEL), Library(maven=MavenLibrary(PUBLISHED))],
        "python_wheel_task": PythonWheelTask("quick", "main", parameters=list(parameters)),
    }
    if "existing_cluster_id" not in changed and "new_cluster" not in changed:
        defaults["new_cluster"] = cluster()
    return SubmitTask(**{**defaults, **changed})


def submit(client: WorkspaceClient, text: str, *tasks: SubmitTask, **given: Any) -> int:
    """Upload a program as the wheel and submit it; return the run's ID."""
    client.files.upload(WHEEL, io.BytesIO(text.encode()), overwrite=True)
    return submit_again(client, *tasks, **given)


def submit_again(client: WorkspaceClient, *tasks: SubmitTask, **given: Any) -> int:
    run_id: int = client.jobs.submit(tasks=list(tasks) or [task()], **given).bind()["run_id"]
    return run_id


def await_end(
    workspace: StandIn, client: WorkspaceClient, run_id: int, deadline_s: float = DEADLINE_S
) -> Run:
    """Wait until a run has ended, and return it."""
    workspace.runs[run_id].thread.join(deadline_s)
    return client.jobs.get_run(run_id)


def poll_until(client: WorkspaceClient, run_id: int, reached: Callable[[Run], bool]) -> Run:
    """Poll a run until it meets a condition, and return it."""
    deadline = time.monotonic() + DEADLINE_S
    while not reached(run := client.jobs.get_run(run_id)):
        assert time.monotonic() < deadline, run
    return run


def is_running(run: Run) -> bool:
    assert run.state is not None
    return run.state.life_cycle_state is RunLifeCycleState.RUNNING


def states(run: Run) -> tuple[object, ...]:
    """Return the old state and the new status."""
    assert run.state is not None
    assert run.status is not None
    details = run.status.termination_details
    return (
        run.state.life_cycle_state,
        run.state.result_state,
        run.status.state,
        details.code if details else None,
        details.type if details else None,
    )


def end_of(
    result: RunResultState,
    code: TerminationCodeCode,
    kind: TerminationTypeType,
    life_cycle: RunLifeCycleState = RunLifeCycleState.TERMINATED,
) -> tuple[object, ...]:
    return (life_cycle, result, RunLifecycleStateV2State.TERMINATED, code, kind)


SUCCESS = end_of(RunResultState.SUCCESS, TerminationCodeCode.SUCCESS, TerminationTypeType.SUCCESS)
CANCELED = end_of(
    RunResultState.CANCELED, TerminationCodeCode.USER_CANCELED, TerminationTypeType.CLIENT_ERROR
)


def output_of(client: WorkspaceClient, run: Run) -> Any:
    """Return the output of the run's only task."""
    assert run.tasks is not None
    assert run.tasks[0].run_id is not None
    return client.jobs.get_run_output(run.tasks[0].run_id)


def message_of(run: Run) -> str:
    assert run.state is not None
    return run.state.state_message or ""


def running_job_clusters(client: WorkspaceClient) -> list[str | None]:
    only = ListClustersFilterBy(cluster_sources=[ClusterSource.JOB])
    return [each.cluster_id for each in client.clusters.list(filter_by=only) if each.state is State.RUNNING]
