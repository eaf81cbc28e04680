"""Full disks: recognized by an error's message, or by the free space of the folders that a run writes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.files import FULL_DISK_REMEDY
from harness.plan import Environment
from harness.storage.tracking_store import find_store_file
from harness.storage.uris import find_local_path

# Messages of the operating system and SQLite.
_MESSAGES = ("No space left on device", "Disk quota exceeded", "database or disk is full")
_FULL_BELOW_BYTES = 4 << 20
"""Free space below which a disk is full: what a process freed at its end is not needed to go on."""
_FULL_BELOW_SHARE = 100
"""The same for a small disk, as a share of its size."""
_TEMP_REMEDY = "Free some space there, or set TMPDIR to a folder with more space."


@dataclass(frozen=True)
class FullFolder:
    """A folder on a disk that is full."""

    path: Path
    finding: str


def is_full_disk_message(text: str) -> bool:
    """Return whether a message reports a full disk."""
    return any(message in text for message in _MESSAGES)


def list_local_folders(environment: Environment) -> list[Path]:
    """Return the folders of this machine that a run writes to, including the one for temporary files."""
    uris = (environment.lake, environment.model_store, environment.artifacts or "")
    folders = [find_local_path(uri, Path("/")) for uri in uris if uri]
    store = find_store_file(environment.tracking_uri)
    return [*filter(None, (_find_temp_folder(), *folders, store.parent if store else None))]


def find_full_folder(folders: Iterable[Path]) -> FullFolder | None:
    """Return the first folder whose disk is full, or ``None``."""
    return next(filter(None, map(_check, folders)), None)


def make_full_disk_error(folders: Iterable[Path], reason: str = "") -> PrerequisiteError | None:
    """Return the error for a full disk, with its folder; ``None`` if none is full and no reason is given.

    Args:
        folders: Folders that the run writes to.
        reason: A message that reports a full disk.
    """
    full = find_full_folder(folders)
    if full is None:
        return PrerequisiteError(f"The disk is full: {reason}", remedy=FULL_DISK_REMEDY) if reason else None
    also = f" ({reason.rstrip('.')})" if reason else ""
    return PrerequisiteError(
        f"The disk is full: {full.path} has {full.finding}{also}.",
        remedy=_TEMP_REMEDY if full.path == _find_temp_folder() else FULL_DISK_REMEDY,
    )


def _find_temp_folder() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # None can be written.
        return None


def _check(folder: Path) -> FullFolder | None:
    nearest = next((each for each in (folder, *folder.parents) if each.exists()), None)
    if nearest is None:
        return None
    disk = os.statvfs(nearest)
    free = disk.f_bavail * disk.f_frsize
    if free < min(_FULL_BELOW_BYTES, disk.f_blocks * disk.f_frsize // _FULL_BELOW_SHARE):
        return FullFolder(folder, f"{free >> 10:,} kB of free space")
    # Some file systems don't count files.
    if disk.f_files and not disk.f_favail:
        return FullFolder(folder, "no room for another file, although it has free space")
    return None
