"""Files in a workspace: in a Unity Catalog volume, or workspace files.

All of them are in folders with an expiry date in the name, so that leftovers can be removed without affecting
files in use.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from harness.errors import HarnessError
from harness.storage.uris import VOLUMES
from harness.table_names import choose_expiry
from harness.targets.databricks.client import translate_errors

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.files import DirectoryEntry

_UNTIL = re.compile(r"until-(\d{8})")
_TOP = 2
"""Number of names in a path that always exists, such as ``/Workspace/Users``."""


def name_expiring_folder(today: date, days: int) -> str:
    """Return the name of the folder for uploads of a day: the same for a week, so that they are reused."""
    return f"until-{choose_expiry(today, days)}"


def has_expired(name: str, today: date) -> bool:
    """Return whether the date in a folder's name has passed."""
    found = _UNTIL.fullmatch(name)
    if found is None:
        return False
    try:
        return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).date() < today
    except ValueError:
        return False


class RemoteFiles(Protocol):
    """Remote files by their absolute path."""

    def make_folder(self, path: str) -> None:
        """Create a folder and its parents."""

    def exists(self, path: str) -> bool:
        """Return whether the file exists."""

    def upload(self, path: str, content: BinaryIO) -> None:
        """Write a file, replacing an existing one."""

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or ``None`` if it does not exist."""

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """Return each name in a folder and whether it is a folder; nothing if the folder does not exist."""

    def remove_file(self, path: str) -> None:
        """Remove a file if it exists."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder with its content if it exists."""


def open_files(workspace: WorkspaceClient, folder: str) -> RemoteFiles:
    """Return access to the kind of files that a folder contains."""
    return VolumeFiles(workspace) if folder.startswith(VOLUMES) else WorkspaceFiles(workspace)


def upload_once(files: RemoteFiles, path: str, content: Path) -> bool:
    """Upload a file to a path with its digest unless it exists, and return whether it was uploaded.

    An interrupted upload leaves nothing behind.
    """
    if files.exists(path):
        return False
    files.make_folder(path.rpartition("/")[0])
    with content.open("rb") as stream:
        _upload_whole(files, path, stream)
    return True


def try_writing(files: RemoteFiles, folder: str) -> None:
    """Require that files can be written and removed in an existing folder; no file is left behind.

    Raises:
        PrerequisiteError: They can't be.
    """
    # A unique name, because others may try at the same time.
    probe = f"{folder}/harness-probe-{secrets.token_hex(4)}"
    _upload_whole(files, probe, make_stream("This file can be removed.\n"))
    files.remove_file(probe)


def find_nearest_existing(files: RemoteFiles, folder: str) -> str:
    """Return a folder of workspace files, or the nearest existing one above it; not for volumes."""
    while folder.count("/") > _TOP and not files.exists(folder):
        folder = folder.rpartition("/")[0]
    return folder


def _upload_whole(files: RemoteFiles, path: str, content: BinaryIO) -> None:
    try:
        files.upload(path, content)
    except (HarnessError, KeyboardInterrupt):
        with suppress(HarnessError):
            files.remove_file(path)
        raise


def sweep(files: RemoteFiles, root: str, today: date, report: Callable[[str], None]) -> int:
    """Remove every expired folder, and return the number of removed folders.

    Args:
        files: Access to the files below the root.
        root: Folder with everything that the harness uploads.
        today: Current day.
        report: Shows each removed folder.
    """
    expired = [name for name, is_folder in files.names(root) if is_folder and has_expired(name, today)]
    for name in sorted(expired):
        files.remove_folder(f"{root}/{name}")
        report(f"{root}/{name}")
    return len(expired)


