"""The stand-in's runs from submission to end, with small Python programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service.compute import Library, State
from databricks.sdk.service.jobs import (
    RunLifeCycleState,
    RunLifecycleStateV2State,
    RunResultState,
    TerminationCodeCode,
    TerminationTypeType,
)
from databricks.sdk.service.workspace import ImportFormat

from tests.databricks.standin.output import LOG_BYTES, find_error
from tests.databricks.standin.quick import QuickTasks
from tests.databricks.standin.server import StandIn
from tests.databricks.submissions import (
    CANCELED,
    HOME,
    ROOT,
    SUCCESS,
    WAIT,
    await_end,
    cluster,
    end_of,
    is_running,
    message_of,
    output_of,
    poll_until,
    running_job_clusters,
    states,
    submit,
    submit_again,
    task,
)


def test_a_run_that_succeeds(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: both kinds of state, times, page and cluster."""
    run = await_end(workspace, client, submit(client, "print('hello')", run_name="harness"))
    assert run.tasks is not None
    assert run.cluster_instance is not None
    assert (SUCCESS, "harness", "harness") == (states(run), run.run_name, run.tasks[0].task_key)
    assert run.run_page_url == f"{workspace.host}/?o=1234567890123456#job/{run.job_id}/run/{run.run_id}"
    assert ("hello\n", False, None) == (
        (output := output_of(client, run)).logs,
        output.logs_truncated,
        output.error,
    )
    assert State.TERMINATED is client.clusters.get(run.cluster_instance.cluster_id or "").state


def test_a_run_goes_through_its_states(workspace: StandIn, client: WorkspaceClient, tmp_path: Path) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: PENDING, then RUNNING, with its cluster."""
    workspace.faults.delay_cluster(polls=2)
    run_id = submit(client, WAIT, task(str(tmp_path / "go")))
    first = client.jobs.get_run(run_id)
    assert (RunLifeCycleState.PENDING, None, RunLifecycleStateV2State.PENDING, None, None) == states(first)
    assert [] == running_job_clusters(client)
    run = poll_until(client, run_id, is_running)
    assert (RunLifeCycleState.RUNNING, None, RunLifecycleStateV2State.RUNNING, None, None) == states(run)
    assert run.cluster_instance is not None
    assert [run.cluster_instance.cluster_id] == running_job_clusters(client)
    (tmp_path / "go").touch()
    over = await_end(workspace, client, run_id)
    assert (SUCCESS, []) == (states(over), running_job_clusters(client))
    assert (over.setup_duration or 0) + (over.execution_duration or 0) > 0


def test_a_task_gets_its_parameters_and_secrets(
    workspace: StandIn, client: WorkspaceClient, tasks: QuickTasks
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: parameters, variables and resolved secrets."""
    workspace.secrets["lake"] = {"key": "hush-hush"}
    settings = {"spark.secret": "{{secrets/lake/key}}", "spark.plain": "1"}
    spec = cluster(spark_conf=settings, spark_env_vars={"LAKE_KEY": "{{secrets/lake/key}}"})
    text = "import os, sys\nopen(sys.argv[1], 'w').write(os.environ['LAKE_KEY'])"
    run = await_end(workspace, client, submit(client, text, task(f"{ROOT}/received", new_cluster=spec)))
    assert SUCCESS == states(run), output_of(client, run)
    assert "hush-hush" == (workspace.volumes / "main/default/harness/received").read_text()
    assert {"spark.secret": "hush-hush", "spark.plain": "1"} == tasks.started[-1].spark_conf
    assert "hush-hush" not in json.dumps(run.as_dict())
    assert workspace.host == tasks.started[-1].environ["DATABRICKS_HOST"]


def test_a_workspace_path_is_a_wheel_and_a_parameter(workspace: StandIn, client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/jobs/submit: wheels may be workspace files, too."""
    client.workspace.upload(
        f"{HOME}/q.whl", b"import sys; open(sys.argv[1], 'w').write('x')", format=ImportFormat.AUTO
    )
    libraries = [Library(whl=f"/Workspace{HOME}/q.whl")]
    run_id = submit_again(client, task(f"/Workspace{HOME}/received", libraries=libraries))
    assert SUCCESS == states(await_end(workspace, client, run_id))
    assert 1 == client.workspace.get_status(f"{HOME}/received").size


def test_a_python_error_has_a_message_and_a_trace(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrunoutput: the task's error and error_trace."""
    text = "try:\n    raise ValueError('boom')\nexcept ValueError as e:\n    raise KeyError(1) from e"
    run = await_end(workspace, client, submit(client, text))
    output = output_of(client, run)
    assert states(run) == end_of(
        RunResultState.FAILED, TerminationCodeCode.RUN_EXECUTION_ERROR, TerminationTypeType.CLIENT_ERROR
    )
    assert ("KeyError: 1", 2) == (output.error, output.error_trace.count("Traceback"))
    assert "Task harness failed with message: Workload failed, see run output for details." == message_of(run)


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("fine\nSystemExit: 2\n", "SystemExit: 2"),
        ("Traceback (most recent call last):\n  File x\nA: b\nmore\n\nSystemExit: 1\n", "SystemExit: 1"),
        ("Traceback (most recent call last):\n  File x\nA: b\nmore\n", "A: b"),
        ("Killed\n", "Killed"),
        ("", "The task ended without output"),
    ],
)
def test_the_error_of_a_log_is_its_last(log: str, error: str) -> None:
    """The error of a log is its last exception, exit message or line."""
    assert error == find_error(log)[0]


