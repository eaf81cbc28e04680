"""The stand-in's calls, each through the real SDK; what is submitted here are small Python texts."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.compute import (
    AutoScale,
    ClusterSource,
    ClusterSpec,
    DataSecurityMode,
    Library,
    ListClustersFilterBy,
    MavenLibrary,
    State,
)
from databricks.sdk.service.jobs import (
    JobEnvironment,
    PythonWheelTask,
    Run,
    RunLifeCycleState,
    RunLifecycleStateV2State,
    RunResultState,
    SubmitTask,
    TerminationCodeCode,
    TerminationTypeType,
)
from databricks.sdk.service.workspace import ImportFormat, ObjectType

from tests.databricks.conftest import connect
from tests.databricks.standin.output import LOG_BYTES, find_error
from tests.databricks.standin.quick import PUBLISHED, QuickTasks
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import NODE, POLICY, POOL, RUNTIME, USER, WARM_CLUSTER
from tests.databricks.standin.tracking import TrackingServer

ROOT = "/Volumes/main/default/harness"
HOME = f"/Users/{USER}"
WHEEL = f"{ROOT}/wheels/quick-1.0-py3-none-any.whl"
DEADLINE_S = 30
WAIT = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
GET = "/api/2.2/jobs/runs/get"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> QuickTasks:
    return QuickTasks(tmp_path_factory.mktemp("quick") / "workspace")


@pytest.fixture(scope="module")
def workspace(tasks: QuickTasks) -> Iterator[StandIn]:
    """A workspace without Spark and MLflow, in place of the one that the other tests share."""
    with StandIn(tasks.folder, tasks) as standin:
        yield standin


def cluster(**changed: Any) -> ClusterSpec:
    """A job cluster that a workspace takes."""
    given: dict[str, Any] = {
        "data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_DEDICATED,
        "node_type_id": NODE,
        "num_workers": 1,
        "spark_version": RUNTIME,
    }
    return ClusterSpec(**{**given, **changed})


def task(*parameters: str, **changed: Any) -> SubmitTask:
    """A task that a workspace takes."""
    given: dict[str, Any] = {
        "task_key": "harness",
        "libraries": [Library(whl=WHEEL), Library(maven=MavenLibrary(PUBLISHED))],
        "python_wheel_task": PythonWheelTask("quick", "main", parameters=list(parameters)),
    }
    if "existing_cluster_id" not in changed and "new_cluster" not in changed:
        given["new_cluster"] = cluster()
    return SubmitTask(**{**given, **changed})


def submit(client: WorkspaceClient, text: str, *tasks: SubmitTask, **given: Any) -> int:
    """Upload a text as the wheel, and submit it; the run's id."""
    client.files.upload(WHEEL, io.BytesIO(text.encode()), overwrite=True)
    return submit_again(client, *tasks, **given)


def submit_again(client: WorkspaceClient, *tasks: SubmitTask, **given: Any) -> int:
    run_id: int = client.jobs.submit(tasks=list(tasks) or [task()], **given).bind()["run_id"]
    return run_id


def ended(workspace: StandIn, client: WorkspaceClient, run_id: int) -> Run:
    """The run as it is once it is over."""
    workspace.runs[run_id].thread.join(DEADLINE_S)
    return client.jobs.get_run(run_id)


def until(client: WorkspaceClient, run_id: int, reached: Callable[[Run], bool]) -> Run:
    """The first answer that says so."""
    deadline = time.monotonic() + DEADLINE_S
    while not reached(run := client.jobs.get_run(run_id)):
        assert time.monotonic() < deadline, run
    return run


def is_running(run: Run) -> bool:
    assert run.state is not None
    return run.state.life_cycle_state is RunLifeCycleState.RUNNING


def states(run: Run) -> tuple[object, ...]:
    """What the old state and the new status say."""
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
    """The output of the run's only task."""
    assert run.tasks is not None
    assert run.tasks[0].run_id is not None
    return client.jobs.get_run_output(run.tasks[0].run_id)


def message_of(run: Run) -> str:
    assert run.state is not None
    return run.state.state_message or ""


def running_job_clusters(client: WorkspaceClient) -> list[str | None]:
    only = ListClustersFilterBy(cluster_sources=[ClusterSource.JOB])
    return [each.cluster_id for each in client.clusters.list(filter_by=only) if each.state is State.RUNNING]


