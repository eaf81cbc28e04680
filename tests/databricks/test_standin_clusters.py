"""The clusters and libraries that the stand-in accepts and refuses for runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, PermissionDenied
from databricks.sdk.service.compute import AutoScale, DataSecurityMode, Library, MavenLibrary, State
from databricks.sdk.service.jobs import (
    JobEnvironment,
    RunLifeCycleState,
    RunResultState,
    TerminationCodeCode,
    TerminationTypeType,
)

from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import POLICY, POOL, WARM_CLUSTER
from tests.databricks.submissions import (
    ROOT,
    SUCCESS,
    WHEEL,
    await_end,
    cluster,
    end_of,
    message_of,
    output_of,
    states,
    submit,
    submit_again,
    task,
)


@pytest.mark.parametrize(
    "library",
    [Library(whl=f"{ROOT}/none.whl"), Library(maven=MavenLibrary("com.example:nothing_2.12:1.0"))],
    ids=["wheel", "maven"],
)
def test_a_missing_library_ends_the_run(
    workspace: StandIn, client: WorkspaceClient, library: Library
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: INTERNAL_ERROR with the library's message."""
    libraries = [library] if library.whl else [Library(whl=WHEEL), library]
    run = await_end(workspace, client, submit(client, "", task(libraries=libraries)))
    assert states(run) == end_of(
        RunResultState.FAILED,
        TerminationCodeCode.LIBRARY_INSTALLATION_ERROR,
        TerminationTypeType.CLIENT_ERROR,
        RunLifeCycleState.INTERNAL_ERROR,
    )
    assert "Library installation failed" in message_of(run)
    assert output_of(client, run).error in message_of(run)


@pytest.mark.parametrize("field", ["spark_conf", "spark_env_vars"])
def test_a_missing_secret_prevents_the_start(workspace: StandIn, client: WorkspaceClient, field: str) -> None:
    """https://docs.databricks.com/aws/en/security/secrets: the cluster does not start, with the reason."""
    spec = cluster(**{field: {"fs.key": "{{secrets/none/key}}"}})
    run = await_end(workspace, client, submit(client, "", task(new_cluster=spec)))
    assert RunLifeCycleState.INTERNAL_ERROR is states(run)[0]
    assert "SECRET_RESOLUTION_ERROR" in message_of(run)


def test_a_cluster_that_does_not_start_ends_the_run(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: INTERNAL_ERROR; the next cluster starts."""
    workspace.faults.fail_cluster("No such machines today.")
    run = await_end(workspace, client, submit(client, ""))
    assert states(run) == end_of(
        RunResultState.FAILED,
        TerminationCodeCode.CLOUD_FAILURE,
        TerminationTypeType.CLOUD_FAILURE,
        RunLifeCycleState.INTERNAL_ERROR,
    )
    assert "No such machines today." in message_of(run)
    assert SUCCESS == states(await_end(workspace, client, submit_again(client)))


def test_a_warm_cluster_keeps_a_stale_wheel(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/aws/en/libraries: an installed wheel of the same name is not replaced."""
    name = f"{ROOT}/stale-1.0-py3-none-any.whl"
    warm = task(libraries=[Library(whl=name)], existing_cluster_id=WARM_CLUSTER)
    logs = []
    for text in (b"print(1)", b"print(2)"):
        client.files.upload(name, io.BytesIO(text), overwrite=True)
        logs.append(output_of(client, await_end(workspace, client, submit_again(client, warm))).logs)
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
def test_an_invalid_cluster_is_refused(
    workspace: StandIn, client: WorkspaceClient, changed: dict[str, Any], message: str
) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: refused at once, without a run."""
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
def test_an_invalid_task_is_refused(client: WorkspaceClient, changed: dict[str, Any], message: str) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: also for serverless compute."""
    with pytest.raises(InvalidParameterValue, match=message):
        client.jobs.submit(tasks=[task(**changed)], environments=[JobEnvironment("default")])


def test_a_valid_cluster_is_accepted(client: WorkspaceClient) -> None:
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


def test_a_user_without_the_entitlement_needs_a_policy(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/aws/en/security/auth/entitlements: 403, unless a policy allows it."""
    workspace.entitlements.remove("allow-cluster-create")
    try:
        with pytest.raises(PermissionDenied, match="not authorized to create clusters"):
            submit_again(client)
        assert submit(client, "", task(new_cluster=cluster(policy_id=POLICY)))
    finally:
        workspace.entitlements.append("allow-cluster-create")
