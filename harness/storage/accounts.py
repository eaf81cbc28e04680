"""Storage accounts in the settings, and their credentials for Hadoop and Azure's client."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import PrerequisiteError, UsageError
from harness.plan import Account, Secret
from harness.setting_types import ACCOUNTS, SETTINGS_FILE, Settings
from harness.storage.key_vault import PREFIX, read_vault_secret

_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_AUTH = ("key", "service_principal")


def read_accounts(settings: Settings) -> tuple[Account, ...]:
    """Return every account of ``[accounts.NAME]``.

    Raises:
        UsageError: An account is incomplete or contradicts itself.
    """
    fields: dict[str, dict[str, str]] = {}
    for setting in settings:
        if setting.name.startswith(ACCOUNTS):
            account, field = setting.name.removeprefix(ACCOUNTS).split(".")
            fields.setdefault(account, {})[field] = setting.value
    return tuple(_make_account(name, given) for name, given in fields.items())


def select_local_accounts(settings: Settings) -> tuple[Account, ...]:
    """Return the accounts whose secret this machine has, not only a workspace's secret scope."""
    return tuple(
        account
        for account in read_accounts(settings)
        if not account.secret_name or account.secret.variable != name_secret_variable(account.name)
    )


def make_credential_error(account: str, uri: str = "") -> PrerequisiteError:
    """Return the error for an account without a credential.

    Args:
        account: Name of the storage account.
        uri: The URI that names it, if it is known.
    """
    where = f" ({uri})" if uri else ""
    return PrerequisiteError(
        f"No credential is set for the storage account '{account}'{where}.",
        remedy=f"Add one under [accounts.{account}] in harness.toml; see docs/storage.md.",
    )


def name_secret_variable(account: str) -> str:
    """Return the variable in which a job finds a secret that the workspace or the command passes to it."""
    return f"HARNESS_ACCOUNT_{account.upper()}"


def _make_account(name: str, given: Mapping[str, str]) -> Account:
    auth = given.get("auth", "key")
    if auth not in _AUTH:
        raise _make_account_error(name, f"auth is '{auth}'", f"Use one of {', '.join(_AUTH)}.")
    kind = "key" if auth == "key" else "client_secret"
    needed = () if auth == "key" else ("tenant_id", "client_id")
    locations = (kind, f"{kind}_file", f"{kind}_variable")
    allowed = {"auth", *locations, "secret_name", *needed}
    for field in given:
        if field not in allowed:
            raise _make_account_error(name, f"{field} doesn't belong to auth = '{auth}'", "Remove it.")
    for field in needed:
        if not given.get(field):
            raise _make_account_error(name, f"{field} is missing", f"auth = '{auth}' needs it.")
    in_scope = given.get("secret_name", "")
    filled = [field for field in locations if given.get(field)]
    if len(filled) > 1:
        raise _make_account_error(name, f"{filled[0]} and {filled[1]} are both set", "Remove one of the two.")
    if filled:
        secret = _locate_secret(name, filled[0], given[filled[0]])
    elif in_scope:
        secret = Secret(variable=name_secret_variable(name))
    else:
        raise _make_account_error(
            name, f"{', '.join(locations[:-1])} or {locations[-1]} is missing", "Set one of them."
        )
    return Account(
        name=name,
        auth="key" if auth == "key" else "service_principal",
        secret=secret,
        secret_name=in_scope,
        tenant_id=given.get("tenant_id", ""),
        client_id=given.get("client_id", ""),
    )


def _locate_secret(account: str, field: str, value: str) -> Secret:
    """Return the location of a secret that one field of an account names."""
    if field.endswith("_file"):
        return Secret(file=value)
    if not field.endswith("_variable"):
        vault, name = value.removeprefix(PREFIX).split("/")
        return Secret(vault=vault, name=name)
    if not _VARIABLE.fullmatch(value):
        # Not shown, because it may be the secret itself.
        raise _make_account_error(
            account, f"{field} is not the name of a variable", "Name the variable that contains it."
        )
    return Secret(variable=value)


