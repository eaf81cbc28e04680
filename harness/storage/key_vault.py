"""Secrets in Azure Key Vault: references to them in the settings, and their values."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

from harness.errors import PrerequisiteError, format_first_line

PREFIX = "keyvault:"
FORM = f"{PREFIX}VAULT/SECRET"
# Azure's own rules for the names of vaults and secrets.
_VAULT = r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]"
_NAME = r"[A-Za-z0-9-]{1,127}"
_REFERENCE = re.compile(rf"{PREFIX}(?P<vault>{_VAULT})/(?P<name>{_NAME})")
_ADDRESS = re.compile(rf"https://(?P<vault>{_VAULT})\.vault\.azure\.net/secrets/(?P<name>{_NAME})(/\w*)?")
_ENTRA_ERROR = re.compile(r"AADSTS\d+: [^\r\n]*")
_LOGIN = "Log in with 'az login', or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
_OPTIONS: dict[str, Any] = {
    "connection_timeout": 10,
    "read_timeout": 30,
    "retry_total": 2,
    "retry_backoff_factor": 0.5,
}
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404

_logger = logging.getLogger(__name__)
# Otherwise, each failed login writes a page of advice to standard error.
logging.getLogger("azure.identity").addHandler(logging.NullHandler())


def parse_reference(text: str) -> tuple[str, str] | None:
    """Return the vault and the secret that a reference names; ``None`` if it is not a reference."""
    found = _REFERENCE.fullmatch(text)
    return (found["vault"], found["name"]) if found else None


def find_meant_reference(text: str) -> str | None:
    """Return the reference that was meant by the address of a secret, ``https://VAULT.vault.azure.net/...``."""
    found = _ADDRESS.fullmatch(text)
    return f"{PREFIX}{found['vault']}/{found['name']}" if found else None


@cache
def read_vault_secret(vault: str, name: str) -> str:
    """Return the newest value of a secret in a vault, which is asked once.

    Args:
        vault: Name of the vault.
        name: Name of the secret.

    Raises:
        PrerequisiteError: The vault doesn't answer, there is no login, or the secret can't be read or used.
    """
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
    from azure.identity import DefaultAzureCredential
    from azure.keyvault.secrets import SecretClient

    url = f"https://{vault}.vault.azure.net"
    try:
        with DefaultAzureCredential() as credential, SecretClient(url, credential, **_OPTIONS) as client:
            secret = client.get_secret(name)
    except ClientAuthenticationError as error:
        raise _make_login_error(vault, error) from error
    except HttpResponseError as error:
        raise _make_refusal(vault, name, error) from error
    except AzureError as error:
        raise PrerequisiteError(
            f"The key vault '{vault}' doesn't answer at {url}: {format_first_line(error)}",
            remedy="Check the vault's name, and that this machine can reach it and trusts its certificate.",
        ) from error
    except ValueError as error:  # An answer that isn't a vault's, or an unknown AZURE_TOKEN_CREDENTIALS.
        raise PrerequisiteError(
            f"The key vault '{vault}' can't be read at {url}: {format_first_line(error)}",
            remedy="Check this machine's proxy and the variable AZURE_TOKEN_CREDENTIALS.",
        ) from error
    _require_valid(vault, name, secret.properties.not_before, secret.properties.expires_on)
    return secret.value or ""


def _make_login_error(vault: str, error: Any) -> PrerequisiteError:
    _logger.debug("login for the key vault %s: %s", vault, error)
    if error.status_code == _UNAUTHORIZED and error.error is not None:
        return PrerequisiteError(
            f"The key vault '{vault}' refuses the login: {_find_reason(error)}",
            remedy="Log in to the vault's tenant: az login --tenant TENANT.",
        )
    refused = _ENTRA_ERROR.search(str(error))
    if refused:
        return PrerequisiteError(
            f"Microsoft Entra refuses the login for the key vault '{vault}': {refused[0]}", remedy=_LOGIN
        )
    return PrerequisiteError(
        f"No login to Azure works on this machine; the key vault '{vault}' needs one.", remedy=_LOGIN
    )


def _make_refusal(vault: str, name: str, error: Any) -> PrerequisiteError:
    reason = _find_reason(error)
    inner = (error.error.innererror or {}).get("code") if error.error is not None else None
    if error.status_code == _NOT_FOUND:
        return PrerequisiteError(
            f"The key vault '{vault}' has no secret '{name}': {reason}",
            remedy="Correct the name, or add the secret: "
            f"az keyvault secret set --vault-name {vault} --name {name} --file FILE.",
        )
    if inner == "SecretDisabled":
        return PrerequisiteError(
            f"The secret '{name}' of the key vault '{vault}' is disabled.",
            remedy=f"Enable it: az keyvault secret set-attributes --vault-name {vault} --name {name} "
            "--enabled true.",
        )
    if inner == "ForbiddenByFirewall":
        return PrerequisiteError(
            f"The firewall of the key vault '{vault}' doesn't let this machine in: {reason}",
            remedy="Add the machine's address or network to the vault's firewall.",
        )
    if error.status_code == _FORBIDDEN:
        return PrerequisiteError(
            f"The key vault '{vault}' denies access to the secret '{name}': {reason}",
            remedy="Give the login the role Key Vault Secrets User; a new role takes some minutes.",
        )
    return PrerequisiteError(f"The key vault '{vault}' refuses the request: {reason}")


def _find_reason(error: Any) -> str:
    """Return the first line of the vault's own message."""
    return format_first_line(error if error.error is None else Exception(error.error.message))


def _require_valid(vault: str, name: str, start: datetime | None, end: datetime | None) -> None:
    """Require that a secret may be used now: the vault also returns those that may not."""
    now = datetime.now(UTC)
    secret = f"The secret '{name}' of the key vault '{vault}'"
    if end is not None and end <= now:
        raise PrerequisiteError(
            f"{secret} expired on {end:%Y-%m-%d %H:%M} UTC.",
            remedy="Add a new version with the current value and a later date.",
        )
    if start is not None and start > now:
        raise PrerequisiteError(
            f"{secret} is not valid before {start:%Y-%m-%d %H:%M} UTC.",
            remedy="Wait until then, or change its activation date.",
        )
