"""Secrets in a key vault, read by Azure's own clients from a vault on loopback."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.plan import Account, Secret
from harness.settings import Settings, read_settings
from harness.storage.accounts import (
    make_azure_credential,
    make_job_variables,
    read_accounts,
    read_secret,
    select_local_accounts,
)
from harness.storage.key_vault import find_meant_reference, parse_reference, read_vault_secret
from harness.targets.checks import Check, check_accounts
from harness.targets.compose.compose_target import Compose
from harness.targets.databricks.cluster import make_cluster_spec, select_scope_accounts
from harness.targets.embedded.embedded_target import Embedded
from tests.unit.key_vault_server import CLIENT_SECRET, VAULT, KeyVault, serve_key_vault

VALUE = "Zm9yIGEgdGVzdCBvbmx5Cg=="
REFERENCE = f"keyvault:{VAULT}/lake-key"
PRINCIPAL = 'auth = "service_principal"\ntenant_id = "t"\nclient_id = "c"\n'
_UNSET = ("AZURE_TOKEN_CREDENTIALS", "AZURE_CLIENT_CERTIFICATE_PATH", "NO_PROXY", "no_proxy", "https_proxy")


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyVault]:
    """A vault with one secret, and a login that may read it."""
    _forget()
    with serve_key_vault(tmp_path) as served:
        for name in _UNSET:
            monkeypatch.delenv(name, raising=False)
        for name, value in served.environ.items():
            monkeypatch.setenv(name, value)
        served.add("lake-key", VALUE)
        yield served
    _forget()


def _forget() -> None:
    read_vault_secret.cache_clear()
    http_challenge_cache.clear()


def _settings(folder: Path, fields: str = f'key = "{REFERENCE}"', more: str = "") -> Settings:
    (folder / "harness.toml").write_text(f"{more}\n[accounts.mydatalake]\n{fields}\n", encoding="utf-8")
    return read_settings(folder=folder, environ={})


def _refusal() -> str:
    with pytest.raises(PrerequisiteError) as caught:
        read_vault_secret(VAULT, "lake-key")
    assert ExitCode.PREREQUISITE_MISSING == caught.value.exit_code
    return str(caught.value)


@pytest.mark.usefixtures("vault")
def test_a_key_is_read_from_its_vault(tmp_path: Path) -> None:
    """An account's key is read from the vault, with the login of this machine."""
    (account,) = read_accounts(_settings(tmp_path))
    assert Account(name="mydatalake", auth="key", secret=Secret(vault=VAULT, name="lake-key")) == account
    assert VALUE == make_azure_credential(account)["account_key"]


def test_a_client_secret_is_read_from_its_vault(tmp_path: Path, vault: KeyVault) -> None:
    """A service principal's secret is read from the vault, without surrounding white space."""
    vault.add("sp", " another value\n")
    (account,) = read_accounts(_settings(tmp_path, f'{PRINCIPAL}client_secret = "keyvault:{VAULT}/sp"'))
    assert "another value" == read_secret(account.secret, account.name, {})


def test_a_vault_is_asked_once(vault: KeyVault) -> None:
    """A command asks the vault once for each secret."""
    secret = Secret(vault=VAULT, name="lake-key")
    assert [VALUE, VALUE] == [read_secret(secret, "mydatalake", {}) for _ in range(2)]
    assert 1 == vault.count_reads("lake-key")