def test_the_current_user_has_entitlements(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/currentuser/me: a name, and what the user may do."""
    me = client.current_user.me()
    assert (USER, True) == (
        me.user_name,
        "allow-cluster-create" in [each.value for each in me.entitlements or []],
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer wrong"}, 403)],
    ids=["no token", "wrong token"],
)
def test_no_token_and_a_wrong_one_are_refused(
    workspace: StandIn, headers: dict[str, str], status: int
) -> None:
    """Without a token the answer is 401, with a wrong one 403; the code is the same number."""
    answer = requests.get(f"{workspace.host}/api/2.0/preview/scim/v2/Me", headers=headers, timeout=DEADLINE_S)
    assert (status, status) == (answer.status_code, answer.json()["error_code"])


def test_the_sdk_names_a_wrong_token(workspace: StandIn) -> None:
    """The SDK makes a PermissionDenied of it."""
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        connect(workspace, "dapi-wrong").current_user.me()


def test_what_is_not_there_is_no_call(workspace: StandIn) -> None:
    """A path that the API does not have is answered with 404 and ENDPOINT_NOT_FOUND."""
    answer = requests.get(
        f"{workspace.host}/api/2.0/nothing",
        headers={"Authorization": f"Bearer {workspace.token}"},
        timeout=DEADLINE_S,
    )
    assert (404, "ENDPOINT_NOT_FOUND") == (answer.status_code, answer.json()["error_code"])


def test_calls_are_noted(workspace: StandIn, client: WorkspaceClient) -> None:
    """Each request is noted once, by its method and path; so is the SDK's question about the host."""
    client.current_user.me()
    assert ["GET /.well-known/databricks-config", "GET /api/2.0/preview/scim/v2/Me"] == workspace.calls


def test_a_file_of_a_volume_comes_back(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/upload: folders on the way are made by themselves."""
    client.files.upload(f"{ROOT}/a b/ü.bin", io.BytesIO(b"\x00\r\n\xff"))
    contents = client.files.download(f"{ROOT}/a b/ü.bin").contents
    assert contents is not None
    assert b"\x00\r\n\xff" == contents.read()


def test_a_file_has_metadata(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/getmetadata: its length and time, without a body."""
    client.files.upload(f"{ROOT}/four", io.BytesIO(b"four"))
    assert 4 == client.files.get_metadata(f"{ROOT}/four").content_length


def test_a_file_that_is_there_is_not_overwritten(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/upload: 409 with overwrite=false, else the new one."""
    client.files.upload(f"{ROOT}/twice", io.BytesIO(b"1"), overwrite=True)
    with pytest.raises(ResourceConflict):
        client.files.upload(f"{ROOT}/twice", io.BytesIO(b"2"), overwrite=False)
    assert 1 == client.files.get_metadata(f"{ROOT}/twice").content_length


def test_a_file_is_deleted(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/delete: what is gone is answered with 404."""
    client.files.upload(f"{ROOT}/gone", io.BytesIO(b""))
    client.files.delete(f"{ROOT}/gone")
    for ask in (client.files.get_metadata, client.files.download, client.files.delete):
        with pytest.raises(NotFound):
            ask(f"{ROOT}/gone")


def test_a_folder_of_a_volume_is_listed(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/listdirectorycontents: page by page."""
    client.files.create_directory(f"{ROOT}/folder/inner")
    client.files.upload(f"{ROOT}/folder/file", io.BytesIO(b"12"))
    found = client.files.list_directory_contents(f"{ROOT}/folder", page_size=1)
    assert [("file", False, 2), ("inner", True, None)] == [
        (each.name, each.is_directory, each.file_size) for each in found
    ]


def test_a_folder_goes_when_it_is_empty(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/files/deletedirectory: 400 before, 404 afterwards."""
    client.files.upload(f"{ROOT}/full/file", io.BytesIO(b""))
    with pytest.raises(BadRequest) as caught:
        client.files.delete_directory(f"{ROOT}/full")
    client.files.delete(f"{ROOT}/full/file")
    client.files.delete_directory(f"{ROOT}/full")
    assert ["FILES_API_DIRECTORY_IS_NOT_EMPTY"] == [each.reason for each in caught.value.get_error_info()]
    with pytest.raises(NotFound):
        client.files.get_directory_metadata(f"{ROOT}/full")


@pytest.mark.parametrize(
    "path",
    ["/Volumes/main/default/other/file", "/Volumes/main", "/Users/file"],
    ids=["other", "none", "users"],
)
def test_files_are_in_volumes_that_are_there(client: WorkspaceClient, path: str) -> None:
    """https://docs.databricks.com/api/workspace/files/upload: a volume that is not there takes nothing."""
    with pytest.raises((NotFound, InvalidParameterValue)):
        client.files.upload(path, io.BytesIO(b""))


def test_a_volume_is_known(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/volumes/read: by its three names; others answer 404."""
    assert "main.default.harness" == client.volumes.read("main.default.harness").full_name
    with pytest.raises(NotFound):
        client.volumes.read("main.default.other")


def test_a_workspace_file_comes_back(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/import: as the SDK posts it, bytes unchanged."""
    client.workspace.upload(f"{HOME}/a.bin", b"\x00\r\n\xff--", format=ImportFormat.AUTO, overwrite=True)
    assert b"\x00\r\n\xff--" == client.workspace.download(f"/Workspace{HOME}/a.bin").read()


def test_a_workspace_file_is_imported_as_json(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/export: base64 both ways."""
    client.workspace.import_(f"{HOME}/b.txt", content="Yg==", format=ImportFormat.AUTO, overwrite=True)
    assert "Yg==" == client.workspace.export(f"{HOME}/b.txt").content


def test_a_workspace_file_needs_a_folder_and_a_free_name(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/import: 404 and RESOURCE_ALREADY_EXISTS."""
    with pytest.raises(ResourceDoesNotExist, match="parent folder"):
        client.workspace.upload(f"{HOME}/none/c", b"", format=ImportFormat.AUTO)
    client.workspace.upload(f"{HOME}/c", b"", format=ImportFormat.AUTO)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.upload(f"{HOME}/c", b"", format=ImportFormat.AUTO)


def test_a_workspace_file_is_no_notebook(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/import: the default format is for notebooks."""
    with pytest.raises(DatabricksError, match=r"ImportFormat\.AUTO"):
        client.workspace.upload(f"{HOME}/plan.json", b"{}")


def test_workspace_folders_are_made_listed_and_deleted(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/workspace/delete: a full folder only recursively."""
    client.workspace.mkdirs(f"/Workspace{HOME}/d/e")
    client.workspace.upload(f"{HOME}/d/f", b"12", format=ImportFormat.AUTO)
    assert [(f"{HOME}/d/e", ObjectType.DIRECTORY, None), (f"{HOME}/d/f", ObjectType.FILE, 2)] == [
        (each.path, each.object_type, each.size) for each in client.workspace.list(f"{HOME}/d")
    ]
    with pytest.raises(DatabricksError) as caught:
        client.workspace.delete(f"{HOME}/d")
    assert "DIRECTORY_NOT_EMPTY" == caught.value.error_code
    client.workspace.delete(f"{HOME}/d", recursive=True)
    with pytest.raises(ResourceDoesNotExist):
        client.workspace.get_status(f"{HOME}/d")


def test_secrets_are_names(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/secrets/listsecrets: scopes and keys, and never a value."""
    workspace.secrets["lake"] = {"key": "hush-hush"}
    assert ["lake"] == [each.name for each in client.secrets.list_scopes()]
    assert ["key"] == [each.key for each in client.secrets.list_secrets("lake")]
    with pytest.raises(PermissionDenied):
        client.secrets.get_secret("lake", "key")
    with pytest.raises(ResourceDoesNotExist, match="Scope other does not exist"):
        list(client.secrets.list_secrets("other"))


def test_runtimes_and_node_types_are_listed(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/clusters/sparkversions: the SDK selects among them."""
    assert RUNTIME == client.clusters.select_spark_version(ml=True, long_term_support=True)
    assert NODE in [each.node_type_id for each in client.clusters.list_node_types().node_types or []]


def test_clusters_policies_and_pools_are_known(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/clusters/get: by their ids; others are not there."""
    assert State.RUNNING is client.clusters.get(WARM_CLUSTER).state
    assert POLICY == client.cluster_policies.get(POLICY).policy_id
    assert NODE == client.instance_pools.get(POOL).node_type_id
    for ask in (client.clusters.get, client.cluster_policies.get, client.instance_pools.get):
        with pytest.raises(ResourceDoesNotExist):
            ask("none")


def test_permissions_are_told(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/permissions/get: the user may manage the cluster."""
    found = client.permissions.get("clusters", WARM_CLUSTER).access_control_list or []
    assert [USER] == [each.user_name for each in found]


def test_a_run_that_succeeds(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: both kinds of state, times, page and cluster."""
    run = ended(workspace, client, submit(client, "print('hello')", run_name="harness"))
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


def test_a_run_goes_from_state_to_state(workspace: StandIn, client: WorkspaceClient, tmp_path: Path) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: PENDING, RUNNING, and its cluster meanwhile."""
    workspace.faults.delay_cluster(polls=2)
    run_id = submit(client, WAIT, task(str(tmp_path / "go")))
    first = client.jobs.get_run(run_id)
    assert (RunLifeCycleState.PENDING, None, RunLifecycleStateV2State.PENDING, None, None) == states(first)
    assert [] == running_job_clusters(client)
    run = until(client, run_id, is_running)
    assert (RunLifeCycleState.RUNNING, None, RunLifecycleStateV2State.RUNNING, None, None) == states(run)
    assert run.cluster_instance is not None
    assert [run.cluster_instance.cluster_id] == running_job_clusters(client)
    (tmp_path / "go").touch()
    over = ended(workspace, client, run_id)
    assert (SUCCESS, []) == (states(over), running_job_clusters(client))
    assert (over.setup_duration or 0) + (over.execution_duration or 0) > 0


def test_a_task_gets_what_was_submitted(
    workspace: StandIn, client: WorkspaceClient, tasks: QuickTasks
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: parameters, variables, and secrets in place."""
    workspace.secrets["lake"] = {"key": "hush-hush"}
    told = {"spark.secret": "{{secrets/lake/key}}", "spark.plain": "1"}
    spec = cluster(spark_conf=told, spark_env_vars={"LAKE_KEY": "{{secrets/lake/key}}"})
    text = "import os, sys\nopen(sys.argv[1], 'w').write(os.environ['LAKE_KEY'])"
    run = ended(workspace, client, submit(client, text, task(f"{ROOT}/told", new_cluster=spec)))
    assert SUCCESS == states(run), output_of(client, run)
    assert "hush-hush" == (workspace.volumes / "main/default/harness/told").read_text()
    assert {"spark.secret": "hush-hush", "spark.plain": "1"} == tasks.started[-1].spark_conf
    assert "hush-hush" not in json.dumps(run.as_dict())
    assert workspace.host == tasks.started[-1].environ["DATABRICKS_HOST"]


def test_a_workspace_path_is_a_wheel_and_a_parameter(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: wheels come from workspace files as well."""
    client.workspace.upload(
        f"{HOME}/q.whl", b"import sys; open(sys.argv[1], 'w').write('x')", format=ImportFormat.AUTO
    )
    libraries = [Library(whl=f"/Workspace{HOME}/q.whl")]
    run_id = submit_again(client, task(f"/Workspace{HOME}/told", libraries=libraries))
    assert SUCCESS == states(ended(workspace, client, run_id))
    assert 1 == client.workspace.get_status(f"{HOME}/told").size


def test_a_python_error_has_a_message_and_a_trace(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrunoutput: the task's error and error_trace."""
    text = "try:\n    raise ValueError('boom')\nexcept ValueError as e:\n    raise KeyError(1) from e"
    run = ended(workspace, client, submit(client, text))
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
        ("", "The task ended without a word"),
    ],
)
def test_the_error_of_a_log_is_its_last(log: str, error: str) -> None:
    """The line of the last exception, or the exit's, or what was said last."""
    assert error == find_error(log)[0]


def test_a_log_is_cut_to_its_last_5_mb(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrunoutput: the end is given, and that it is cut."""
    text = f"print('a' * {LOG_BYTES})\nprint('end')"
    output = output_of(client, ended(workspace, client, submit(client, text)))
    assert (LOG_BYTES, True, "end\n") == (len(output.logs), output.logs_truncated, output.logs[-4:])


def test_the_output_of_a_whole_run_is_refused(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrunoutput: only tasks have an output."""
    run_id = submit(client, "")
    ended(workspace, client, run_id)
    with pytest.raises(InvalidParameterValue, match="each individual task run"):
        client.jobs.get_run_output(run_id)


def test_several_tasks_have_runs_of_their_own(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: one fails, and so does the run."""
    both = task("0", task_key="good"), task("1", task_key="bad")
    run = ended(workspace, client, submit(client, "import sys; sys.exit(int(sys.argv[1]))", *both))
    assert run.tasks is not None
    results = [(each.task_key, each.state.result_state if each.state else None) for each in run.tasks]
    assert [("good", RunResultState.SUCCESS), ("bad", RunResultState.FAILED)] == results
    assert 3 == len({run.run_id, *(each.run_id for each in run.tasks)})
    assert message_of(run).startswith("Task bad failed")


def test_runs_are_listed_the_newest_first(
    workspace: StandIn, client: WorkspaceClient, tmp_path: Path
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/listruns: all, or those that are active."""
    first = submit(client, WAIT, task(str(tmp_path)))
    ended(workspace, client, first)
    second = submit_again(client, task(str(tmp_path / "never")))
    assert [second, first] == [each.run_id for each in client.jobs.list_runs(limit=2)][:2]
    assert [second] == [each.run_id for each in client.jobs.list_runs(active_only=True)]


def test_a_run_is_deleted_when_it_is_over(
    workspace: StandIn, client: WorkspaceClient, tmp_path: Path
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/deleterun: not while it is active."""
    run_id = submit(client, WAIT, task(str(tmp_path / "go")))
    with pytest.raises(BadRequest):
        client.jobs.delete_run(run_id)
    (tmp_path / "go").touch()
    ended(workspace, client, run_id)
    client.jobs.delete_run(run_id)
    with pytest.raises(ResourceDoesNotExist):
        client.jobs.get_run(run_id)


def test_cancelling_answers_before_the_end(
    workspace: StandIn, client: WorkspaceClient, tmp_path: Path
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/cancelrun: the process is asked to end."""
    asked = tmp_path / "asked"
    text = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n    pathlib.Path(sys.argv[1]).touch()\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('ready', flush=True)\nwhile True: time.sleep(0.01)"
    )
    run_id = submit(client, text, task(str(asked)))
    log = workspace.runs[run_id].tasks[0].log
    until(client, run_id, lambda run: is_running(run) and log.read_text() == "ready\n")
    client.jobs.cancel_run(run_id)
    run = ended(workspace, client, run_id)
    assert (CANCELED, True, []) == (states(run), asked.exists(), running_job_clusters(client))
    assert (True, "Run cancelled.") == (
        run.state is not None and run.state.user_cancelled_or_timedout,
        message_of(run),
    )


def test_a_run_is_cancelled_before_its_cluster_is_there(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/cancelrun: PENDING goes to CANCELED."""
    workspace.faults.delay_cluster(polls=1000)
    run_id = submit(client, "")
    client.jobs.cancel_run(run_id)
    assert CANCELED == states(ended(workspace, client, run_id))


def test_a_run_that_takes_too_long_is_stopped(
    workspace: StandIn, client: WorkspaceClient, tmp_path: Path
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: timeout_seconds ends it as TIMEDOUT."""
    run = ended(workspace, client, submit(client, WAIT, task(str(tmp_path / "no")), timeout_seconds=1))
    assert states(run) == end_of(
        RunResultState.TIMEDOUT, TerminationCodeCode.CANCELED, TerminationTypeType.CLIENT_ERROR
    )


def test_one_idempotency_token_is_one_run(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: the second answer has the first run's id."""
    first = submit(client, "", idempotency_token="20181231-one")
    assert first == submit_again(client, idempotency_token="20181231-one")
    assert first != submit_again(client, idempotency_token="20181231-two")
    ended(workspace, client, first)


@pytest.mark.parametrize(
    "library",
    [Library(whl=f"{ROOT}/none.whl"), Library(maven=MavenLibrary("com.example:nothing_2.12:1.0"))],
    ids=["wheel", "maven"],
)
def test_a_library_that_is_not_there(workspace: StandIn, client: WorkspaceClient, library: Library) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: INTERNAL_ERROR with the library's message."""
    libraries = [library] if library.whl else [Library(whl=WHEEL), library]
    run = ended(workspace, client, submit(client, "", task(libraries=libraries)))
    assert states(run) == end_of(
        RunResultState.FAILED,
        TerminationCodeCode.LIBRARY_INSTALLATION_ERROR,
        TerminationTypeType.CLIENT_ERROR,
        RunLifeCycleState.INTERNAL_ERROR,
    )
    assert "Library installation failed" in message_of(run)
    assert output_of(client, run).error in message_of(run)


@pytest.mark.parametrize("field", ["spark_conf", "spark_env_vars"])
def test_a_secret_that_is_not_there(workspace: StandIn, client: WorkspaceClient, field: str) -> None:
    """https://docs.databricks.com/aws/en/security/secrets: the cluster does not start, and says why."""
    spec = cluster(**{field: {"fs.key": "{{secrets/none/key}}"}})
    run = ended(workspace, client, submit(client, "", task(new_cluster=spec)))
    assert RunLifeCycleState.INTERNAL_ERROR is states(run)[0]
    assert "SECRET_RESOLUTION_ERROR" in message_of(run)


def test_a_cluster_that_does_not_start(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: INTERNAL_ERROR; the next run has one."""
    workspace.faults.fail_cluster("No such machines today.")
    run = ended(workspace, client, submit(client, ""))
    assert states(run) == end_of(
        RunResultState.FAILED,
        TerminationCodeCode.CLOUD_FAILURE,
        TerminationTypeType.CLOUD_FAILURE,
        RunLifeCycleState.INTERNAL_ERROR,
    )
    assert "No such machines today." in message_of(run)
    assert SUCCESS == states(ended(workspace, client, submit_again(client)))


def test_a_warm_cluster_serves_a_known_wheel_stale(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/aws/en/libraries: a wheel of a name that is installed is not read again."""
    name = f"{ROOT}/stale-1.0-py3-none-any.whl"
    warm = task(libraries=[Library(whl=name)], existing_cluster_id=WARM_CLUSTER)
    logs = []
    for text in (b"print(1)", b"print(2)"):
        client.files.upload(name, io.BytesIO(text), overwrite=True)
        logs.append(output_of(client, ended(workspace, client, submit_again(client, warm))).logs)
    assert ["1\n", "1\n"] == logs
    assert State.RUNNING is client.clusters.get(WARM_CLUSTER).state


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spark_version": "1.0.x-scala2.12"}, "Invalid spark version"),
        ({"node_type_id": "huge"}, "Node type huge is not supported"),
        (
            {"data_security_mode": DataSecurityMode.DATA_SECURITY_MODE_STANDARD},
            "DATA_SECURITY_MODE_DEDICATED",
        ),
        ({"data_security_mode": DataSecurityMode.USER_ISOLATION}, "DATA_SECURITY_MODE_DEDICATED"),
        ({"data_security_mode": None}, "DATA_SECURITY_MODE_DEDICATED"),
        ({"policy_id": "none"}, "cluster policy"),
        ({"instance_pool_id": "none", "node_type_id": None}, "instance pool"),
        ({"instance_pool_id": POOL}, "node_type_id"),
        ({"num_workers": None}, "Exactly one"),
        ({"autoscale": AutoScale(2, 1)}, "Exactly one"),
        ({"num_workers": 0}, "singleNode"),
        ({"is_single_node": True}, "CLASSIC_PREVIEW"),
    ],
)
def test_a_cluster_that_no_workspace_starts(
    workspace: StandIn, client: WorkspaceClient, changed: dict[str, Any], message: str
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: refused at once, and there is no run."""
    before = len(workspace.runs)
    with pytest.raises(InvalidParameterValue, match=message):
        submit_again(client, task(new_cluster=cluster(**changed)))
    assert before == len(workspace.runs)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"new_cluster": None}, "serverless"),
        ({"new_cluster": None, "libraries": None, "environment_key": "default"}, "serverless"),
        ({"existing_cluster_id": WARM_CLUSTER, "new_cluster": cluster()}, "only one of"),
        ({"existing_cluster_id": "none"}, "Cluster none does not exist"),
        ({"python_wheel_task": None}, "Python wheel tasks only"),
        ({"libraries": [Library(whl="dbfs:/wheel.whl")]}, "DBFS root"),
        ({"libraries": [Library(whl=WHEEL, jar="a.jar")]}, "exactly one kind"),
    ],
)
def test_a_task_that_no_workspace_runs(
    client: WorkspaceClient, changed: dict[str, Any], message: str
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: serverless among them."""
    with pytest.raises(InvalidParameterValue, match=message):
        client.jobs.submit(tasks=[task(**changed)], environments=[JobEnvironment("default")])


def test_clusters_that_a_workspace_does_start(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/clusters/create: a single node, a pool, autoscaling."""
    single = {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"}
    tags = {"ResourceClass": "SingleNode"}
    for changed in (
        {"num_workers": 0, "spark_conf": single, "custom_tags": tags},
        {"instance_pool_id": POOL, "node_type_id": None},
        {"num_workers": None, "autoscale": AutoScale(2, 1), "policy_id": POLICY},
        {"data_security_mode": DataSecurityMode.SINGLE_USER},
    ):
        assert submit(client, "", task(new_cluster=cluster(**changed)))


def test_a_user_who_may_not_create_clusters(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/aws/en/security/auth/entitlements: 403, unless a policy allows it."""
    workspace.entitlements.remove("allow-cluster-create")
    try:
        with pytest.raises(PermissionDenied, match="not authorized to create clusters"):
            submit_again(client)
        assert submit(client, "", task(new_cluster=cluster(policy_id=POLICY)))
    finally:
        workspace.entitlements.append("allow-cluster-create")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"tsks": []}, "tsks"),
        ({"tasks": [{"task_key": "a", "installs": []}, {"installs": [1]}]}, r"tasks\[1\]\.installs"),
        ({"tasks": [{"task_key": "a", "new_cluster": {"num_workers": "1"}}]}, "new_cluster.num_workers"),
        ({"tasks": [{"task_key": "a", "new_cluster": {"data_security_mode": "X"}}]}, "data_security_mode"),
        ({"tasks": [{"task_key": "a", "python_wheel_task": {"entry_point": "m"}}]}, "package_name"),
        ({"tasks": {}}, "tasks"),
        ({"timeout_seconds": "60"}, "timeout_seconds"),
        ({"tasks": [{"task_key": "a", "libraries": ["x"]}]}, r"tasks\[0\]"),
        ({}, "At least one task"),
    ],
)
def test_a_field_that_the_api_does_not_have(
    client: WorkspaceClient, body: dict[str, Any], named: str
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: INVALID_PARAMETER_VALUE that names the field."""
    with pytest.raises(InvalidParameterValue, match=named):
        client.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)


def test_a_query_that_the_api_does_not_have(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: unknown, missing, of a wrong type."""
    for query in ({}, {"run_id": "x"}, {"run_id": 1, "other": 2}):
        with pytest.raises(InvalidParameterValue):
            client.api_client.do("GET", GET, query=query)


def test_a_body_that_is_no_json(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/introduction: MALFORMED_REQUEST."""
    with pytest.raises(BadRequest, match="no JSON"):
        client.api_client.do("POST", "/api/2.2/jobs/runs/submit", data="{")


@pytest.mark.parametrize("status", [429, 503])
def test_a_burst_of_refusals_is_retried(workspace: StandIn, client: WorkspaceClient, status: int) -> None:
    """https://docs.databricks.com/aws/en/resources/limits: with Retry-After, which the SDK keeps to."""
    workspace.faults.throttle(3, status=status, prefix="/api/2.0/preview")
    assert USER == client.current_user.me().user_name
    assert 4 == workspace.calls.count("GET /api/2.0/preview/scim/v2/Me")


def test_a_dropped_connection_is_taken_up_again(workspace: StandIn, client: WorkspaceClient) -> None:
    """The connection is closed without an answer, from the second request on; the SDK asks again."""
    workspace.faults.drop(2, prefix="/api/2.0/preview", after=1)
    assert [USER] * 2 == [client.current_user.me().user_name for _ in range(2)]
    assert 4 == workspace.calls.count("GET /api/2.0/preview/scim/v2/Me")


def test_a_dropped_connection_has_no_answer(workspace: StandIn, client: WorkspaceClient) -> None:
    """Without retries, a client sees the connection's end and no status."""
    del client
    workspace.faults.drop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{workspace.host}/api/2.0/preview/scim/v2/Me", timeout=DEADLINE_S)


@pytest.mark.parametrize("prefix", ["/api/2.0/fs", "/api/2.0/workspace"])
def test_an_upload_that_is_cut_off_stores_nothing(
    workspace: StandIn, client: WorkspaceClient, prefix: str
) -> None:
    """The connection ends while the body is read, and there is no part of the file; the next one is whole."""
    volume = prefix.endswith("fs")
    path = f"{prefix}/files{ROOT}/cut" if volume else f"{prefix}/import"
    headers = {"Authorization": f"Bearer {workspace.token}"}
    workspace.faults.cut_uploads()
    with pytest.raises(requests.ConnectionError):
        requests.request(
            "PUT" if volume else "POST",
            workspace.host + path,
            data=b"x" * 10_000_000,
            headers=headers,
            timeout=DEADLINE_S,
        )
    assert not (workspace.volumes / "main/default/harness/cut").exists()
    client.files.upload(f"{ROOT}/cut-2", io.BytesIO(b"whole"))
    assert 5 == client.files.get_metadata(f"{ROOT}/cut-2").content_length


def test_the_sdk_sends_a_cut_upload_again(workspace: StandIn, client: WorkspaceClient) -> None:
    """What can be read again is sent again, from its start."""
    workspace.faults.cut_uploads(2)
    client.files.upload(f"{ROOT}/again", io.BytesIO(b"0123456789"))
    assert 10 == client.files.get_metadata(f"{ROOT}/again").content_length


def test_a_token_expires_in_the_middle(workspace: StandIn, client: WorkspaceClient) -> None:
    """From the second question on it is wrong, until there is a new one; the job's own goes on."""
    workspace.faults.expire_token(prefix="/api/2.0/preview", after=1)
    client.current_user.me()
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        client.current_user.me()
    workspace.token = "dapi-new"
    for token in ("dapi-new", workspace.job_token):
        assert USER == connect(workspace, token).current_user.me().user_name


def test_somebody_else_cancels(workspace: StandIn, client: WorkspaceClient, tmp_path: Path) -> None:
    """The run is cancelled when it has been asked for twice."""
    workspace.faults.cancel_outside(polls=2)
    run_id = submit(client, WAIT, task(str(tmp_path / "never")))
    client.jobs.get_run(run_id)
    client.jobs.get_run(run_id)
    assert CANCELED == states(ended(workspace, client, run_id))


def test_mlflow_goes_through(tracking: TrackingServer, tmp_path: Path) -> None:
    """https://docs.databricks.com/api/workspace/experiments/createexperiment: a real server's experiments."""
    with StandIn(tmp_path / "workspace", QuickTasks(tmp_path / "workspace"), tracking.url) as workspace:
        client = connect(workspace)
        created = client.experiments.create_experiment(f"{HOME}/harness").experiment_id
        found = client.experiments.get_by_name(f"{HOME}/harness").experiment
        assert found is not None
        assert created == found.experiment_id


@pytest.mark.parametrize(
    ("name", "error"),
    [("harness", InvalidParameterValue), ("/Users/nobody/harness", ResourceDoesNotExist)],
    ids=["relative", "no folder"],
)
def test_an_experiment_is_a_path(client: WorkspaceClient, name: str, error: type[DatabricksError]) -> None:
    """https://docs.databricks.com/api/workspace/experiments/createexperiment: absolute, in a folder."""
    with pytest.raises(error):
        client.experiments.create_experiment(name)


def test_without_a_token_mlflow_is_refused(workspace: StandIn, client: WorkspaceClient) -> None:
    """What goes through to MLflow needs the token as well."""
    del client
    url = f"{workspace.host}/api/2.0/mlflow/experiments/search"
    with pytest.raises(requests.HTTPError, match="401"):
        requests.post(url, json={}, timeout=DEADLINE_S).raise_for_status()
