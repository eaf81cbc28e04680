"""What a target can read where it is: this machine's files, a lake, a workspace's volumes."""

from __future__ import annotations

from pathlib import Path

from harness.errors import NotThereError
from harness.scenario.places import local_path
from harness.storage.uri import VOLUMES


def on_this_machine(uri: str) -> Path | None:
    """The path of this machine that is meant; none where the place is elsewhere."""
    return local_path(uri, Path("/"))


def require_no_volume(uri: str, target: str) -> None:
    """Volumes are a workspace's own.

    Raises:
        NotThereError: It is in one.
    """
    if uri.startswith(VOLUMES) and on_this_machine(uri) is None:
        raise NotThereError(
            f"The {target} target can't reach {uri}: it lies in a volume of a workspace.",
            remedy="Name an abfss:// URI, or use --target databricks.",
        )


def require_elsewhere(table: str, target: str, places: str) -> None:
    """A table is not copied: its versions are in its log.

    Args:
        table: URI or absolute path.
        target: As a sentence names it.
        places: Where the target can reach one.

    Raises:
        NotThereError: It is a folder of this machine.
    """
    if on_this_machine(table) is not None:
        raise NotThereError(
            f"The {target} target can't reach the table {table}: it is a folder of this machine.",
            remedy=f"Name {places}, or use --target embedded.",
        )
