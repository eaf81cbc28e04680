"""Addresses of a workspace, as people copy them from a browser."""

from __future__ import annotations

import pytest

from harness.errors import PrerequisiteError
from harness.targets.databricks.client import WorkspaceUrl

HOST = "https://adb-42.7.azuredatabricks.net"


@pytest.mark.parametrize(
    ("url", "number"),
    [
        (HOST, None),
        (f"{HOST}/", None),
        (f"{HOST}/?o=123", 123),
        (f"{HOST}?o=123#job/7/run/1", 123),
        (f"{HOST}/browse/folders/9?lang=en&o=123", 123),
        (f"{HOST}/login.html?next_url=%2F", None),
        ("adb-42.7.azuredatabricks.net", None),
        ("adb-42.7.azuredatabricks.net/?o=123", 123),
        ("adb-42.7.azuredatabricks.net:443", None),
        ("HTTPS://ADB-42.7.AzureDatabricks.net/", None),
        (f' "{HOST}/" ', None),
    ],
)
def test_a_copied_url_is_reduced_to_the_host(url: str, number: int | None) -> None:
    """Path, query, quotes and a missing scheme don't matter, and the workspace's id is kept."""
    assert WorkspaceUrl(HOST, number) == WorkspaceUrl.parse(url, "The host")


def test_a_local_address_keeps_its_port() -> None:
    """The address of a server on this machine keeps scheme and port."""
    assert WorkspaceUrl("http://127.0.0.1:8443") == WorkspaceUrl.parse("http://127.0.0.1:8443/", "The host")
    assert WorkspaceUrl() == WorkspaceUrl.parse("", "The host")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("123", "123"),
        ("https://", "https://"),
        ("ftp://adb-42.7.azuredatabricks.net", "ftp://"),
        ("https://me:secret@adb-42.7.azuredatabricks.net", "https://***@adb-42"),
        ("<workspace-url>", "<workspace-url>"),
    ],
)
def test_another_text_is_named_as_the_mistake(url: str, shown: str) -> None:
    """A value that is not an address is shown without a password, with an example to follow."""
    with pytest.raises(PrerequisiteError, match="The host is not the address of a workspace: ") as caught:
        WorkspaceUrl.parse(url, "The host")
    assert (True, False) == (shown in caught.value.message, "secret" in caught.value.message)
    assert "https://adb-1234567890123456.7.azuredatabricks.net" in (caught.value.remedy or "")


def test_the_account_console_is_not_a_workspace() -> None:
    """The account console is named as the mistake."""
    with pytest.raises(PrerequisiteError, match="the address of the account console"):
        WorkspaceUrl.parse("https://accounts.azuredatabricks.net/?account_id=1", "The host")
