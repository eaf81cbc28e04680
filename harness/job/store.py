"""The model store: the second storage, which bundles are copied to."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from harness.errors import NotThereError
from harness.files import unwritable, write_text


class ModelStore(Protocol):
    """Files by their path below the store's root."""

    def uri(self, path: str) -> str:
        """The whole URI of a path, as Spark reads it."""

    def relative(self, uri: str) -> str:
        """The path of a URI in this store."""

    def read(self, path: str) -> str | None:
        """The text of a file; ``None`` where there is none."""

    def put(self, path: str, file: Path) -> None:
        """Copy a local file; it appears whole or not at all."""

    def write(self, path: str, text: str) -> None:
        """Write a text file; it appears whole or not at all."""

    def remove(self, path: str) -> None:
        """Remove a file, where it is there."""


def open_store(uri: str) -> ModelStore:
    """The store at a root URI.

    Raises:
        NotThereError: There is no way to copy to this kind of URI.
    """
    if "://" in uri and not uri.startswith("file://"):
        raise NotThereError(
            f"Can't copy models to {uri}: only folders are supported as yet.",
            remedy="Let the scenario's publish.to name a model store that is a folder.",
        )
    return FolderStore(Path(uri.removeprefix("file://")))


class FolderStore:
    """A model store in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def uri(self, path: str) -> str:
        """The whole path."""
        return str(self._root / path)

    def relative(self, uri: str) -> str:
        """The path below the root."""
        return Path(uri).relative_to(self._root).as_posix()

    def read(self, path: str) -> str | None:
        """The text of a file; ``None`` where there is none."""
        file = self._root / path
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def put(self, path: str, file: Path) -> None:
        """Copy a file beside its place, then rename it."""
        target = self._root / path
        aside = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, aside)
            aside.replace(target)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            raise unwritable(target, error) from error

    def write(self, path: str, text: str) -> None:
        """Write a text file aside, then rename it."""
        write_text(self._root / path, text)

    def remove(self, path: str) -> None:
        """Remove a file, where it is there."""
        (self._root / path).unlink(missing_ok=True)
