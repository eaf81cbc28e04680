"""The model store: the storage that bundles are copied to, a folder or a storage account."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from harness.errors import PrerequisiteError
from harness.files import make_unwritable_error, sha256_of, write_text
from harness.plan import Account
from harness.storage.blobs import Blobs, find_account
from harness.storage.uris import SCHEME, StorageUri

MANIFEST = "manifest.json"
"""Name of the file that makes a folder of the store a bundle."""


_BUNDLE_NAME = re.compile(r"v\d+-[0-9a-f]{32}")


def name_bundle(table: str, version: int, run_id: str) -> str:
    """Return the path of a bundle: its table, its Delta version and its MLflow run."""
    return f"{table}/v{version}-{run_id}"


def _is_bundle_name(path: str) -> bool:
    """Return whether the last part of a path is the name of a bundle: a store may have other folders."""
    return _BUNDLE_NAME.fullmatch(path.rpartition("/")[2]) is not None


class BundleStore(Protocol):
    """Published bundles, to be found and removed; files are named by their path relative to the root."""

    def uri(self, path: str) -> str:
        """Return the URI of a path, for Spark to read."""

    def find_path(self, uri: str) -> str:
        """Return the path of a URI in this store."""

    def read(self, path: str) -> str | None:
        """Return the text of a file, or ``None`` if it doesn't exist."""

    def is_unfinished(self, path: str, before: datetime) -> bool:
        """Return whether a path is a copy without a manifest in which nothing has changed since a time."""

    def remove_all(self, path: str) -> None:
        """Remove a folder with everything in it, if it exists."""


class ModelStore(BundleStore, Protocol):
    """A store that bundles can be copied to."""

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file's content, read back from the store; ``None`` if it doesn't exist."""

    def list_bundles(self) -> Sequence[str]:
        """Return the paths of the bundles: those folders of each table's folder that have a manifest."""

    def list_unfinished(self, before: datetime) -> Sequence[str]:
        """Return the paths of copies without a manifest in which nothing has changed since a time."""

    def put(self, path: str, file: Path) -> None:
        """Copy a local file; it appears whole or not at all."""

    def write(self, path: str, text: str) -> None:
        """Write a text file; it appears whole or not at all."""


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


def holds_bundle(store: BundleStore, uri: str | None) -> bool:
    """Return whether a URI is that of a bundle in a store."""
    path = find_bundle_path(store, uri)
    return path is not None and store.read(f"{path}/{MANIFEST}") is not None


def find_bundle_path(store: BundleStore, uri: str | None) -> str | None:
    """Return the path of a bundle, whether it exists or not; ``None`` if its URI isn't in the store."""
    table, _, name = (path := "/".join((uri or "").rsplit("/", 2)[1:])).partition("/")
    is_bundle = _BUNDLE_NAME.fullmatch(name) is not None and table not in ("", ".", "..")
    return path if is_bundle and store.uri(path) == uri else None


def withdraw_bundles(uris: Iterable[str], store_uri: str, accounts: Sequence[Account]) -> None:
    """Remove bundles with all their files, also those that are not complete.

    Args:
        uris: URIs of the bundles.
        store_uri: Root of their model store, which is only opened if there are bundles.
        accounts: The known storage accounts.
    """
    listed = list(uris)
    if listed:
        store = open_store(store_uri, accounts, create=False)
        for uri in listed:
            store.remove_all(store.find_path(uri))


class AccountStore:
    """A model store in a container of a storage account."""

    def __init__(self, root: StorageUri, blobs: Blobs) -> None:
        self._root = root
        self._blobs = blobs
        self.read, self.digest, self.put = blobs.read, blobs.digest, blobs.put
        self.write, self.remove_all = blobs.write, blobs.remove_all

    def uri(self, path: str) -> str:
        """Return the URI of a path, for Spark to read."""
        return str(self._root / path)

    def find_path(self, uri: str) -> str:
        """Return the path of a URI in this store."""
        return uri.removeprefix(f"{self._root}/")

    def list_bundles(self) -> Sequence[str]:
        """Return the paths of the bundles."""
        return [folder for folder in self._list_folders() if self._blobs.exists(f"{folder}/{MANIFEST}")]

    def list_unfinished(self, before: datetime) -> Sequence[str]:
        """Return the paths of copies without a manifest in which nothing has changed since a time."""
        return [
            folder
            for folder in self._list_folders()
            if _is_bundle_name(folder) and self.is_unfinished(folder, before)
        ]

    def is_unfinished(self, path: str, before: datetime) -> bool:
        """Return whether a path is a copy without a manifest in which nothing has changed since a time."""
        if self._blobs.exists(f"{path}/{MANIFEST}"):
            return False
        changed = self._blobs.find_last_change(path)
        return changed is not None and changed < before

    def _list_folders(self) -> list[str]:
        """Return the folders of all tables' folders."""
        blobs = self._blobs
        return sorted(folder for table in blobs.list_folders() for folder in blobs.list_folders(table))


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

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file's content; ``None`` if it doesn't exist."""
        file = self._root / path
        return sha256_of(file) if file.is_file() else None

    def list_bundles(self) -> Sequence[str]:
        """Return the paths of the bundles."""
        manifests = self._root.glob(f"*/*/{MANIFEST}")
        return sorted(each.parent.relative_to(self._root).as_posix() for each in manifests)

    def list_unfinished(self, before: datetime) -> Sequence[str]:
        """Return the paths of copies without a manifest in which nothing has changed since a time."""
        folders = (each.relative_to(self._root).as_posix() for each in self._root.glob("*/*"))
        return sorted(
            folder for folder in folders if _is_bundle_name(folder) and self.is_unfinished(folder, before)
        )

    def is_unfinished(self, path: str, before: datetime) -> bool:
        """Return whether a path is a copy without a manifest in which nothing has changed since a time."""
        folder = self._root / path
        if not folder.is_dir() or (folder / MANIFEST).exists():
            return False
        return all(each.stat().st_mtime < before.timestamp() for each in [folder, *folder.rglob("*")])

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

    def remove_all(self, path: str) -> None:
        """Remove a folder with everything in it, if it exists.

        Raises:
            PrerequisiteError: Something in it can't be removed.
        """
        folder = self._root / path
        try:
            shutil.rmtree(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise make_unwritable_error(folder, error) from error
