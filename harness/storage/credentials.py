"""Credentials of storage accounts for Hadoop and Azure's client. Their values are used nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import PrerequisiteError
from harness.plan import Account, Secret

_TOKENS = "https://login.microsoftonline.com/{tenant}/oauth2/token"


def read_secret(secret: Secret, account: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the value of a secret.

    Raises:
        PrerequisiteError: The variable is not set, or the file can't be read or is empty.
    """
    environ = os.environ if environ is None else environ
    if secret.variable:
        value, where = environ.get(secret.variable, ""), f"the variable {secret.variable}"
    else:
        where = f"the file {secret.file}"
        try:
            value = Path(secret.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PrerequisiteError(
                f"The credential of the storage account '{account}' can't be read from {where}: {error}.",
                remedy=f"Correct [accounts.{account}] in harness.toml.",
            ) from error
    if not value.strip():
        raise PrerequisiteError(
            f"The credential of the storage account '{account}' is empty or not set: {where}.",
            remedy=f"Set it, or correct [accounts.{account}] in harness.toml.",
        )
    return value.strip()


def hadoop_settings(account: Account, secret: str) -> dict[str, str]:
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


def azure_credential(account: Account) -> Any:
    """Return the credential of an account for Azure's client."""
    secret = read_secret(account.secret, account.name)
    if account.auth == "key":
        return {"account_name": account.name, "account_key": secret}
    from azure.identity import ClientSecretCredential

    return ClientSecretCredential(account.tenant_id, account.client_id, secret)
