"""Client of a workspace: Databricks' SDK, with its errors translated."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError, format_first_line

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_logger = logging.getLogger(__name__)

_AUTHENTICATE = "Authenticate again ('databricks auth login', or renew the token or the secret)."

_ADVICE = re.compile(r", please check \S+ to configure credentials for your preferred authentication method")
"""Advice of the SDK, which the remedy of the error replaces."""


class UnreachableError(PrerequisiteError):
    """A workspace that doesn't answer or rejects the credential."""


class BusyError(UnreachableError):
    """A workspace that answers with a server error: another try may succeed."""


def open_workspace(profile: str) -> WorkspaceClient:
    """Open a client with Databricks' unified authentication.

    Args:
        profile: Profile of ``~/.databrickscfg``; empty if environment or default profile decide.

    Raises:
        PrerequisiteError: No credential or no workspace is configured.
    """
    from databricks.sdk import WorkspaceClient

    try:
        return WorkspaceClient(profile=profile) if profile else WorkspaceClient()
    except (ValueError, OSError) as error:
        raise PrerequisiteError(
            f"Can't authenticate to a Databricks workspace: {_remove_advice(error)}",
            remedy="Create a profile with 'databricks auth login', or set DATABRICKS_HOST with "
            "DATABRICKS_TOKEN or a service principal.",
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
    except DatabricksError as error:
        raise PrerequisiteError(f"The workspace {host} can't {action}: {_remove_advice(error)}") from error
    except (ValueError, OSError) as error:
        # The SDK, or a command that it calls, raises these if a credential can't be renewed.
        raise UnreachableError(
            f"Authentication to the workspace {host} failed: can't {action}: {_remove_advice(error)}",
            remedy=_AUTHENTICATE,
        ) from error


def _remove_advice(error: BaseException) -> str:
    return _ADVICE.sub("", format_first_line(error)) or type(error).__name__
