"""Addresses of a workspace that were copied from a browser, with the SDK's own client."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.settings import read_settings
from harness.targets.databricks.client import open_workspace
from harness.targets.databricks.databricks_target import Databricks
from tests.databricks.standin.server import StandIn


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
