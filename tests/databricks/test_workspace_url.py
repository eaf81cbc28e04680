"""The client of a workspace: addresses that were copied from a browser, and closed storage accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.ports import find_free_ports
from harness.settings import read_settings
from harness.targets.databricks import client as client_module
from harness.targets.databricks.client import UnreachableError, open_workspace, translate_errors
from harness.targets.databricks.databricks_target import Databricks
from harness.targets.databricks.workspace_files import make_stream, open_files
from tests.databricks.conftest import connect
from tests.databricks.standin.server import StandIn
from tests.databricks.submissions import ROOT


@pytest.fixture(autouse=True)
def _variables(workspace: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workspace.reset()
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "profiles"))
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("rest", ["/", "/?o=123", "?o=123#job/7", "/browse/folders/9?o=123"])
def test_a_copied_url_works(workspace: StandIn, monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    """With a URL from a browser in DATABRICKS_HOST, requests reach the workspace, and the host is plain."""
    monkeypatch.setenv("DATABRICKS_HOST", workspace.host + rest)
    monkeypatch.setenv("DATABRICKS_TOKEN", workspace.token)
    client = open_workspace("")
    assert client.current_user.me().user_name
    assert workspace.host == client.config.host


@pytest.mark.parametrize("profile", ["", "team"])
def test_a_copied_url_in_a_profile_works(workspace: StandIn, tmp_path: Path, profile: str) -> None:
    """The same URL works as the host of a profile."""
    text = f"[{profile or 'DEFAULT'}]\nhost = {workspace.host}/?o=123\ntoken = {workspace.token}\n"
    (tmp_path / "profiles").write_text(text)
    client = open_workspace(profile)
    assert client.current_user.me().user_name
    assert workspace.host == client.config.host


def test_the_doctor_names_a_wrong_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The doctor names a value that is not the address of a workspace, before any request."""
    monkeypatch.setenv("DATABRICKS_HOST", "https://me:secret@adb-42")
    target = Databricks(read_settings({"home": str(tmp_path)}, folder=tmp_path, environ={}), print)
    [check] = target.checks()
    assert ("authentication", "failed") == (check.subject, check.state)
    assert (
        "The variable DATABRICKS_HOST is not the address of a workspace: https://***@adb-42" == check.finding
    )
    with pytest.raises(PrerequisiteError, match="DATABRICKS_HOST"):
        open_workspace("")


def test_files_are_read_behind_a_firewall(workspace: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go through the workspace: nobody asks for an address in its storage account."""
    monkeypatch.setenv("DATABRICKS_HOST", workspace.host)
    monkeypatch.setenv("DATABRICKS_TOKEN", workspace.token)
    files = open_files(open_workspace(""), ROOT)
    files.upload(f"{ROOT}/small", make_stream("content"))
    assert b"content" == files.read(f"{ROOT}/small")
    assert not [call for call in workspace.calls if "presigned" in call or "-url" in call]


def test_a_host_that_does_not_answer_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries for five minutes; a first request without it finds that nobody answers."""
    [port] = find_free_ports(1)
    monkeypatch.setattr(client_module, "_PATIENCE_S", 1)
    monkeypatch.setenv("DATABRICKS_HOST", f"https://localhost:{port}")
    monkeypatch.setenv("DATABRICKS_TOKEN", "any")
    with pytest.raises(UnreachableError, match=f"The workspace https://localhost:{port} doesn't answer"):
        open_workspace("")


def test_errors_of_the_client_itself_have_a_message(workspace: StandIn) -> None:
    """The SDK raises bare errors of its own, such as for a storage account that it can't reach."""
    client = connect(workspace)
    with (
        pytest.raises(PrerequisiteError, match="can't download the result: no way in") as caught,
        translate_errors(client, "download the result"),
    ):
        raise RuntimeError("no way in")
    assert workspace.host in caught.value.message
