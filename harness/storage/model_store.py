"""The model store: the storage that bundles are copied to, a folder or a storage account."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from harness.errors import PrerequisiteError
from harness.files import make_unwritable_error, write_text
from harness.plan import Account
from harness.storage.blobs import Blobs, find_account
from harness.storage.uris import SCHEME, StorageUri

MANIFEST = "manifest.json"
"""Name of the file that makes a folder of the store a bundle."""


class ModelStore(Protocol):
    """Files, named by their path relative to the store's root."""

    def uri(self, path: str) -> str:
        """Return the URI of a path, for Spark to read."""

    def find_path(self, uri: str) -> str:
        """Return the path of a URI in this store."""

    def read(self, path: str) -> str | None:
        """Return the text of a file, or ``None`` if it doesn't exist."""

    def list_bundles(self) -> Sequence[str]:
        """Return the paths of the bundles: those folders of each table's folder that have a manifest."""

    def put(self, path: str, file: Path) -> None:
        """Copy a local file; it appears whole or not at all."""

    def write(self, path: str, text: str) -> None:
        """Write a text file; it appears whole or not at all."""

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""


def open_store(uri: str, accounts: Sequence[Account], *, create: bool = True) -> ModelStore:
    """Open a model store: a folder (also ``/Volumes/...``) or a storage account's container.

    Args:
        uri: The store's root.
        accounts: The known storage accounts.
        create: Whether to create a missing container, for writing.

    Raises:
        PrerequisiteError: The URI is of an unsupported kind, or the account does not answer.
    """
    if uri.startswith(SCHEME):
        root = StorageUri.parse(uri)
        return AccountStore(root, Blobs(root, find_account(root, accounts), create=create))
    if "://" in uri and not uri.startswith("file://"):
        raise PrerequisiteError(
            f"Can't copy models to {uri}: a model store is a folder or an abfss:// URI.",
            remedy="Name another model store in the scenario's publish.to.",
        )
    return FolderStore(Path(uri.removeprefix("file://")))


class AccountStore:
    """A model store in a container of a storage account."""

    def __init__(self, root: StorageUri, blobs: Blobs) -> None:
        self._root = root
        self._blobs = blobs
        self.read, self.put = blobs.read, blobs.put
        self.write, self.remove = blobs.write, blobs.remove

    def uri(self, path: str) -> str:
        """Return the URI of a path, for Spark to read."""
        return str(self._root / path)

    def find_path(self, uri: str) -> str:
        """Return the path of a URI in this store."""
        return uri.removeprefix(f"{self._root}/")

    def list_bundles(self) -> Sequence[str]:
        """Return the paths of the bundles."""
        tables = self._blobs.list_folders()
        folders = (bundle for table in tables for bundle in self._blobs.list_folders(table))
        return sorted(folder for folder in folders if self._blobs.exists(f"{folder}/{MANIFEST}"))


class FolderStore:
    """A model store in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, path: str) -> str:
        """Return the path of a file, including the root."""
        return str(self._root / path)

    def find_path(self, uri: str) -> str:
        """Return the path of a URI in this store."""
        return Path(uri).relative_to(self._root).as_posix()

    def read(self, path: str) -> str | None:
        """Return the text of a file, or ``None`` if it doesn't exist."""
        file = self._root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def list_bundles(self) -> Sequence[str]:
        """Return the paths of the bundles."""
        manifests = self._root.glob(f"*/*/{MANIFEST}")
        return sorted(each.parent.relative_to(self._root).as_posix() for each in manifests)

    def put(self, path: str, file: Path) -> None:
        """Copy a file under a temporary name, then rename it."""
        target = self._root / path
        temporary = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, temporary)
            temporary.replace(target)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise make_unwritable_error(target, error) from error

    def write(self, path: str, text: str) -> None:
        """Write a text file under a temporary name, then rename it."""
        write_text(self._root / path, text)

    def remove(self, path: str) -> None:
        """Remove a file, if it exists."""
        (self._root / path).unlink(missing_ok=True)
