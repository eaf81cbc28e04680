"""The workspace's client: Databricks' own, authenticated in its own ways, with its faults in our words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.errors import NotThereError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_logger = logging.getLogger(__name__)

_AUTHENTICATE = "Authenticate again ('databricks auth login', or renew the token or the secret)."


class UnreachableError(NotThereError):
    """The workspace does not answer, or does not know us any more."""


class BusyError(UnreachableError):
    """The workspace answers, but can't for the moment: another try may do."""


def open_workspace(profile: str) -> WorkspaceClient:
    """A client, by Databricks' unified authentication.

    Args:
        profile: Of ``~/.databrickscfg``; empty where environment or default profile decide.

    Raises:
        NotThereError: Nothing says who to be, or for which workspace.
    """
    from databricks.sdk import WorkspaceClient

    try:
        return WorkspaceClient(profile=profile) if profile else WorkspaceClient()
    except (ValueError, OSError) as error:
        raise NotThereError(
            f"There is no way to authenticate to a Databricks workspace: {_first_line(error)}",
            remedy="'databricks auth login' makes a profile; DATABRICKS_HOST with DATABRICKS_TOKEN, or with "
            "a service principal, does too.",
        ) from error


@contextmanager
def told(workspace: WorkspaceClient, what: str) -> Iterator[None]:
    """The workspace's faults in the harness's words.

    Args:
        workspace: Names itself in the message.
        what: Was asked of it, such as ``upload the wheel``.

    Raises:
        UnreachableError: It does not answer, or refuses who we are.
        NotThereError: It refuses what it was asked.
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
    _logger.debug("asking the workspace %s to %s", host, what)
    try:
        yield
    except Unauthenticated as error:
        raise UnreachableError(
            f"The workspace {host} refuses the credential: can't {what}: {_first_line(error)}",
            remedy=_AUTHENTICATE,
        ) from error
    except PermissionDenied as error:
        # A token that is wrong or has run out is told by the same answer as a right that is missing.
        if "token" in str(error).lower():
            raise UnreachableError(
                f"The workspace {host} refuses the credential: can't {what}: {_first_line(error)}",
                remedy=_AUTHENTICATE,
            ) from error
        raise NotThereError(
            f"The workspace {host} does not permit to {what}: {_first_line(error)}",
            remedy="'harness doctor --target databricks' shows what is missing.",
        ) from error
    except (requests.RequestException, TimeoutError) as error:
        raise UnreachableError(
            f"The workspace {host} does not answer: can't {what}: {type(error).__name__}.",
            remedy="See that it is reached from here.",
        ) from error
    except (InternalError, TemporarilyUnavailable, DeadlineExceeded) as error:
        raise BusyError(
            f"The workspace {host} has trouble of its own: can't {what}: {_first_line(error)}",
            remedy="Try again later.",
        ) from error
    except DatabricksError as error:
        raise NotThereError(f"The workspace {host} can't {what}: {_first_line(error)}") from error
    except (ValueError, OSError) as error:
        # A credential that can't be renewed is told by these: in the SDK's words, or in those of a command.
        raise UnreachableError(
            f"The workspace {host} can't be authenticated to any more: can't {what}: {_first_line(error)}",
            remedy=_AUTHENTICATE,
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