def test_a_log_is_cut_to_its_last_5_mb(workspace: StandIn, client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/jobs/getrunoutput: the end, and that it is truncated."""
    text = f"print('a' * {LOG_BYTES})\nprint('end')"
    output = output_of(client, await_end(workspace, client, submit(client, text)))
    assert (LOG_BYTES, True, "end\n") == (len(output.logs), output.logs_truncated, output.logs[-4:])


def test_the_output_of_a_whole_run_is_refused(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrunoutput: only tasks have an output."""
    run_id = submit(client, "")
    await_end(workspace, client, run_id)
    with pytest.raises(InvalidParameterValue, match="each individual task run"):
        client.jobs.get_run_output(run_id)


def test_each_task_has_its_own_run(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: if one task fails, the run fails."""
    both = task("0", task_key="good"), task("1", task_key="bad")
    run = await_end(workspace, client, submit(client, "import sys; sys.exit(int(sys.argv[1]))", *both))
    assert run.tasks is not None
    results = [(each.task_key, each.state.result_state if each.state else None) for each in run.tasks]
    assert [("good", RunResultState.SUCCESS), ("bad", RunResultState.FAILED)] == results
    assert 3 == len({run.run_id, *(each.run_id for each in run.tasks)})
    assert message_of(run).startswith("Task bad failed")


def test_runs_are_listed_newest_first(workspace: StandIn, client: WorkspaceClient, tmp_path: Path) -> None:
    """https://docs.databricks.com/api/workspace/jobs/listruns: all runs, or only active ones."""
    first = submit(client, WAIT, task(str(tmp_path)))
    await_end(workspace, client, first)
    second = submit_again(client, task(str(tmp_path / "never")))
    assert [second, first] == [each.run_id for each in client.jobs.list_runs(limit=2)][:2]
    assert [second] == [each.run_id for each in client.jobs.list_runs(active_only=True)]


def test_a_run_is_deleted_after_its_end(workspace: StandIn, client: WorkspaceClient, tmp_path: Path) -> None:
    """https://docs.databricks.com/api/workspace/jobs/deleterun: an active run is refused."""
    run_id = submit(client, WAIT, task(str(tmp_path / "go")))
    with pytest.raises(BadRequest):
        client.jobs.delete_run(run_id)
    (tmp_path / "go").touch()
    await_end(workspace, client, run_id)
    client.jobs.delete_run(run_id)
    with pytest.raises(ResourceDoesNotExist):
        client.jobs.get_run(run_id)


def test_cancelling_answers_before_the_end(
    workspace: StandIn, client: WorkspaceClient, tmp_path: Path
) -> None:
    """| https://docs.databricks.com/api/workspace/jobs/cancelrun: the process gets a request to end."""
    asked = tmp_path / "asked"
    text = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n    pathlib.Path(sys.argv[1]).touch()\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('ready', flush=True)\nwhile True: time.sleep(0.01)"
    )
    run_id = submit(client, text, task(str(asked)))
    log = workspace.runs[run_id].tasks[0].log
    poll_until(client, run_id, lambda run: is_running(run) and log.read_text() == "ready\n")
    client.jobs.cancel_run(run_id)
    run = await_end(workspace, client, run_id)
    assert (CANCELED, True, []) == (states(run), asked.exists(), running_job_clusters(client))
    assert (True, "Run cancelled.") == (
        run.state is not None and run.state.user_cancelled_or_timedout,
        message_of(run),
    )


def test_a_run_is_cancelled_before_its_cluster_starts(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/cancelrun: PENDING becomes CANCELED."""
    workspace.faults.delay_cluster(polls=1000)
    run_id = submit(client, "")
    client.jobs.cancel_run(run_id)
    assert CANCELED == states(await_end(workspace, client, run_id))


def test_a_run_that_takes_too_long_is_stopped(
    workspace: StandIn, client: WorkspaceClient, tmp_path: Path
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: timeout_seconds ends it as TIMEDOUT."""
    run = await_end(workspace, client, submit(client, WAIT, task(str(tmp_path / "no")), timeout_seconds=1))
    assert states(run) == end_of(
        RunResultState.TIMEDOUT, TerminationCodeCode.CANCELED, TerminationTypeType.CLIENT_ERROR
    )


def test_one_idempotency_token_is_one_run(workspace: StandIn, client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/jobs/submit: the second answer has the first run's ID."""
    first = submit(client, "", idempotency_token="20181231-one")
    assert first == submit_again(client, idempotency_token="20181231-one")
    assert first != submit_again(client, idempotency_token="20181231-two")
    await_end(workspace, client, first)