class VolumeFiles:
    """Files in a volume (API: Files)."""

    def __init__(self, workspace: WorkspaceClient) -> None:
        self._workspace = workspace

    def make_folder(self, path: str) -> None:
        """Create a folder and its parents."""
        with translate_errors(self._workspace, f"create the folder {path}"):
            self._workspace.files.create_directory(path)

    def exists(self, path: str) -> bool:
        """Return whether the file exists."""
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"find {path}"):
            try:
                self._workspace.files.get_metadata(path)
            except NotFound:
                return False
        return True

    def upload(self, path: str, content: BinaryIO) -> None:
        """Write a file, replacing an existing one."""
        with translate_errors(self._workspace, f"upload {path}"):
            self._workspace.files.upload(path, content, overwrite=True)

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or ``None`` if it does not exist."""
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"download {path}"):
            try:
                stream = self._workspace.files.download(path).contents
            except NotFound:
                return None
            return stream.read() if stream is not None else b""

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """Return each name in a folder and whether it is a folder."""
        return [(_base_name(entry.path), bool(entry.is_directory)) for entry in self._list(folder)]

    def find_last_change(self, folder: str) -> datetime | None:
        """Return when a file in a folder has last changed; ``None`` if there is none.

        The API has no time for a folder.
        """
        entries = self._list(folder)
        within = (self.find_last_change(each.path or "") for each in entries if each.is_directory)
        changes = [
            datetime.fromtimestamp((each.last_modified or 0) / 1000, UTC)
            for each in entries
            if not each.is_directory
        ]
        return max([*changes, *filter(None, within)], default=None)

    def remove_file(self, path: str) -> None:
        """Remove a file if it exists."""
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"remove {path}"), suppress(NotFound):
            self._workspace.files.delete(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder after its content, because the API only removes empty folders."""
        from databricks.sdk.errors import NotFound

        for name, is_folder in self.names(path):
            (self.remove_folder if is_folder else self.remove_file)(f"{path}/{name}")
        with translate_errors(self._workspace, f"remove {path}"), suppress(NotFound):
            self._workspace.files.delete_directory(path)

    def _list(self, folder: str) -> list[DirectoryEntry]:
        """Return the entries of a folder; none if it doesn't exist."""
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"list {folder}"), suppress(NotFound):
            return list(self._workspace.files.list_directory_contents(folder))
        return []


class WorkspaceFiles:
    """Workspace files (API: Workspace), which a cluster has below ``/Workspace``."""

    def __init__(self, workspace: WorkspaceClient) -> None:
        self._workspace = workspace

    def make_folder(self, path: str) -> None:
        """Create a folder and its parents."""
        with translate_errors(self._workspace, f"create the folder {path}"):
            self._workspace.workspace.mkdirs(_api_path(path))

    def exists(self, path: str) -> bool:
        """Return whether the file exists."""
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"find {path}"):
            try:
                self._workspace.workspace.get_status(_api_path(path))
            except NotFound:
                return False
        return True

    def upload(self, path: str, content: BinaryIO) -> None:
        """Write a file, replacing an existing one."""
        from databricks.sdk.service.workspace import ImportFormat

        with translate_errors(self._workspace, f"upload {path}"):
            self._workspace.workspace.upload(
                _api_path(path), content, format=ImportFormat.AUTO, overwrite=True
            )

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or ``None`` if it does not exist."""
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"download {path}"):
            try:
                return bytes(self._workspace.workspace.download(_api_path(path)).read())
            except NotFound:
                return None

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """Return each name in a folder and whether it is a folder."""
        return list(self._names(folder))

    def remove_file(self, path: str) -> None:
        """Remove a file if it exists."""
        self._remove(path, recursive=False)

    def remove_folder(self, path: str) -> None:
        """Remove a folder with its content."""
        self._remove(path, recursive=True)

    def _names(self, folder: str) -> Iterator[tuple[str, bool]]:
        from databricks.sdk.errors import NotFound
        from databricks.sdk.service.workspace import ObjectType

        with translate_errors(self._workspace, f"list {folder}"), suppress(NotFound):
            for entry in self._workspace.workspace.list(_api_path(folder)):
                yield _base_name(entry.path), entry.object_type is ObjectType.DIRECTORY

    def _remove(self, path: str, *, recursive: bool) -> None:
        from databricks.sdk.errors import NotFound

        with translate_errors(self._workspace, f"remove {path}"), suppress(NotFound):
            self._workspace.workspace.delete(_api_path(path), recursive=recursive)


def make_stream(content: str) -> BinaryIO:
    """Return a text as a stream to upload."""
    return io.BytesIO(content.encode())


def _api_path(path: str) -> str:
    """Return a path as the workspace's API has it: without the mount point of clusters."""
    return path.removeprefix("/Workspace")


def _base_name(path: str | None) -> str:
    return (path or "").rstrip("/").rpartition("/")[2]
