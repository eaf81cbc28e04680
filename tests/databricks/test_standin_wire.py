"""Requests to the stand-in: authentication, and calls that the API does not have."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, PermissionDenied

from tests.databricks.conftest import connect
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import USER
from tests.databricks.submissions import DEADLINE_S

GET = "/api/2.2/jobs/runs/get"


def test_the_current_user_has_entitlements(client: WorkspaceClient) -> None:
    """| https://docs.databricks.com/api/workspace/currentuser/me: the name and the entitlements."""
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
def test_a_missing_or_wrong_token_is_refused(
    workspace: StandIn, headers: dict[str, str], status: int
) -> None:
    """A missing token is answered with 401 and a wrong one with 403."""
    answer = requests.get(f"{workspace.host}/api/2.0/preview/scim/v2/Me", headers=headers, timeout=DEADLINE_S)
    assert (status, status) == (answer.status_code, answer.json()["error_code"])


def test_the_sdk_reports_a_wrong_token(workspace: StandIn) -> None:
    """The SDK raises PermissionDenied for a wrong token."""
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        connect(workspace, "dapi-wrong").current_user.me()


def test_an_unknown_path_is_not_found(workspace: StandIn) -> None:
    """An unknown path is answered with 404 and ENDPOINT_NOT_FOUND."""
    answer = requests.get(
        f"{workspace.host}/api/2.0/nothing",
        headers={"Authorization": f"Bearer {workspace.token}"},
        timeout=DEADLINE_S,
    )
    assert (404, "ENDPOINT_NOT_FOUND") == (answer.status_code, answer.json()["error_code"])


def test_calls_are_recorded(workspace: StandIn, client: WorkspaceClient) -> None:
    """Each request is recorded once by method and path, including the SDK's host lookup."""
    client.current_user.me()
    assert ["GET /.well-known/databricks-config", "GET /api/2.0/preview/scim/v2/Me"] == workspace.calls


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
def test_an_unknown_field_is_refused(client: WorkspaceClient, body: dict[str, Any], named: str) -> None:
    """https://docs.databricks.com/api/workspace/jobs/submit: INVALID_PARAMETER_VALUE and the field."""
    with pytest.raises(InvalidParameterValue, match=named):
        client.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)


def test_an_invalid_query_is_refused(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/jobs/getrun: an unknown, a missing or a mistyped argument."""
    for query in ({}, {"run_id": "x"}, {"run_id": 1, "other": 2}):
        with pytest.raises(InvalidParameterValue):
            client.api_client.do("GET", GET, query=query)


def test_a_body_must_be_json(client: WorkspaceClient) -> None:
    """https://docs.databricks.com/api/workspace/introduction: MALFORMED_REQUEST."""
    with pytest.raises(BadRequest, match="no JSON"):
        client.api_client.do("POST", "/api/2.2/jobs/runs/submit", data="{")