def test_a_job_gets_the_value_from_its_command(tmp_path: Path, vault: KeyVault) -> None:
    """The command passes the value in a variable, so that the job asks no vault."""
    accounts = read_accounts(
        _settings(tmp_path, f'key = "{REFERENCE}"\n[accounts.other]\nkey_variable = "K"')
    )
    variables = make_job_variables(accounts)
    assert {"HARNESS_ACCOUNT_MYDATALAKE": VALUE} == variables
    vault.secrets.clear()
    _forget()
    assert VALUE == read_secret(accounts[0].secret, "mydatalake", variables)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (
            (403, "Forbidden", "ForbiddenByRbac", "Caller is not authorized.\r\nIf role assignments ..."),
            (
                f"The key vault '{VAULT}' denies access to the secret 'lake-key': Caller is not authorized.\n"
                "  Give the login the role Key Vault Secrets User; a new role takes some minutes."
            ),
        ),
        (
            (403, "Forbidden", "AccessDenied", "The user does not have secrets get permission."),
            f"The key vault '{VAULT}' denies access to the secret 'lake-key': The user does not have",
        ),
        (
            (403, "Forbidden", "ForbiddenByFirewall", "Client address is not authorized."),
            f"The firewall of the key vault '{VAULT}' doesn't let this machine in: Client address is not",
        ),
        (
            (401, "Unauthorized", "", "AKV10032: Invalid issuer. Expected a, found b."),
            (
                f"The key vault '{VAULT}' refuses the login: AKV10032: Invalid issuer. Expected a, found b.\n"
                "  Log in to the vault's tenant: az login --tenant TENANT."
            ),
        ),
        (
            (429, "Throttled", "", "Request was not processed because too many requests were received."),
            f"The key vault '{VAULT}' refuses the request: Request was not processed",
        ),
    ],
    ids=["role", "access policy", "firewall", "tenant", "throttled"],
)
def test_a_refusal_is_reported_with_its_reason(
    vault: KeyVault, refusal: tuple[int, str, str, str], message: str
) -> None:
    """A refusal has the vault's own reason and what to do about it."""
    vault.refusal = refusal
    assert message in _refusal()


def test_a_missing_secret_is_reported(vault: KeyVault) -> None:
    """A secret that the vault doesn't have is reported with both names."""
    vault.secrets.clear()
    assert f"The key vault '{VAULT}' has no secret 'lake-key': A secret with" in _refusal()


def test_a_disabled_secret_is_reported(vault: KeyVault) -> None:
    """A disabled secret is reported with the command that enables it."""
    vault.add("lake-key", VALUE, enabled=False)
    expected = (
        f"The secret 'lake-key' of the key vault '{VAULT}' is disabled.\n  Enable it: az keyvault secret"
    )
    assert expected in _refusal()


@pytest.mark.parametrize(
    ("date", "message"),
    [(("exp", -60), " expired on 20"), (("nbf", 3600), " is not valid before 20")],
    ids=["expired", "not yet valid"],
)
def test_a_secret_outside_its_dates_is_refused(vault: KeyVault, date: tuple[str, int], message: str) -> None:
    """A secret that has expired, or isn't valid yet, is refused, although the vault returns it."""
    vault.add("lake-key", VALUE, (date,))
    refusal = _refusal()
    assert f"The secret 'lake-key' of the key vault '{VAULT}'{message}" in refusal
    assert VALUE not in refusal


@pytest.mark.usefixtures("vault")
def test_a_valid_secret_with_dates_is_read(vault: KeyVault) -> None:
    """A secret is read between its dates."""
    vault.add("lake-key", VALUE, (("nbf", -60), ("exp", 3600)))
    assert VALUE == read_vault_secret(VAULT, "lake-key")


def test_an_empty_secret_is_reported(vault: KeyVault) -> None:
    """An empty value is refused with its location."""
    vault.add("lake-key", " ")
    expected = f"is empty or not set: the secret 'lake-key' of the key vault '{VAULT}'"
    with pytest.raises(PrerequisiteError, match=expected):
        read_secret(Secret(vault=VAULT, name="lake-key"), "mydatalake", {})


@pytest.mark.usefixtures("vault")
def test_a_vault_that_does_not_exist_is_reported() -> None:
    """A vault whose name leads nowhere is reported with its address, for the account that names it."""
    expected = (
        "The credential of the storage account 'mydatalake' can't be read. The key vault 'no-vault' doesn't "
        "answer at https://no-vault.vault.azure.net: "
    )
    with pytest.raises(PrerequisiteError, match=re.escape(expected)):
        read_secret(Secret(vault="no-vault", name="lake-key"), "mydatalake", {})


