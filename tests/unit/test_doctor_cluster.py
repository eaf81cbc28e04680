"""Checks of a workspace's compute: permission, policy, runtime and node types."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import NotFound
from databricks.sdk.service.compute import (
    CloudProviderNodeStatus,
    ClusterDetails,
    DataSecurityMode,
    GetInstancePool,
    InstancePoolState,
    ListNodeTypesResponse,
)
from databricks.sdk.service.iam import ComplexValue, User

from tests.unit.doctor_samples import CLUSTER, ME, RUNTIME, RunChecks, Workspace, node_type


@pytest.mark.parametrize(
    ("entitlements", "groups", "expected"),
    [
        (["allow-cluster-create"], [], "ok"),
        ([], ["users", "admins"], "ok"),
        (["workspace-access"], ["users"], "not checkable"),
        (["workspace-access"], [], "failed"),
    ],
    ids=["own", "admin", "perhaps a group's", "none"],
)
def test_the_permission_to_create_clusters_is_checked(
    run_checks: RunChecks, workspace: Workspace, entitlements: list[str], groups: list[str], expected: str
) -> None:
    """A user's own or an admin's permission is enough; a group's can't be checked."""
    workspace.answers["me"] = User(
        user_name=ME,
        entitlements=[ComplexValue(value=each) for each in entitlements],
        groups=[ComplexValue(display=each) for each in groups],
    )
    assert expected == run_checks()["permission"].state


def test_a_readable_policy_permits_clusters(run_checks: RunChecks, workspace: Workspace) -> None:
    """A user who can read a policy may create clusters with it."""
    workspace.answers["me"] = User(user_name=ME)
    found = run_checks(policy_id="0003")["permission"]
    assert ("ok", "by the cluster policy 'small'") == (found.state, found.finding)


def test_a_missing_policy_is_reported(run_checks: RunChecks, workspace: Workspace) -> None:
    """A missing policy is reported with its ID and the setting."""
    workspace.answers["policy"] = NotFound("Can't find a cluster policy with id: 0003.")
    found = run_checks(policy_id="0003")["permission"]
    assert ("failed", True) == (found.state, "with id: 0003" in found.finding)
    assert "HARNESS_TARGETS_DATABRICKS_POLICY_ID" in found.remedy


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("16.4.x-cpu-ml-scala2.12", "16.4 LTS ML"),
        ("15.4.x-cpu-ml-scala2.12", "Unknown runtime 15.4.x-cpu-ml-scala2.12."),
        ("16.4.x-scala2.12", "16.4.x-scala2.12 is not an ML runtime."),
    ],
    ids=["exists", "missing", "no ML"],
)
def test_the_runtime_is_checked(run_checks: RunChecks, runtime: str, expected: str) -> None:
    """The runtime must be one for machine learning that the workspace offers."""
    assert run_checks(runtime=runtime)["runtime"].finding.startswith(expected)


def test_a_missing_node_type_is_reported(run_checks: RunChecks) -> None:
    """A missing node type is reported with a suggestion."""
    found = run_checks(node_type="Standard_D4ds_v4")["node type"]
    assert "failed" == found.state
    assert "Did you mean 'Standard_D4ds_v5'?" in found.finding


def test_an_unavailable_node_type_is_reported(run_checks: RunChecks, workspace: Workspace) -> None:
    """A node type that the region or subscription lacks is reported, although it is listed."""
    node = node_type("Standard_D4ds_v5", CloudProviderNodeStatus.NOT_ENABLED_ON_SUBSCRIPTION)
    workspace.answers["nodes"] = ListNodeTypesResponse([node])
    assert "Standard_D4ds_v5 is not available: NotEnabledOnSubscription." == run_checks()["node type"].finding


def test_a_pool_replaces_the_node_type(run_checks: RunChecks) -> None:
    """With an instance pool, the pool's node type is shown and no other is checked."""
    found = run_checks(instance_pool_id="p-1")
    assert ("warm (D4)", False) == (found["instance pool"].finding, "node type" in found)


def test_a_deleted_pool_is_reported(run_checks: RunChecks, workspace: Workspace) -> None:
    """A deleted pool, which the workspace still returns, is reported."""
    workspace.answers["pool"] = GetInstancePool("p-1", state=InstancePoolState.DELETED)
    assert "its state is DELETED" in run_checks(instance_pool_id="p-1")["instance pool"].finding


def test_an_existing_cluster_replaces_a_new_one(run_checks: RunChecks) -> None:
    """With an existing cluster, the permission to create clusters is not checked."""
    found = run_checks(cluster_id="c-1")
    assert ("ok", f"warm ({RUNTIME})") == (found["cluster"].state, found["cluster"].finding)
    assert not {"permission", "runtime", "node type"} & set(found)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("data_security_mode", DataSecurityMode.USER_ISOLATION, "the access mode USER_ISOLATION"),
        ("data_security_mode", None, "the access mode none"),
        ("single_user_name", "joe@example.com", "is dedicated to joe@example.com"),
        ("spark_version", "15.4.x-cpu-ml-scala2.12", f"the runtime 15.4.x-cpu-ml-scala2.12, not {RUNTIME}"),
    ],
    ids=["standard mode", "no isolation", "somebody else's", "another runtime"],
)
def test_an_unsuitable_cluster_is_reported(
    run_checks: RunChecks, workspace: Workspace, field: str, value: object, expected: str
) -> None:
    """An unsuitable cluster is reported with the reason before a run is submitted."""
    workspace.answers["cluster"] = ClusterDetails.from_dict(CLUSTER.as_dict())
    setattr(workspace.answers["cluster"], field, value)
    found = run_checks(cluster_id="c-1")["cluster"]
    assert ("failed", True) == (found.state, expected in found.finding)
