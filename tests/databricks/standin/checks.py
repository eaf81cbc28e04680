"""Submissions that a workspace refuses: https://docs.databricks.com/api/workspace/jobs/submit."""

from __future__ import annotations

from databricks.sdk.service.compute import ClusterSpec, DataSecurityMode, Kind, Library
from databricks.sdk.service.jobs import SubmitTask

from tests.databricks.standin.state import NODE_TYPES, SPARK_VERSIONS, Workspace
from tests.databricks.standin.wire import ApiError, invalid

_DEDICATED = {DataSecurityMode.DATA_SECURITY_MODE_DEDICATED, DataSecurityMode.SINGLE_USER}
_SINGLE_NODE = "spark.databricks.cluster.profile"
_TOKEN_LENGTH = 64


def check_token(token: str | None) -> None:
    """Require an idempotency token of at most 64 characters."""
    if token is not None and not 0 < len(token) <= _TOKEN_LENGTH:
        raise invalid(f"The idempotency token must have at most {_TOKEN_LENGTH} characters")


def check_task(workspace: Workspace, task: SubmitTask) -> None:
    """Refuse a task that no workspace accepts, or that can't run this kind of job."""
    if task.python_wheel_task is None:
        raise invalid(f"Task {task.task_key}: the stand-in runs Python wheel tasks only")
    if task.python_wheel_task.parameters and task.python_wheel_task.named_parameters:
        raise invalid(f"Task {task.task_key}: only one of parameters and named_parameters may be given")
    if (task.new_cluster is None) == (task.existing_cluster_id is None):
        raise _cluster_fault(task)
    for library in task.libraries or ():
        _check_library(task, library)
    if task.existing_cluster_id is not None and task.existing_cluster_id not in workspace.clusters:
        raise invalid(f"Cluster {task.existing_cluster_id} does not exist")
    if task.new_cluster is not None:
        _check_cluster(workspace, task.new_cluster)


def _cluster_fault(task: SubmitTask) -> ApiError:
    if task.new_cluster is not None:
        return invalid(f"Task {task.task_key}: only one of new_cluster and existing_cluster_id may be given")
    if task.libraries:
        return invalid(
            f"Task {task.task_key}: Libraries field is not supported for serverless task, "
            "please specify libraries in environment."
        )
    return invalid(f"Task {task.task_key}: serverless compute can't run Spark ML; give a cluster")


def _check_library(task: SubmitTask, library: Library) -> None:
    kinds = sorted(library.as_dict())
    if len(kinds) != 1:
        raise invalid(f"Task {task.task_key}: a library is of exactly one kind, not {kinds}")
    if kinds[0] not in {"maven", "whl"}:
        raise invalid(
            f"Task {task.task_key}: the stand-in installs wheels and Maven libraries, not {kinds[0]}"
        )
    if library.whl is not None and library.whl.startswith(("dbfs:", "/dbfs")):
        raise invalid(f"Libraries stored in DBFS root are not supported: {library.whl}")


def _check_cluster(workspace: Workspace, cluster: ClusterSpec) -> None:
    if "allow-cluster-create" not in workspace.entitlements and cluster.policy_id is None:
        raise ApiError(
            403,
            "PERMISSION_DENIED",
            "You are not authorized to create clusters. Please contact your administrator.",
        )
    if cluster.spark_version not in {each.key for each in SPARK_VERSIONS}:
        raise _wrong(f"Invalid spark version {cluster.spark_version}.")
    if cluster.data_security_mode not in _DEDICATED:
        mode = cluster.data_security_mode
        raise _wrong(
            f"Data security mode {mode.value if mode else 'NONE'} can't run this job: Databricks Runtime ML "
            "and Maven libraries such as SynapseML need DATA_SECURITY_MODE_DEDICATED."
        )
    if cluster.policy_id is not None and cluster.policy_id not in workspace.policies:
        raise _wrong(f"Can't find a cluster policy with id: {cluster.policy_id}.")
    if cluster.kind is not Kind.CLASSIC_PREVIEW and (cluster.is_single_node or cluster.use_ml_runtime):
        raise _wrong("is_single_node and use_ml_runtime can only be used when kind = CLASSIC_PREVIEW.")
    _check_nodes(workspace, cluster)
    _check_size(cluster)


def _check_nodes(workspace: Workspace, cluster: ClusterSpec) -> None:
    if cluster.instance_pool_id is not None:
        if cluster.instance_pool_id not in workspace.pools:
            raise _wrong(f"Can't find an instance pool with id: {cluster.instance_pool_id}.")
        if cluster.node_type_id is not None:
            raise _wrong("The field 'node_type_id' cannot be supplied when an instance pool ID is provided.")
        return
    names = [each.node_type_id for each in NODE_TYPES]
    for name in (cluster.node_type_id, cluster.driver_node_type_id or cluster.node_type_id):
        if name not in names:
            raise _wrong(f"Node type {name} is not supported. Supported node types: {', '.join(names)}.")


def _check_size(cluster: ClusterSpec) -> None:
    if cluster.is_single_node:
        return
    if (cluster.num_workers is None) == (cluster.autoscale is None):
        raise _wrong("Exactly one of num_workers and autoscale must be given.")
    single = (cluster.spark_conf or {}).get(_SINGLE_NODE) == "singleNode"
    tagged = (cluster.custom_tags or {}).get("ResourceClass") == "SingleNode"
    if cluster.num_workers == 0 and not (single and tagged):
        raise _wrong(
            f"num_workers is 0 without {_SINGLE_NODE} = singleNode in spark_conf "
            "and ResourceClass = SingleNode in custom_tags: no Spark job would ever run."
        )


def _wrong(message: str) -> ApiError:
    return invalid(f"Cluster validation error: {message}")
