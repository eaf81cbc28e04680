"""The user, and everything that a job can use: secrets, clusters, policies, pools, volumes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from databricks.sdk.service.catalog import (
    ListTablesResponse,
    SchemaInfo,
    TablesAPI,
    TableType,
    VolumeInfo,
    VolumeType,
)
from databricks.sdk.service.compute import (
    ClusterPoliciesAPI,
    ClustersAPI,
    GetSparkVersionsResponse,
    InstancePoolsAPI,
    ListClustersFilterBy,
    ListClustersResponse,
    ListNodeTypesResponse,
)
from databricks.sdk.service.iam import (
    AccessControlResponse,
    ComplexValue,
    CurrentUserAPI,
    Name,
    ObjectPermissions,
    Permission,
    PermissionLevel,
    User,
    UserSchema,
)
from databricks.sdk.service.workspace import (
    ListScopesResponse,
    ListSecretsResponse,
    ScopeBackendType,
    SecretMetadata,
    SecretsAPI,
    SecretScope,
)
from starlette.responses import JSONResponse, Response

from tests.databricks.standin.state import NODE_TYPES, SPARK_VERSIONS, USER, WORKSPACE_ID, Workspace, now_ms
from tests.databricks.standin.wire import ApiError, Call, answer, invalid, missing

_PAGE = 20
_TABLES_PAGE = 2


def host_metadata(workspace: Workspace, call: Call) -> Response:
    """Return the metadata that the SDK requests first, without a token."""
    del call
    return JSONResponse(
        {
            "oidc_endpoint": f"{workspace.host}/oidc",
            "account_id": "6f0b1c5e-0d3a-4c55-9a52-2f6f5f0c7a10",
            "workspace_id": WORKSPACE_ID,
            "cloud": "AZURE",
        }
    )


def me(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/currentuser/me."""
    call.query_arguments(CurrentUserAPI.me)
    return answer(
        User(
            active=True,
            display_name="Jane Doe",
            emails=[ComplexValue(primary=True, type="work", value=USER)],
            entitlements=[ComplexValue(value=each) for each in workspace.entitlements],
            groups=[ComplexValue(display="users", ref="Groups/1001", type="direct", value="1001")],
            id="7654321098765432",
            name=Name(family_name="Doe", given_name="Jane"),
            schemas=[UserSchema.URN_IETF_PARAMS_SCIM_SCHEMAS_CORE_2_0_USER],
            user_name=USER,
        )
    )


