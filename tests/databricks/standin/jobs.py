"""One-time runs: https://docs.databricks.com/api/workspace/jobs."""

from __future__ import annotations

from typing import Any

from databricks.sdk.service.jobs import (
    BaseRun,
    ClusterInstance,
    JobParameter,
    JobsAPI,
    ListRunsResponse,
    Run,
    RunLifeCycleState,
    RunLifecycleStateV2State,
    RunOutput,
    RunState,
    RunStatus,
    RunTask,
    RunType,
    SubmitRunResponse,
    TerminationDetails,
    TriggerType,
)
from starlette.responses import Response

from tests.databricks.standin.checks import check_task, check_token
from tests.databricks.standin.ends import CANCELED, SUCCESS, TIMED_OUT, End
from tests.databricks.standin.output import read_log
from tests.databricks.standin.runs import JobRun, TaskRun
from tests.databricks.standin.state import USER, WORKSPACE_ID, Workspace
from tests.databricks.standin.wire import ApiError, Call, answer, invalid

_PAGE = 20
_PAGE_AT_MOST = 25
_LATEST_FIRST = -1
_ACTIVE = {RunLifeCycleState.PENDING, RunLifeCycleState.RUNNING, RunLifeCycleState.TERMINATING}


def submit(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/submit."""
    asked = call.body_arguments(JobsAPI.submit)
    token = asked.get("idempotency_token")
    check_token(token)
    with workspace.lock:
        if token is not None and (existing := _with_token(workspace, token)) is not None:
            return answer(SubmitRunResponse(existing.run_id))
        tasks = tuple(asked.get("tasks") or ())
        if not tasks or len({each.task_key for each in tasks}) != len(tasks):
            raise invalid("At least one task must be given, each with its own task key")
        for each in tasks:
            check_task(workspace, each)
        name = asked.get("run_name", "Untitled")
        run = JobRun(workspace, name, tasks, asked.get("timeout_seconds", 0), token)
        workspace.runs[run.run_id] = run
    run.thread.start()
    return answer(SubmitRunResponse(run.run_id))


def get_run(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/getrun, of a run or of one of its tasks."""
    run, task = _find(workspace, call.query_arguments(JobsAPI.get_run)["run_id"])
    run.poll()
    return answer(_as_run(workspace, run, task))


def list_runs(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/listruns, newest first."""
    asked = call.query_arguments(JobsAPI.list_runs)
    if asked.get("active_only") and asked.get("completed_only"):
        raise invalid("Only one of active_only and completed_only can be true")
    size = asked.get("limit", _PAGE) or _PAGE_AT_MOST
    if not 0 < size <= _PAGE_AT_MOST:
        raise invalid(f"The limit must be from 1 to {_PAGE_AT_MOST}")
    with workspace.lock:
        runs = [each for each in workspace.runs.values() if _is_asked_for(each, asked)][::_LATEST_FIRST]
    start = int(asked.get("page_token") or asked.get("offset", 0))
    more = len(runs) > start + size
    return answer(
        ListRunsResponse(
            has_more=more,
            next_page_token=str(start + size) if more else None,
            runs=[_as_listed(workspace, each, asked) for each in runs[start : start + size]],
        )
    )


def cancel(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/cancelrun; it answers before the run has ended."""
    run, _ = _find(workspace, call.body_arguments(JobsAPI.cancel_run)["run_id"])
    run.cancel()
    return answer()


def get_output(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/getrunoutput, of a task only."""
    run, task = _find(workspace, call.query_arguments(JobsAPI.get_run_output)["run_id"])
    if task is None:
        raise invalid(
            "Retrieving the output of runs with multiple tasks is not supported. "
            "Please retrieve the output of each individual task run instead."
        )
    output = RunOutput(metadata=_as_run(workspace, run, task))
    if task.end is not None:
        output.logs, output.logs_truncated = read_log(task.log)
        if task.error is not None:
            output.error, output.error_trace = task.error
        elif task.end is not SUCCESS:
            output.error = task.end.message
    return answer(output)


def delete(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/deleterun, of a run that has ended."""
    run, task = _find(workspace, call.body_arguments(JobsAPI.delete_run)["run_id"])
    if task is not None or not run.has_ended:
        raise ApiError(400, "INVALID_STATE", f"Run {run.run_id} is active and can't be deleted")
    run.deleted = True
    return answer()


def _with_token(workspace: Workspace, token: str) -> JobRun | None:
    for run in workspace.runs.values():
        if run.token == token:
            if run.deleted:
                raise invalid(f"The run with the idempotency token {token} has been deleted")
            return run
    return None


def _find(workspace: Workspace, run_id: int) -> tuple[JobRun, TaskRun | None]:
    with workspace.lock:
        runs = [each for each in workspace.runs.values() if not each.deleted]
    for run in runs:
        if run.run_id == run_id:
            return run, None
        for task in run.tasks:
            if task.run_id == run_id:
                return run, task
    raise invalid(f"Run {run_id} does not exist.")


def _is_asked_for(run: JobRun, asked: dict[str, Any]) -> bool:
    return (
        not run.deleted
        and not (asked.get("active_only") and run.has_ended)
        and not (asked.get("completed_only") and not run.has_ended)
        and asked.get("job_id") in {None, run.job_id}
        and asked.get("run_type") in {None, RunType.SUBMIT_RUN}
        and asked.get("start_time_from", 0) <= run.started_ms <= asked.get("start_time_to", run.started_ms)
    )


def _as_listed(workspace: Workspace, run: JobRun, asked: dict[str, Any]) -> BaseRun:
    body = _as_run(workspace, run, None).as_dict()
    if not asked.get("expand_tasks"):
        body.pop("tasks")
    return BaseRun.from_dict(body)


def _as_run(workspace: Workspace, run: JobRun, task: TaskRun | None) -> Run:
    """Return a run with all its tasks, or the run of one task."""
    shown = run.tasks if task is None else (task,)
    state, status = _run_state(run) if task is None else _task_state(task)
    tasks = [_as_task(workspace, run, each) for each in shown]
    alone = tasks[0] if len(tasks) == 1 else RunTask(task_key="")
    ended_ms = max(each.ended_ms for each in shown) if all(each.end for each in shown) else 0
    return Run(
        attempt_number=0,
        cleanup_duration=alone.cleanup_duration or 0,
        cluster_instance=alone.cluster_instance,
        creator_user_name=USER,
        end_time=ended_ms,
        execution_duration=alone.execution_duration or 0,
        job_id=run.job_id,
        job_parameters=[JobParameter(name=name, value=value) for name, value in run.parameters.items()],
        job_run_id=run.run_id,
        number_in_job=run.run_id,
        run_duration=max(0, ended_ms - run.started_ms),
        run_id=run.run_id if task is None else task.run_id,
        run_name=run.name,
        run_page_url=_page(workspace, run, run.run_id if task is None else task.run_id),
        run_type=RunType.JOB_RUN if run.is_scheduled else RunType.SUBMIT_RUN,
        setup_duration=alone.setup_duration or 0,
        start_time=run.started_ms,
        state=state,
        status=status,
        tasks=tasks,
        trigger=TriggerType.ONE_TIME,
    )


def _as_task(workspace: Workspace, run: JobRun, task: TaskRun) -> RunTask:
    state, status = _task_state(task)
    cluster = workspace.clusters.get(task.cluster_id or "")
    context = None if cluster is None or task.running_ms == 0 else str(cluster.spark_context_id)
    terminating_ms = task.terminating_ms or task.ended_ms
    return RunTask(
        attempt_number=0,
        cleanup_duration=max(0, task.ended_ms - terminating_ms),
        cluster_instance=ClusterInstance(task.cluster_id, context) if cluster is not None else None,
        end_time=task.ended_ms,
        execution_duration=max(0, task.terminating_ms - task.running_ms) if task.running_ms else 0,
        existing_cluster_id=task.task.existing_cluster_id,
        libraries=task.task.libraries,
        new_cluster=task.task.new_cluster,
        python_wheel_task=task.wheel_task,
        run_id=task.run_id,
        run_page_url=_page(workspace, run, task.run_id),
        setup_duration=max(0, (task.running_ms or terminating_ms) - task.started_ms),
        start_time=task.started_ms,
        state=state,
        status=status,
        task_key=task.task.task_key,
        timeout_seconds=task.task.timeout_seconds,
    )


def _page(workspace: Workspace, run: JobRun, run_id: int) -> str:
    return f"{workspace.host}/?o={WORKSPACE_ID}#job/{run.job_id}/run/{run_id}"


def _task_state(task: TaskRun) -> tuple[RunState, RunStatus]:
    # Read once, because the run's own thread continues meanwhile.
    end = task.end
    if end is None:
        phase = task.phase if task.phase in _ACTIVE else RunLifeCycleState.TERMINATING
        return _active(phase, task.message)
    return _ended(end, end.message)


def _run_state(run: JobRun) -> tuple[RunState, RunStatus]:
    ends = [(each, each.end) for each in run.tasks]
    going = [task for task, end in ends if end is None]
    if not going:
        return _worst([(task.task.task_key, end) for task, end in ends if end is not None])
    state, status = _task_state(going[0])
    if len(going) < len(ends) or state.result_state is not None:
        return _active(RunLifeCycleState.RUNNING, "In run")
    return state, status


def _worst(ends: list[tuple[str, End]]) -> tuple[RunState, RunStatus]:
    key, worst = next(((key, end) for key, end in ends if end is not SUCCESS), ends[0])
    if worst in {SUCCESS, CANCELED, TIMED_OUT}:
        return _ended(worst, worst.message)
    return _ended(worst, f"Task {key} failed with message: {worst.message}.")


def _active(phase: RunLifeCycleState, message: str) -> tuple[RunState, RunStatus]:
    state = RunState(life_cycle_state=phase, state_message=message, user_cancelled_or_timedout=False)
    return state, RunStatus(state=RunLifecycleStateV2State(phase.value))


def _ended(end: End, message: str) -> tuple[RunState, RunStatus]:
    state = RunState(
        life_cycle_state=end.life_cycle,
        result_state=end.result,
        state_message=message,
        user_cancelled_or_timedout=end.was_stopped,
    )
    details = TerminationDetails(end.code, message, end.kind)
    return state, RunStatus(state=RunLifecycleStateV2State.TERMINATED, termination_details=details)
