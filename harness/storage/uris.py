"""URIs of storage accounts, ``abfss://container@account.dfs.core.windows.net/path``, and local paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from harness.errors import PrerequisiteError

SCHEME = "abfss://"
SQLITE = "sqlite:///"
"""Scheme of MLflow stores in a file of this machine."""
VOLUMES = "/Volumes/"
"""Root of Unity Catalog's volumes on a Databricks cluster, in Spark and in the file system alike."""
_URI = re.compile(r"abfss://([^@/]*)@([^./]+)\.dfs\.core\.windows\.net(?:/(.*))?")
_PARTS = re.compile(r"abfss://[^@/]+@[^/]+")
# docs: Naming and Referencing Containers, Blobs, and Metadata.
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class StorageUri:
    """A path in a container of a storage account."""

    container: str
    account: str
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> StorageUri:
        """Parse a URI.

        Raises:
            PrerequisiteError: It is not a URI of a storage account, or the name of its container is invalid.
        """
        found = _URI.fullmatch(uri)
        if found is None:
            raise PrerequisiteError(
                f"{uri} is not a URI of a storage account.",
                remedy="Use abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH.",
            )
        container, account, path = found.groups()
        if not _CONTAINER.fullmatch(container):
            raise PrerequisiteError(
                f"Invalid container name '{container}' ({uri}).",
                remedy="Use 3 to 63 lowercase letters, digits and single hyphens.",
            )
        return cls(container, account, (path or "").strip("/"))

    def __truediv__(self, path: str) -> StorageUri:
        return StorageUri(self.container, self.account, f"{self.path}/{path.strip('/')}".strip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.container}@{self.account}.dfs.core.windows.net/{self.path}".rstrip("/")


def explain_incomplete(uri: str) -> str | None:
    """Explain that a URI with the scheme ``abfss`` names no container or account; ``None`` if it has both.

    Other clouds have other domains, so everything else about it is left to Spark.
    """
    if not uri.startswith(SCHEME) or _PARTS.match(uri):
        return None
    return (
        f"{uri} is not a URI of a storage account. Use {SCHEME}CONTAINER@ACCOUNT.dfs.core.windows.net/PATH."
    )


_FILE = re.compile(r"file:(//(localhost)?(?=/))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_PASSWORD = re.compile(r"\w+://[^/@]*:[^/@]*@")
_CREDENTIALS_IN_TEXT = re.compile(r"(?<=://)[^/\s]*:[^/\s]*@")


def find_local_path(text: str, folder: Path) -> Path | None:
    """Return the path on this machine that a text names, or ``None`` if it is elsewhere.

    Args:
        text: URI or path.
        folder: Folder that a relative path starts from.

    Raises:
        OSError: The system refuses the path.
        ValueError: The same.
    """
    if _FILE.match(text):
        return Path(_FILE.sub("", text, count=1)).resolve()
    if _SCHEME.match(text):
        return None
    path = (folder / text).resolve()
    # A cluster mounts the volumes of its workspace at this path.
    return None if text.startswith(VOLUMES) and not path.exists() else path


def has_password(uri: str) -> bool:
    """Return whether a URI contains a password, as ``scheme://user:password@host`` does."""
    return _PASSWORD.match(uri) is not None


def remove_password(address: str) -> str:
    """Return a URI without its user and password."""
    try:
        parts = urlsplit(address)
        if parts.password is None:
            return address
    except ValueError:
        return address
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def hide_passwords(text: str) -> str:
    """Return a text without the users and passwords of the URIs in it."""
    return _CREDENTIALS_IN_TEXT.sub("***@", text)
