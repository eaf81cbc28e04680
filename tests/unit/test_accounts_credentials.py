"""The credentials of storage accounts, for Hadoop and for Azure's client."""

from pathlib import Path
from typing import Literal

import pytest

from harness.errors import ExitCode, PrerequisiteError
from harness.plan import Account, Secret
from harness.storage.accounts import (
    make_azure_credential,
    make_deltalake_options,
    make_hadoop_settings,
    read_secret,
)

VALUE = "Zm9yIGEgdGVzdCBvbmx5Cg=="
HOST = "dlsloandev.dfs.core.windows.net"


def _account(auth: Literal["key", "service_principal"], monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("LAKE_SECRET", f"{VALUE}\n")
    secret = Secret(variable="LAKE_SECRET")
    return Account(name="dlsloandev", auth=auth, secret=secret, tenant_id="tenant", client_id="client")


@pytest.mark.parametrize("text", [VALUE, f"{VALUE}\n", f" {VALUE}\r\n"], ids=["bare", "line", "spaces"])
def test_a_secret_is_read_from_its_variable(text: str) -> None:
    """A secret is read from its variable without surrounding white space."""
    assert VALUE == read_secret(Secret(variable="LAKE_KEY"), "dlsloandev", {"LAKE_KEY": text})


@pytest.mark.parametrize("text", [VALUE, f"{VALUE}\n", f" {VALUE}\r\n"], ids=["bare", "line", "spaces"])
def test_a_secret_is_read_from_its_file(tmp_path: Path, text: str) -> None:
    """A secret is read from its file without the line break that an editor adds."""
    (tmp_path / "key").write_bytes(text.encode())
    assert VALUE == read_secret(Secret(file=str(tmp_path / "key")), "dlsloandev", {})


def test_a_secret_is_read_from_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, a secret's variable is one of this process."""
    monkeypatch.setenv("LAKE_KEY", VALUE)
    assert VALUE == read_secret(Secret(variable="LAKE_KEY"), "dlsloandev")


@pytest.mark.parametrize(
    "environ", [{}, {"LAKE_KEY": ""}, {"LAKE_KEY": " \n"}], ids=["unset", "empty", "space"]
)
def test_a_variable_without_a_value_is_reported(environ: dict[str, str]) -> None:
    """An empty or missing variable is reported with the account and where to correct it."""
    with pytest.raises(PrerequisiteError) as caught:
        read_secret(Secret(variable="LAKE_KEY"), "dlsloandev", environ)
    expected = (
        "The credential of the storage account 'dlsloandev' is empty or not set: the variable LAKE_KEY.\n"
        "  Set it, or correct [accounts.dlsloandev] in harness.toml."
    )
    assert (expected, ExitCode.PREREQUISITE_MISSING) == (str(caught.value), caught.value.exit_code)


@pytest.mark.parametrize("content", ["", "\n"], ids=["empty", "empty line"])
def test_an_empty_file_is_reported(tmp_path: Path, content: str) -> None:
    """An empty file is reported with the account and the file."""
    file = tmp_path / "key"
    file.write_text(content)
    expected = f"'dlsloandev' is empty or not set: the file {file}.\n  Set it, or correct"
    with pytest.raises(PrerequisiteError, match=expected):
        read_secret(Secret(file=str(file)), "dlsloandev")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent", "No such file"), ("folder", "Is a directory"), ("key/below", "Not a directory")],
    ids=["absent", "folder", "below a file"],
)
def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, name: str, reason: str) -> None:
    """An unreadable file is reported with the account, the file, the reason and the remedy."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "key").write_text(VALUE)
    file = tmp_path / name
    expected = (
        f"The credential of the storage account 'dlsloandev' can't be read from the file {file}: .*{reason}"
        r"[^$]*\n  Correct \[accounts\.dlsloandev\] in harness\.toml\."
    )
    with pytest.raises(PrerequisiteError, match=expected) as caught:
        read_secret(Secret(file=str(file)), "dlsloandev")
    assert isinstance(caught.value.__cause__, OSError)


def test_a_binary_file_is_reported_without_its_content(tmp_path: Path) -> None:
    """A file that isn't text is reported without its content."""
    (tmp_path / "key").write_bytes(VALUE.encode() + b"\xff")
    with pytest.raises(PrerequisiteError, match="can't be read from the file") as caught:
        read_secret(Secret(file=str(tmp_path / "key")), "dlsloandev")
    assert VALUE not in str(caught.value)


def test_hadoop_gets_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hadoop gets a key by two settings, both for this account only."""
    expected = {
        f"fs.azure.account.auth.type.{HOST}": "SharedKey",
        f"fs.azure.account.key.{HOST}": VALUE,
    }
    assert expected == make_hadoop_settings(_account("key", monkeypatch), VALUE)


def test_hadoop_gets_a_service_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hadoop gets the token endpoint, the client and its secret, all for this account only."""
    expected = {
        f"fs.azure.account.auth.type.{HOST}": "OAuth",
        f"fs.azure.account.oauth.provider.type.{HOST}": (
            "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider"
        ),
        f"fs.azure.account.oauth2.client.endpoint.{HOST}": (
            "https://login.microsoftonline.com/tenant/oauth2/token"
        ),
        f"fs.azure.account.oauth2.client.id.{HOST}": "client",
        f"fs.azure.account.oauth2.client.secret.{HOST}": VALUE,
    }
    assert expected == make_hadoop_settings(_account("service_principal", monkeypatch), VALUE)


def test_azures_client_gets_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's client gets the key with the account's name, which an emulator's address lacks."""
    expected = {"account_name": "dlsloandev", "account_key": VALUE}
    assert expected == make_azure_credential(_account("key", monkeypatch))


def test_azures_client_gets_a_service_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's client gets Azure's own credential, which requests tokens only when it is used."""
    from azure.identity import ClientSecretCredential

    assert isinstance(
        make_azure_credential(_account("service_principal", monkeypatch)), ClientSecretCredential
    )


def test_a_missing_secret_is_reported_before_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing secret is reported before Azure's client gets an empty key."""
    account = _account("key", monkeypatch)
    monkeypatch.delenv("LAKE_SECRET")
    with pytest.raises(PrerequisiteError, match="the variable LAKE_SECRET"):
        make_azure_credential(account)


def test_deltalake_gets_the_accounts_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that reads tables without Spark gets the same credential as Spark and Azure's client."""
    monkeypatch.setenv("LAKE_KEY", VALUE)
    secret = Secret(variable="LAKE_KEY")
    assert {"azure_storage_account_name": "dlsloandev", "azure_storage_account_key": VALUE} == (
        make_deltalake_options(Account(name="dlsloandev", auth="key", secret=secret))
    )
    principal = Account(
        name="dlsloandev", auth="service_principal", secret=secret, tenant_id="t-1", client_id="c-1"
    )
    assert {
        "azure_storage_account_name": "dlsloandev",
        "azure_storage_tenant_id": "t-1",
        "azure_storage_client_id": "c-1",
        "azure_storage_client_secret": VALUE,
    } == make_deltalake_options(principal)
