"""What a workspace is seen to have for a cluster: the right, the policy, the runtime, the machines."""

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

from tests.unit.doctor_samples import CLUSTER, ME, RUNTIME, Look, Workspace, node_type


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
def test_the_right_to_create_clusters_is_looked_for(
    look: Look, workspace: Workspace, entitlements: list[str], groups: list[str], expected: str
) -> None:
    """A right of one's own or an admin's is one; what a group gives is not for everyone to see."""
    workspace.answers["me"] = User(
        user_name=ME,
        entitlements=[ComplexValue(value=each) for each in entitlements],
        groups=[ComplexValue(display=each) for each in groups],
    )
    assert expected == look()["permission"].state


def test_a_policy_that_can_be_read_permits(look: Look, workspace: Workspace) -> None:
    """Whoever may use a policy may create clusters by it."""
    workspace.answers["me"] = User(user_name=ME)
    found = look(policy_id="0003")["permission"]
    assert ("ok", "by the cluster policy 'small'") == (found.state, found.found)


def test_a_policy_that_is_not_there_is_told(look: Look, workspace: Workspace) -> None:
    """The message has its id, the remedy the setting."""
    workspace.answers["policy"] = NotFound("Can't find a cluster policy with id: 0003.")
    found = look(policy_id="0003")["permission"]
    assert ("failed", True) == (found.state, "with id: 0003" in found.found)
    assert "HARNESS_TARGETS_DATABRICKS_POLICY_ID" in found.remedy


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("16.4.x-cpu-ml-scala2.12", "16.4 LTS ML"),
        ("15.4.x-cpu-ml-scala2.12", "Unknown runtime 15.4.x-cpu-ml-scala2.12."),
        ("16.4.x-scala2.12", "16.4.x-scala2.12 is not an ML runtime."),
    ],
    ids=["there", "not there", "no ML"],
)
def test_the_runtime_is_looked_for(look: Look, runtime: str, expected: str) -> None:
    """It has to be one that the workspace offers, and for machine learning."""
    assert look(runtime=runtime)["runtime"].found.startswith(expected)


def test_a_node_type_that_is_not_there_is_told(look: Look) -> None:
    """With the name that was probably meant."""
    found = look(node_type="Standard_D4ds_v4")["node type"]
    assert "failed" == found.state
    assert "Did you mean 'Standard_D4ds_v5'?" in found.found


def test_a_node_type_that_cannot_be_had_is_told(look: Look, workspace: Workspace) -> None:
    """The list has also what the region or the subscription does not."""
    node = node_type("Standard_D4ds_v5", CloudProviderNodeStatus.NOT_ENABLED_ON_SUBSCRIPTION)
    workspace.answers["nodes"] = ListNodeTypesResponse([node])
    assert "Standard_D4ds_v5 is not available: NotEnabledOnSubscription." == look()["node type"].found


def test_a_pool_stands_for_the_node_type(look: Look) -> None:
    """It has its own."""
    found = look(instance_pool_id="p-1")
    assert ("warm (D4)", False) == (found["instance pool"].found, "node type" in found)


def test_a_pool_that_is_gone_is_told(look: Look, workspace: Workspace) -> None:
    """A pool that was deleted is still found by its id."""
    workspace.answers["pool"] = GetInstancePool("p-1", state=InstancePoolState.DELETED)
    assert "its state is DELETED" in look(instance_pool_id="p-1")["instance pool"].found


def test_an_existing_cluster_stands_for_a_new_one(look: Look) -> None:
    """Nobody needs to be permitted to create one then."""
    found = look(cluster_id="c-1")
    assert ("ok", f"warm ({RUNTIME})") == (found["cluster"].state, found["cluster"].found)
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
def test_a_cluster_that_will_not_do_is_told(
    look: Look, workspace: Workspace, field: str, value: object, expected: str
) -> None:
    """What is wrong with it is known before the run is sent."""
    workspace.answers["cluster"] = ClusterDetails.from_dict(CLUSTER.as_dict())
    setattr(workspace.answers["cluster"], field, value)
    found = look(cluster_id="c-1")["cluster"]
    assert ("failed", True) == (found.state, expected in found.found)
