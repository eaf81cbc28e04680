"""What a target needs, looked at before anything is started: one line each."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import HarnessError, NotThereError
from harness.files import FULL_DISK_REMEDY, UNWRITABLE_REMEDY
from harness.storage.paths import local_path
from harness.storage.uri import VOLUMES

State = Literal["ok", "failed", "not checkable"]


@dataclass(frozen=True)
class Check:
    """One thing that a target needs."""

    what: str
    state: State
    found: str = ""
    """What was seen, or why it can't be."""
    remedy: str = ""
    """Where it failed."""


def require(checks: Iterable[Check]) -> None:
    """See that none has failed.

    Raises:
        NotThereError: Names every one that has, with its remedy.
    """
    failed = [check for check in checks if check.state == "failed"]
    if failed:
        raise NotThereError(
            "\n".join(f"{check.what}: {check.found}" for check in failed),
            remedy="\n  ".join(dict.fromkeys(check.remedy for check in failed if check.remedy)) or None,
        )


NEEDED_BYTES = 200 << 20
"""Of the disk, for a run."""
_SQLITE = "sqlite:///"
_TIMEOUT_S = 5


def look(what: str, see: Callable[[], str]) -> Check:
    """A line for one thing: ok with what was seen, or failed with the fault's message and remedy."""
    try:
        return Check(what, "ok", see())
    except HarnessError as error:
        return Check(what, "failed", error.message, error.remedy or "")


def room(folder: Path) -> str:
    """What is left of the disk.

    Raises:
        NotThereError: Less than a run needs.
    """
    free = shutil.disk_usage(_nearest(folder)).free
    if free < NEEDED_BYTES:
        raise NotThereError(
            f"{folder} has {free >> 20} MB left; a run needs {NEEDED_BYTES >> 20} MB.",
            remedy=FULL_DISK_REMEDY,
        )
    return f"{free >> 20:,} MB left; a run needs {NEEDED_BYTES >> 20} MB"


def writable(folder: Path) -> str:
    """A folder that can be written, or made.

    Raises:
        NotThereError: It can't.
    """
    nearest = _nearest(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise NotThereError(f"Can't write {folder}: {nearest} does not let us.", remedy=UNWRITABLE_REMEDY)
    return str(folder) if nearest == folder else f"{folder} can be made"


def tracking_store(uri: str) -> Check:
    """A line for MLflow's tracking store: a file, or a server."""
    what = "tracking store"
    if uri.startswith(_SQLITE):
        return look(what, lambda: _database(Path(uri.removeprefix(_SQLITE))))
    if uri.startswith(("http://", "https://")):
        return look(what, lambda: _server(uri))
    return Check(what, "not checkable", f"{uri.partition(':')[0]}: only MLflow itself can tell")


def _database(file: Path) -> str:
    if not file.exists():
        writable(file.parent)
        return f"{file} is made by the first run"
    if not os.access(file, os.W_OK):
        raise NotThereError(f"Can't write {file}.", remedy="Make it writable, or set HARNESS_TRACKING_URI.")
    return str(file)


def _server(uri: str) -> str:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_S):  # noqa: S310 - http alone
            return f"{uri} answers"
    except urllib.error.HTTPError as error:
        # Whoever asks for a login is there; MLflow itself knows the login.
        error.close()
        return f"{uri} answers with {error.code}"
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise NotThereError(
            f"MLflow at {uri} does not answer: {reason}.", remedy="Start it, or set HARNESS_TRACKING_URI."
        ) from error


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


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
