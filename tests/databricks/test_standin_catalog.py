"""The stand-in's secrets, runtimes, node types, clusters, policies and pools."""

from __future__ import annotations

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service.compute import State

from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import NODE, POLICY, POOL, RUNTIME, USER, WARM_CLUSTER


def test_secrets_are_listed_by_name(workspace: StandIn, client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/secrets/listsecrets: scopes and keys, but no values."""
    workspace.secrets["lake"] = {"key": "hush-hush"}
    assert ["lake"] == [each.name for each in client.secrets.list_scopes()]
    assert ["key"] == [each.key for each in client.secrets.list_secrets("lake")]
    with pytest.raises(PermissionDenied):
        client.secrets.get_secret("lake", "key")
    with pytest.raises(ResourceDoesNotExist, match="Scope other does not exist"):
        list(client.secrets.list_secrets("other"))


def test_runtimes_and_node_types_are_listed(client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/clusters/sparkversions: the SDK selects one of them."""
    assert RUNTIME == client.clusters.select_spark_version(ml=True, long_term_support=True)
    assert NODE in [each.node_type_id for each in client.clusters.list_node_types().node_types or []]


def test_clusters_policies_and_pools_are_found(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/clusters/get: by their ids; other ids are unknown."""
    assert State.RUNNING is client.clusters.get(WARM_CLUSTER).state
    assert POLICY == client.cluster_policies.get(POLICY).policy_id
    assert NODE == client.instance_pools.get(POOL).node_type_id
    for ask in (client.clusters.get, client.cluster_policies.get, client.instance_pools.get):
        with pytest.raises(ResourceDoesNotExist):
            ask("none")


def test_permissions_are_returned(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/permissions/get: the user may manage the cluster."""
    permissions = client.permissions.get("clusters", WARM_CLUSTER).access_control_list or []
    assert [USER] == [each.user_name for each in permissions]
