"""The stand-in's faults as the real SDK sees them: refusals, lost connections, an expired token."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from tests.databricks.conftest import connect
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.state import USER
from tests.databricks.submissions import CANCELED, DEADLINE_S, ROOT, WAIT, await_end, states, submit, task


@pytest.mark.parametrize("status", [429, 503])
def test_a_burst_of_refusals_is_retried(workspace: StandIn, client: WorkspaceClient, status: int) -> None:
    """| https://docs.databricks.com/aws/en/resources/limits: the SDK respects Retry-After."""
    workspace.faults.throttle(3, status=status, prefix="/api/2.0/preview")
    assert USER == client.current_user.me().user_name
    assert 4 == workspace.calls.count("GET /api/2.0/preview/scim/v2/Me")


def test_a_request_without_an_answer_is_repeated(workspace: StandIn, client: WorkspaceClient) -> None:
    """The SDK repeats requests whose connection is closed without an answer."""
    workspace.faults.drop(2, prefix="/api/2.0/preview", after=1)
    assert [USER] * 2 == [client.current_user.me().user_name for _ in range(2)]
    assert 4 == workspace.calls.count("GET /api/2.0/preview/scim/v2/Me")


@pytest.mark.usefixtures("client")
def test_a_dropped_connection_has_no_answer(workspace: StandIn) -> None:
    """Without retries, a client sees a closed connection and no status."""
    workspace.faults.drop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{workspace.host}/api/2.0/preview/scim/v2/Me", timeout=DEADLINE_S)


@pytest.mark.parametrize("prefix", ["/api/2.0/fs", "/api/2.0/workspace"])
def test_an_interrupted_upload_stores_nothing(
    workspace: StandIn, client: WorkspaceClient, prefix: str
) -> None:
    """An interrupted upload stores no part of the file; the next upload is complete."""
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


def test_the_sdk_repeats_an_interrupted_upload(workspace: StandIn, client: WorkspaceClient) -> None:
    """The SDK repeats an interrupted upload from its start if the body can be read again."""
    workspace.faults.cut_uploads(2)
    client.files.upload(f"{ROOT}/again", io.BytesIO(b"0123456789"))
    assert 10 == client.files.get_metadata(f"{ROOT}/again").content_length


def test_an_expired_token_is_refused(workspace: StandIn, client: WorkspaceClient) -> None:
    """An expired token is refused until there is a new one; the job's own token stays valid."""
    workspace.faults.expire_token(prefix="/api/2.0/preview", after=1)
    client.current_user.me()
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        client.current_user.me()
    workspace.token = "dapi-new"
    for token in ("dapi-new", workspace.job_token):
        assert USER == connect(workspace, token).current_user.me().user_name


def test_another_user_cancels_a_run(workspace: StandIn, client: WorkspaceClient, tmp_path: Path) -> None:
    """Another user cancels the run after two requests for its state."""
    workspace.faults.cancel_outside(polls=2)
    run_id = submit(client, WAIT, task(str(tmp_path / "never")))
    client.jobs.get_run(run_id)
    client.jobs.get_run(run_id)
    assert CANCELED == states(await_end(workspace, client, run_id))
