"""The stand-in's jobs, which are created once and run with parameters."""

from __future__ import annotations

import io

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service.jobs import (
    CronSchedule,
    JobParameterDefinition,
    PythonWheelTask,
    RunType,
    TableUpdateTriggerConfiguration,
    Task,
    TriggerSettings,
)

from tests.databricks.bundles import run_job
from tests.databricks.standin.server import StandIn
from tests.databricks.submissions import SUCCESS, WHEEL, output_of, states, task

SCHEDULE = CronSchedule("0 0 6 * * ?", "UTC")
TRIGGER = TriggerSettings(table_update=TableUpdateTriggerConfiguration(["main.loans.lc_loan"]))


def make_task(*parameters: str) -> Task:
    """Return a task of a job that a workspace accepts."""
    wheel_task = PythonWheelTask("quick", "main", parameters=list(parameters))
    return Task.from_dict({**task().as_dict(), "python_wheel_task": wheel_task.as_dict()})


def create(client: WorkspaceClient, *parameters: str) -> int:
    """Create a job with the parameter ``table`` that prints its arguments."""
    client.files.upload(WHEEL, io.BytesIO(b"import sys\nprint(sys.argv[1:])"), overwrite=True)
    defined = [JobParameterDefinition(name="table", default="")]
    created = client.jobs.create(tasks=[make_task(*parameters)], parameters=defined, schedule=SCHEDULE)
    assert created.job_id is not None
    return created.job_id


def test_a_task_gets_the_values_of_its_run(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/jobs/dynamic-value-references.html: unknown references stay as they are."""
    job_id = create(
        client, "--table={{job.parameters.table}}", "{{job.run_id}}-{{job.repair_count}}", "{{x}}"
    )
    for given in ({}, {"table": "a.b.c"}):
        run = run_job(workspace, client, job_id, **given)
        expected = [f"--table={given.get('table', '')}", f"{run.run_id}-0", "{{x}}"]
        assert (SUCCESS, f"{expected}\n") == (states(run), output_of(client, run).logs)
        assert (job_id, RunType.JOB_RUN) == (run.job_id, run.run_type)


def test_an_unknown_parameter_is_refused(workspace: StandIn, client: WorkspaceClient) -> None:
    """A run can't set a parameter that its job doesn't define."""
    with pytest.raises(InvalidParameterValue, match="has no parameters \\['tables'\\]"):
        run_job(workspace, client, create(client), tables="a.b.c")


def test_a_job_has_one_kind_of_start(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/jobs/triggers.html: a job has a schedule or a trigger, not both."""
    assert client.jobs.create(tasks=[make_task()], trigger=TRIGGER).job_id
    with pytest.raises(InvalidParameterValue, match="only one of schedule, trigger"):
        client.jobs.create(tasks=[make_task()], schedule=SCHEDULE, trigger=TRIGGER)


def test_a_job_that_does_not_exist_is_refused(workspace: StandIn, client: WorkspaceClient) -> None:
    """Only a job that was created can run."""
    with pytest.raises(InvalidParameterValue, match="Job 1 does not exist"):
        run_job(workspace, client, 1)