def _make_account_error(name: str, what: str, remedy: str) -> UsageError:
    return UsageError(f"{SETTINGS_FILE}: [{ACCOUNTS}{name}]: {what}.", remedy=remedy)


_TOKENS = "https://login.microsoftonline.com/{tenant}/oauth2/token"


def read_secret(secret: Secret, account: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the value of a secret.

    Raises:
        PrerequisiteError: The variable is not set, the file can't be read, the key vault doesn't return the
            secret, or the value is empty.
    """
    environ = os.environ if environ is None else environ
    if secret.variable:
        value = environ.get(secret.variable, "")
    elif secret.file:
        try:
            value = Path(secret.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PrerequisiteError(
                f"The credential of the storage account '{account}' can't be read from {secret.location}: "
                f"{error}.",
                remedy=f"Correct [accounts.{account}] in harness.toml.",
            ) from error
    else:
        # A job gets the value from its command, so that it needs no login of its own.
        value = environ.get(name_secret_variable(account)) or _read_from_vault(secret, account)
    if not value.strip():
        raise PrerequisiteError(
            f"The credential of the storage account '{account}' is empty or not set: {secret.location}.",
            remedy=f"Set it, or correct [accounts.{account}] in harness.toml.",
        )
    return value.strip()


def _read_from_vault(secret: Secret, account: str) -> str:
    try:
        return read_vault_secret(secret.vault, secret.name)
    except PrerequisiteError as error:
        raise PrerequisiteError(
            f"The credential of the storage account '{account}' can't be read. {error.message}",
            remedy=error.remedy,
        ) from error


def make_job_variables(accounts: Iterable[Account]) -> dict[str, str]:
    """Return the environment variables with the secrets that a job on this machine can't read itself.

    Raises:
        PrerequisiteError: A key vault doesn't return a secret.
    """
    return {
        name_secret_variable(account.name): read_secret(account.secret, account.name)
        for account in accounts
        if account.secret.vault
    }


def make_hadoop_settings(account: Account, secret: str) -> dict[str, str]:
    """Return the configuration of ABFS, Hadoop's client for storage accounts.

    The names are from Hadoop's documentation of ABFS (hadoop-azure, 3.4).

    Args:
        account: Storage account.
        secret: Value of its secret, or a reference that is replaced with it.
    """
    host = f"{account.name}.dfs.core.windows.net"
    if account.auth == "key":
        return {
            f"fs.azure.account.auth.type.{host}": "SharedKey",
            f"fs.azure.account.key.{host}": secret,
        }
    return {
        f"fs.azure.account.auth.type.{host}": "OAuth",
        f"fs.azure.account.oauth.provider.type.{host}": (
            "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider"
        ),
        f"fs.azure.account.oauth2.client.endpoint.{host}": _TOKENS.format(tenant=account.tenant_id),
        f"fs.azure.account.oauth2.client.id.{host}": account.client_id,
        f"fs.azure.account.oauth2.client.secret.{host}": secret,
    }


def make_azure_credential(account: Account) -> Any:
    """Return the credential of an account for Azure's client."""
    secret = read_secret(account.secret, account.name)
    if account.auth == "key":
        return {"account_name": account.name, "account_key": secret}
    from azure.identity import ClientSecretCredential

    return ClientSecretCredential(account.tenant_id, account.client_id, secret)


def make_deltalake_options(account: Account) -> dict[str, str]:
    """Return the storage options of the library ``deltalake`` for an account."""
    secret = read_secret(account.secret, account.name)
    options = {"azure_storage_account_name": account.name}
    if account.auth == "key":
        return {**options, "azure_storage_account_key": secret}
    return {
        **options,
        "azure_storage_tenant_id": account.tenant_id,
        "azure_storage_client_id": account.client_id,
        "azure_storage_client_secret": secret,
    }
