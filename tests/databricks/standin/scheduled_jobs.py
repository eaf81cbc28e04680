"""Jobs that are created once and run many times, with parameters.

https://docs.databricks.com/api/workspace/jobs. A run starts when somebody asks for it: schedules and triggers
are only checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from databricks.sdk.service.jobs import CreateResponse, JobsAPI, RunNowResponse, SubmitTask
from starlette.responses import Response

from tests.databricks.standin.checks import check_task, check_token
from tests.databricks.standin.runs import JobRun
from tests.databricks.standin.state import Workspace
from tests.databricks.standin.wire import Call, answer, invalid

_STARTS = ("schedule", "trigger", "continuous")


@dataclass(frozen=True)
class Job:
    """A job: its tasks, and the defaults of its parameters."""

    name: str
    tasks: tuple[SubmitTask, ...]
    timeout_s: int
    parameters: Mapping[str, str]


def create(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/create."""
    asked = call.body_arguments(JobsAPI.create)
    if len(starts := [each for each in _STARTS if asked.get(each) is not None]) > 1:
        raise invalid(f"A job can have only one of {', '.join(starts)}")
    tasks = tuple(SubmitTask.from_dict(each.as_dict()) for each in asked.get("tasks") or ())
    for each in tasks:
        check_task(workspace, each)
    with workspace.lock:
        job_id = next(workspace.numbers)
        workspace.jobs[job_id] = Job(
            name=asked.get("name", "Untitled"),
            tasks=tasks,
            timeout_s=asked.get("timeout_seconds", 0),
            parameters={each.name: each.default for each in asked.get("parameters") or ()},
        )
    return answer(CreateResponse(job_id))


def run_now(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/jobs/runnow."""
    asked = call.body_arguments(JobsAPI.run_now)
    token = asked.get("idempotency_token")
    check_token(token)
    job_id, given = asked["job_id"], asked.get("job_parameters") or {}
    with workspace.lock:
        job = workspace.jobs.get(job_id)
        if job is None:
            raise invalid(f"Job {job_id} does not exist.")
        if unknown := given.keys() - job.parameters.keys():
            raise invalid(f"Job {job_id} has no parameters {sorted(unknown)}")
        parameters = {**job.parameters, **given}
        run = JobRun(workspace, job.name, job.tasks, job.timeout_s, token, job_id, parameters)
        workspace.runs[run.run_id] = run
    run.thread.start()
    return answer(RunNowResponse(run_id=run.run_id, number_in_job=run.run_id))
