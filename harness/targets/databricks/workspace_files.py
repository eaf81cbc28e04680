"""Files in a workspace: in a Unity Catalog volume, or among the workspace's own.

All of them lie below a folder whose name says until when they are needed, so that what was left behind can
be told from what is in use.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from harness.errors import HarnessError
from harness.storage.uri import VOLUMES
from harness.targets.databricks.client import told

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_UNTIL = re.compile(r"until-(\d{8})")
_WEEK = 7
_TOP = 2
"""Names in a path that is always there, such as ``/Workspace/Users``."""


def shelf(today: date, days: int) -> str:
    """The name of the folder for what is uploaded on a day: the same for a week, so that it is found again.

    Args:
        today: The day.
        days: For which it is needed at least.
    """
    until = today + timedelta(days=days)
    until += timedelta(days=-until.weekday() % _WEEK)
    return f"until-{until:%Y%m%d}"


def has_expired(name: str, today: date) -> bool:
    """Whether a folder's name says that nothing in it is needed any more."""
    found = _UNTIL.fullmatch(name)
    if found is None:
        return False
    try:
        return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).date() < today
    except ValueError:
        return False


class RemoteFiles(Protocol):
    """Files by their absolute path."""

    def make_folder(self, path: str) -> None:
        """Make a folder, with those above it."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def upload(self, path: str, content: BinaryIO) -> None:
        """Write a file, over one that may be there."""

    def read(self, path: str) -> bytes | None:
        """A file's content; ``None`` where there is none."""

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """What lies in a folder: each name, and whether it is a folder; nothing where there is none."""

    def remove_file(self, path: str) -> None:
        """Remove a file, where it is there."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it, where it is there."""


def open_files(workspace: WorkspaceClient, folder: str) -> RemoteFiles:
    """The files of the place that a folder lies in."""
    return VolumeFiles(workspace) if folder.startswith(VOLUMES) else WorkspaceFiles(workspace)


def put(files: RemoteFiles, path: str, content: Path) -> bool:
    """Upload a file under a name that is its content's, unless it is there; gives whether it was not.

    An upload that breaks off leaves nothing behind.
    """
    if files.exists(path):
        return False
    files.make_folder(path.rpartition("/")[0])
    with content.open("rb") as stream:
        _upload_whole(files, path, stream)
    return True


def try_writing(files: RemoteFiles, folder: str) -> None:
    """See that files can be written and removed in a folder that is there; nothing of it stays.

    Raises:
        NotThereError: They can't.
    """
    # A name of its own: others may try at the same time.
    probe = f"{folder}/harness-probe-{secrets.token_hex(4)}"
    _upload_whole(files, probe, text("It can be removed.\n"))
    files.remove_file(probe)


def nearest(files: RemoteFiles, folder: str) -> str:
    """A folder of the workspace's own, or the nearest above it that is there; not of a volume."""
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
    """Remove every folder that has expired, and give how many there were.

    Args:
        files: Of the place that the root lies in.
        root: The folder with everything that the harness uploads.
        today: The day.
        report: Told of each.
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
        """Make a folder, with those above it."""
        with told(self._workspace, f"make the folder {path}"):
            self._workspace.files.create_directory(path)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"look at {path}"):
            try:
                self._workspace.files.get_metadata(path)
            except NotFound:
                return False
        return True

    def upload(self, path: str, content: BinaryIO) -> None:
        """Write a file, over one that may be there."""
        with told(self._workspace, f"upload {path}"):
            self._workspace.files.upload(path, content, overwrite=True)

    def read(self, path: str) -> bytes | None:
        """A file's content; ``None`` where there is none."""
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"download {path}"):
            try:
                stream = self._workspace.files.download(path).contents
            except NotFound:
                return None
            return stream.read() if stream is not None else b""

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """What lies in a folder."""
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"list {folder}"):
            try:
                entries = list(self._workspace.files.list_directory_contents(folder))
            except NotFound:
                return []
        return [(_last(entry.path), bool(entry.is_directory)) for entry in entries]

    def remove_file(self, path: str) -> None:
        """Remove a file, where it is there."""
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"remove {path}"), suppress(NotFound):
            self._workspace.files.delete(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder; only an empty one can be, so what is in it goes first."""
        from databricks.sdk.errors import NotFound

        for name, is_folder in self.names(path):
            (self.remove_folder if is_folder else self.remove_file)(f"{path}/{name}")
        with told(self._workspace, f"remove {path}"), suppress(NotFound):
            self._workspace.files.delete_directory(path)


class WorkspaceFiles:
    """Files of the workspace itself (API: Workspace), which a cluster finds below ``/Workspace``."""

    def __init__(self, workspace: WorkspaceClient) -> None:
        self._workspace = workspace

    def make_folder(self, path: str) -> None:
        """Make a folder, with those above it."""
        with told(self._workspace, f"make the folder {path}"):
            self._workspace.workspace.mkdirs(_own(path))

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"look at {path}"):
            try:
                self._workspace.workspace.get_status(_own(path))
            except NotFound:
                return False
        return True

    def upload(self, path: str, content: BinaryIO) -> None:
        """Write a file, over one that may be there."""
        from databricks.sdk.service.workspace import ImportFormat

        with told(self._workspace, f"upload {path}"):
            self._workspace.workspace.upload(_own(path), content, format=ImportFormat.AUTO, overwrite=True)

    def read(self, path: str) -> bytes | None:
        """A file's content; ``None`` where there is none."""
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"download {path}"):
            try:
                return bytes(self._workspace.workspace.download(_own(path)).read())
            except NotFound:
                return None

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """What lies in a folder."""
        return list(self._names(folder))

    def remove_file(self, path: str) -> None:
        """Remove a file, where it is there."""
        self._remove(path, recursive=False)

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it."""
        self._remove(path, recursive=True)

    def _names(self, folder: str) -> Iterator[tuple[str, bool]]:
        from databricks.sdk.errors import NotFound
        from databricks.sdk.service.workspace import ObjectType

        with told(self._workspace, f"list {folder}"), suppress(NotFound):
            for entry in self._workspace.workspace.list(_own(folder)):
                yield _last(entry.path), entry.object_type is ObjectType.DIRECTORY

    def _remove(self, path: str, *, recursive: bool) -> None:
        from databricks.sdk.errors import NotFound

        with told(self._workspace, f"remove {path}"), suppress(NotFound):
            self._workspace.workspace.delete(_own(path), recursive=recursive)


def text(content: str) -> BinaryIO:
    """A text, as an upload takes it."""
    return io.BytesIO(content.encode())


def _own(path: str) -> str:
    """The path as the workspace's own API has it: without the mount point of clusters."""
    return path.removeprefix("/Workspace")


def _last(path: str | None) -> str:
    return (path or "").rstrip("/").rpartition("/")[2]
