"""Client of a workspace: Databricks' SDK, with its errors translated."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError, format_first_line
from harness.storage.uris import hide_passwords

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_logger = logging.getLogger(__name__)

_AUTHENTICATE = "Authenticate again ('databricks auth login', or renew the token or the secret)."

_HOST = "DATABRICKS_HOST"
_URL = re.compile(
    r"(?P<scheme>https?://)?(?P<name>(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?)(?P<rest>([/?#].*)?)", re.IGNORECASE
)
_EXAMPLE = "https://adb-1234567890123456.7.azuredatabricks.net"
_PATIENCE_S = 5
"""How long a workspace may take for its first answer."""
_SDK_RETRIES_S, _SDK_TIMEOUT_S = 300, 60
"""The SDK's own defaults, for all later requests."""
_ADVICE = re.compile(r", please check \S+ to configure credentials for your preferred authentication method")
"""Advice of the SDK, which the remedy of the error replaces."""


class UnreachableError(PrerequisiteError):
    """A workspace that doesn't answer or rejects the credential."""


class BusyError(UnreachableError):
    """A workspace that answers with a server error: another try may succeed."""


@dataclass(frozen=True)
class WorkspaceUrl:
    """The parts of a workspace's URL that the SDK's client takes."""

    host: str | None = None
    number: int | None = None
    """The workspace's id, if the URL has it: ``?o=123``."""

    @classmethod
    def parse(cls, url: str, origin: str) -> WorkspaceUrl:
        """Parse a URL; the SDK would add its own paths to the end of one that was copied from a browser.

        Args:
            url: Address of the workspace, also with ``/``, a path or ``?o=123``, or without ``https://``.
            origin: Where it is set, as the start of a message.

        Raises:
            PrerequisiteError: It is not the address of a workspace.
        """
        plain = url.strip().strip("\"'").strip()
        if not plain:
            return cls()
        found = _URL.fullmatch(plain)
        if found is None:
            raise PrerequisiteError(
                f"{origin} is not the address of a workspace: {hide_passwords(plain)}",
                remedy=f"Use the first part of the address in your browser, such as {_EXAMPLE}.",
            )
        name, number = found["name"].lower(), re.search(r"[?&]o=(\d+)", found["rest"])
        if name.startswith("accounts."):
            raise PrerequisiteError(
                f"{origin} is the address of the account console, not of a workspace: {name}",
                remedy="Open a workspace from the console, and use the first part of its address.",
            )
        scheme = (found["scheme"] or "https://").lower()
        return cls(scheme + name.removesuffix(":443"), int(number[1]) if number else None)


def open_workspace(profile: str) -> WorkspaceClient:
    """Open a client with Databricks' unified authentication.

    Args:
        profile: Profile of ``~/.databrickscfg``; empty if environment or default profile decide.

    Raises:
        PrerequisiteError: No credential or no workspace is configured.
    """
    own = WorkspaceUrl.parse(os.environ.get(_HOST, ""), f"The variable {_HOST}")
    try:
        workspace = _connect(own, profile or None)
        found = workspace.config.host
        if own.host is not None or found is None:
            return workspace
        # The SDK takes the host of a profile as it is, too. Given a host, it ignores the default profile.
        of_profile = WorkspaceUrl.parse(found, "The host in ~/.databrickscfg")
        return (
            workspace
            if of_profile.host == found
            else _connect(of_profile, workspace.config.profile or "DEFAULT")
        )
    except (ValueError, OSError) as error:
        raise PrerequisiteError(
            f"Can't authenticate to a Databricks workspace: {_remove_advice(error)}",
            remedy="Create a profile with 'databricks auth login', or set DATABRICKS_HOST with "
            "DATABRICKS_TOKEN or a service principal.",
        ) from error


def _connect(url: WorkspaceUrl, profile: str | None) -> WorkspaceClient:
    """Return a client of a workspace that answers; the SDK would try for five minutes to reach another.

    Raises:
        UnreachableError: It doesn't answer.
    """
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    config = Config(
        host=url.host,
        workspace_id=url.number,
        profile=profile,
        # The SDK asks a host for its configuration first, and goes on without it.
        retry_timeout_seconds=_PATIENCE_S,
        http_timeout_seconds=_PATIENCE_S,
        # Files go through the workspace, which is enough for small ones. By default, the SDK asks for an
        # address in the storage account, which a firewall may close to this machine.
        disable_experimental_files_api_client=True,
    )
    if config.host is not None:
        _require_answer(config.host)
    config.retry_timeout_seconds, config.http_timeout_seconds = _SDK_RETRIES_S, _SDK_TIMEOUT_S
    return WorkspaceClient(config=config)


def _require_answer(host: str) -> None:
    import requests

    try:
        requests.head(host, timeout=_PATIENCE_S, allow_redirects=False)
    except requests.RequestException as error:
        raise UnreachableError(
            f"The workspace {host} doesn't answer: {type(error).__name__}.",
            remedy="Check the network and the workspace's URL.",
        ) from error


@contextmanager
def translate_errors(workspace: WorkspaceClient, action: str) -> Iterator[None]:
    """Translate the workspace's errors.

    Args:
        workspace: Client of the workspace, which the message names.
        action: What it is asked to do, such as ``upload the wheel``.

    Raises:
        UnreachableError: It does not answer or refuses the credential.
        PrerequisiteError: It refuses the request.
    """
    import requests
    from databricks.sdk.errors import (
        DeadlineExceeded,
        InternalError,
        PermissionDenied,
        TemporarilyUnavailable,
        Unauthenticated,
    )
    from databricks.sdk.errors.base import DatabricksError

    host = workspace.config.host
    _logger.debug("asking the workspace %s to %s", host, action)
    try:
        yield
    except Unauthenticated as error:
        raise UnreachableError(
            f"The workspace {host} refuses the credential: can't {action}: {_remove_advice(error)}",
            remedy=_AUTHENTICATE,
        ) from error
    except PermissionDenied as error:
        # A wrong or expired token gets the same answer as a missing permission.
        if "token" in str(error).lower():
            raise UnreachableError(
                f"The workspace {host} refuses the credential: can't {action}: {_remove_advice(error)}",
                remedy=_AUTHENTICATE,
            ) from error
        raise PrerequisiteError(
            f"The workspace {host} denies permission to {action}: {_remove_advice(error)}",
            remedy="'harness doctor --target databricks' shows what is missing.",
        ) from error
    except (requests.RequestException, TimeoutError) as error:
        raise UnreachableError(
            f"The workspace {host} doesn't answer: can't {action}: {type(error).__name__}.",
            remedy="Check the network and the workspace's URL.",
        ) from error
    except (InternalError, TemporarilyUnavailable, DeadlineExceeded) as error:
        raise BusyError(
            f"The workspace {host} returned a server error: can't {action}: {_remove_advice(error)}",
            remedy="Try again later.",
        ) from error
    except (DatabricksError, RuntimeError) as error:  # The latter from the SDK's own code.
        raise PrerequisiteError(f"The workspace {host} can't {action}: {_remove_advice(error)}") from error
    except (ValueError, OSError) as error:
        # The SDK, or a command that it calls, raises these if a credential can't be renewed.
        raise UnreachableError(
            f"Authentication to the workspace {host} failed: can't {action}: {_remove_advice(error)}",
            remedy=_AUTHENTICATE,
        ) from error


def _remove_advice(error: BaseException) -> str:
    return _ADVICE.sub("", format_first_line(error)) or type(error).__name__