@pytest.mark.usefixtures("vault")
def test_a_machine_without_a_login_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a login, one message says how to log in; the library's own page of advice isn't shown."""
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (
        f"No login to Azure works on this machine; the key vault '{VAULT}' needs one.\n"
        "  Log in with 'az login', or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
    ) == _refusal()
    assert ("", "") == capfd.readouterr()


@pytest.mark.usefixtures("vault")
def test_a_refused_login_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong secret of the login is reported with Entra's own reason, and is in no log."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-secret-of-a-login")
    message = _refusal()
    assert f"Microsoft Entra refuses the login for the key vault '{VAULT}': AADSTS7000215: " in message
    assert "wrong-secret-of-a-login" not in message + caplog.text


def test_an_answer_that_is_not_a_vaults_is_refused(vault: KeyVault) -> None:
    """A server that asks for a token of another service gets none."""
    vault.resource = "https://vault.example"
    assert (
        f"The key vault '{VAULT}' can't be read at https://{VAULT}.vault.azure.net: The challenge"
        in _refusal()
    )
    assert not any("oauth2" in request for request in vault.requests)


def test_values_are_in_no_log(vault: KeyVault, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the secret nor the login's own secret is logged, at whatever level."""
    caplog.set_level(logging.DEBUG)
    assert VALUE == read_vault_secret(VAULT, "lake-key")
    assert vault.count_reads("lake-key")
    assert caplog.text
    assert not [value for value in (VALUE, CLIENT_SECRET) if value in caplog.text]


@pytest.mark.parametrize(
    "value",
    [
        VALUE,
        f"keyvault:{VAULT}",
        f"keyvault:{VAULT}/",
        f"keyvault:{VAULT}/lake_key",
        f"keyvault:{VAULT}/lake-key/version",
        "keyvault:my vault/lake-key",
        "keyvault:ab/lake-key",
        "keyvault:a--b/lake-key",
        "keyvault:1abc/lake-key",
        f"keyvault:{'v' * 25}/lake-key",
        f"keyvault:{VAULT}/{'s' * 128}",
        f"KeyVault:{VAULT}/lake-key",
    ],
)
@pytest.mark.parametrize("field", ["key", "client_secret"])
def test_a_malformed_reference_is_refused(tmp_path: Path, field: str, value: str) -> None:
    """A value that isn't a reference may be the secret itself: the message has its line, never the value."""
    with pytest.raises(UsageError) as caught:
        _settings(tmp_path, f'{field} = "{value}"')
    assert (
        f"harness.toml:3: 'accounts.mydatalake.{field}' is not a reference to a secret in a key vault. Write "
        f'"keyvault:VAULT/SECRET", with names of letters, digits and hyphens, or use {field}_file or '
        f"{field}_variable."
    ) == str(caught.value)
    assert ExitCode.WRONG_INPUT == caught.value.exit_code


@pytest.mark.parametrize("value", ["0", "true", '["a"]'])
def test_a_reference_is_a_text(tmp_path: Path, value: str) -> None:
    """A number, a truth value or a list is not a reference."""
    with pytest.raises(UsageError, match=r"harness\.toml:3: 'accounts\.mydatalake\.key' is not a reference"):
        _settings(tmp_path, f"key = {value}")


@pytest.mark.parametrize("end", ["", "/0123456789abcdef"], ids=["newest", "version"])
def test_an_address_of_a_secret_gets_a_suggestion(tmp_path: Path, end: str) -> None:
    """The address of a secret, as the portal shows it, leads to the reference."""
    address = f"https://{VAULT}.vault.azure.net/secrets/lake-key{end}"
    assert REFERENCE == find_meant_reference(address)
    with pytest.raises(UsageError, match=f"Did you mean '{REFERENCE}'"):
        _settings(tmp_path, f'key = "{address}"')


def test_a_reference_names_vault_and_secret() -> None:
    """A reference is a vault and a secret; the shortest and the longest names are valid."""
    for vault, name in (("abc", "s"), ("a" * 24, "s" * 127), ("My-Vault1", "Lake-Key-1")):
        assert (vault, name) == parse_reference(f"keyvault:{vault}/{name}")