def list_scopes(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/secrets/listscopes."""
    call.query_arguments(SecretsAPI.list_scopes)
    return answer(
        ListScopesResponse(
            [SecretScope(ScopeBackendType.DATABRICKS, name=each) for each in workspace.secrets]
        )
    )


def list_secrets(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/secrets/listsecrets: names, never values."""
    scope = call.query_arguments(SecretsAPI.list_secrets)["scope"]
    if scope not in workspace.secrets:
        raise missing(f"Scope {scope} does not exist!")
    return answer(ListSecretsResponse([SecretMetadata(key, now_ms()) for key in workspace.secrets[scope]]))


def get_secret(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/secrets/getsecret: refused to this user."""
    del workspace
    scope = call.query_arguments(SecretsAPI.get_secret)["scope"]
    raise ApiError(403, "PERMISSION_DENIED", f"User {USER} does not have READ permission on scope {scope}")


def spark_versions(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/clusters/sparkversions."""
    del workspace
    call.query_arguments(ClustersAPI.spark_versions)
    return answer(GetSparkVersionsResponse(list(SPARK_VERSIONS)))


def list_node_types(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/clusters/listnodetypes."""
    del workspace
    call.query_arguments(ClustersAPI.list_node_types)
    return answer(ListNodeTypesResponse(list(NODE_TYPES)))


def get_cluster(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/clusters/get."""
    cluster_id = call.query_arguments(ClustersAPI.get)["cluster_id"]
    if cluster_id not in workspace.clusters:
        raise invalid(f"Cluster {cluster_id} does not exist")
    return answer(workspace.clusters[cluster_id])


def list_clusters(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/clusters/list."""
    asked = call.query_arguments(ClustersAPI.list)
    only = asked.get("filter_by", ListClustersFilterBy())
    clusters = [
        each
        for each in list(workspace.clusters.values())
        if (not only.cluster_sources or each.cluster_source in only.cluster_sources)
        and (not only.cluster_states or each.state in only.cluster_states)
        and (only.policy_id is None or each.policy_id == only.policy_id)
    ]
    start, size = int(asked.get("page_token", "0")), asked.get("page_size", _PAGE)
    more = len(clusters) > start + size
    return answer(ListClustersResponse(clusters[start : start + size], str(start + size) if more else ""))


def get_policy(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/clusterpolicies/get."""
    policy_id = call.query_arguments(ClusterPoliciesAPI.get)["policy_id"]
    if policy_id not in workspace.policies:
        raise missing(f"Can't find a cluster policy with id: {policy_id}.")
    return answer(workspace.policies[policy_id])


def get_pool(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/instancepools/get."""
    pool_id = call.query_arguments(InstancePoolsAPI.get)["instance_pool_id"]
    if pool_id not in workspace.pools:
        raise missing(f"Can't find an instance pool with id: {pool_id}.")
    return answer(workspace.pools[pool_id])


def get_table(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/tables/get."""
    name = call.parts["name"]
    asked = dict(call.query)
    if asked.keys() - {"include_browse", "include_delta_metadata", "include_manifest_capabilities"}:
        raise invalid(f"Unknown field among {sorted(asked)}")
    if name not in workspace.tables:
        raise ApiError(404, "TABLE_DOES_NOT_EXIST", f"Table '{name}' does not exist.")
    return answer(workspace.tables[name])


def list_tables(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/tables/list: in pages, though the first may be empty."""
    asked = call.query_arguments(TablesAPI.list)
    schema = f"{asked['catalog_name']}.{asked['schema_name']}"
    if schema not in workspace.schemas:
        raise ApiError(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{schema}' does not exist.")
    names = sorted(name for name in workspace.tables if name.startswith(f"{schema}."))
    start = int(asked.get("page_token", "0"))
    more = len(names) > start + _TABLES_PAGE
    shown = [workspace.tables[name] for name in names[start : start + _TABLES_PAGE]]
    return answer(ListTablesResponse(str(start + _TABLES_PAGE) if more else None, shown))


def delete_table(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/tables/delete: with its files, if it is a managed one."""
    name = call.parts["name"]
    if name not in workspace.tables:
        raise ApiError(404, "TABLE_DOES_NOT_EXIST", f"Table '{name}' does not exist.")
    table = workspace.tables.pop(name)
    if table.table_type is TableType.MANAGED:
        shutil.rmtree(str(table.storage_location), ignore_errors=True)
    return JSONResponse({})


def get_schema(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/schemas/get."""
    name = call.parts["name"]
    if name not in workspace.schemas:
        raise ApiError(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{name}' does not exist.")
    catalog, _, schema = name.partition(".")
    return answer(SchemaInfo(catalog_name=catalog, full_name=name, name=schema, owner=USER))


def get_volume(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/volumes/read."""
    full_name = call.parts["name"]
    asked = dict(call.query)
    if asked.keys() - {"include_browse"}:
        raise invalid(f"Unknown field among {sorted(asked)}")
    if not workspace.has_volume("/Volumes/" + full_name.replace(".", "/")):
        raise ApiError(404, "VOLUME_DOES_NOT_EXIST", f"Volume '{full_name}' does not exist.")
    catalog, schema, name = full_name.split(".")
    return answer(
        VolumeInfo(
            catalog_name=catalog,
            full_name=full_name,
            name=name,
            owner=USER,
            schema_name=schema,
            volume_type=VolumeType.MANAGED,
        )
    )


def get_permissions(workspace: Workspace, call: Call) -> Response:
    """https://docs.databricks.com/api/workspace/permissions/get: the user may do anything."""
    kind, name = call.parts["kind"], call.parts["name"]
    objects: Mapping[str, Mapping[str, object]] = {
        "clusters": workspace.clusters,
        "cluster-policies": workspace.policies,
        "instance-pools": workspace.pools,
    }
    if name not in objects.get(kind, {}):
        raise missing(f"{kind} {name} does not exist.")
    allowed = [Permission(inherited=False, permission_level=PermissionLevel.CAN_MANAGE)]
    return answer(
        ObjectPermissions(
            access_control_list=[AccessControlResponse(allowed, display_name="Jane Doe", user_name=USER)],
            object_id=f"/{kind}/{name}",
            object_type=kind.rstrip("s"),
        )
    )