def test_a_secret_has_one_location() -> None:
    """A secret without a location, or with two, is invalid; so is a vault without the secret's name."""
    stray = ({"vault": "v"}, {"name": "s"}, {"variable": "V", "name": "s"})
    for fields in ({}, *stray, {"file": "f", "vault": "v", "name": "s"}):
        with pytest.raises(ValueError, match="either in a variable, in a file or in a key vault"):
            Secret(**fields)


def test_the_embedded_plan_has_the_reference_only(tmp_path: Path, vault: KeyVault) -> None:
    """The plan of an embedded run names vault and secret; making it asks no vault."""
    environment = Embedded(_settings(tmp_path)).environment(None, "models")
    assert (Secret(vault=VAULT, name="lake-key"),) == tuple(each.secret for each in environment.accounts)
    assert [] == vault.requests


@pytest.mark.usefixtures("vault")
def test_composes_container_gets_the_value_as_a_file(tmp_path: Path) -> None:
    """The command reads the vault and passes the value as a file; the plan has the file's name only."""
    lake = "abfss://lake@mydatalake.dfs.core.windows.net"
    more = f'lake = "{lake}"\nstores.models = "{lake}/models"'
    compose = Compose(_settings(tmp_path, more=more))
    environment = compose.environment(None, "models")
    assert ["/run/secrets/account_mydatalake"] == [each.secret.file for each in environment.accounts]
    assert VALUE not in environment.model_dump_json()
    assert {"account_mydatalake": VALUE} == compose._account_secrets()


def test_a_cluster_gets_the_secret_of_its_scope(tmp_path: Path, vault: KeyVault) -> None:
    """On Databricks, the scope's secret counts; the vault is for local runs on the same account."""
    more = 'targets.databricks.secret_scope = "scope"'
    settings = _settings(tmp_path, f'key = "{REFERENCE}"\nsecret_name = "lake"', more)
    (account,) = select_scope_accounts(settings)
    assert Secret(variable="HARNESS_ACCOUNT_MYDATALAKE") == account.secret
    assert VAULT not in str(make_cluster_spec(settings, "me", "run").as_dict())
    (local,) = select_local_accounts(settings)
    assert VALUE == read_secret(local.secret, local.name, {})
    assert 1 == vault.count_reads("lake-key")


def test_an_account_in_a_vault_alone_is_not_a_clusters(tmp_path: Path, vault: KeyVault) -> None:
    """An account without a secret name is none of a cluster's, as with a variable or a file."""
    assert () == select_scope_accounts(_settings(tmp_path))
    assert [] == vault.requests


def test_doctor_reads_each_credential(
    tmp_path: Path, vault: KeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor names the location of each account's credential, or why it can't be read."""
    monkeypatch.delenv("UNSET", raising=False)
    fields = f'key = "{REFERENCE}"\n[accounts.other]\nkey_variable = "UNSET"'
    accounts = select_local_accounts(_settings(tmp_path, fields))
    good, bad = check_accounts(accounts)
    location = f"its key is in the secret 'lake-key' of the key vault '{VAULT}'"
    assert Check("account mydatalake", "ok", location) == good
    assert ("account other", "failed") == (bad.subject, bad.state)
    vault.secrets.clear()
    _forget()
    assert "has no secret 'lake-key'" in next(iter(check_accounts(accounts))).finding


def test_targets_check_the_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor checks them for embedded runs, and for Compose unless it uses the stack's own storage."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KEY", "abc")
    lake = "abfss://lake@mydatalake.dfs.core.windows.net"
    own = _settings(tmp_path, 'key_variable = "KEY"')
    real = _settings(tmp_path, 'key_variable = "KEY"', f'lake = "{lake}"\nstores.models = "{lake}/models"')
    found = [
        [check.subject for check in target.checks() if check.subject.startswith("account")]
        for target in (Embedded(own), Compose(own), Compose(real))
    ]
    assert [["account mydatalake"], [], ["account mydatalake"]] == found
