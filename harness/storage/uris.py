"""URIs of storage accounts, ``abfss://container@account.dfs.core.windows.net/path``, and local paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from harness.errors import PrerequisiteError, suggest
from harness.scenario.text_checks import is_secret_name
from harness.table_names import is_table_name

SCHEME = "abfss://"
ACCOUNT_HOST = ".dfs.core.windows.net"
"""End of the host of a storage account's URI."""
SQLITE = "sqlite:///"
"""Scheme of MLflow stores in a file of this machine."""
VOLUMES = "/Volumes/"
"""Root of Unity Catalog's volumes on a Databricks cluster, in Spark and in the file system alike."""
_URI = re.compile(r"abfss://([^@/]*)@([^./]+)\.dfs\.core\.windows\.net(?:/(.*))?")
_PARTS = re.compile(r"abfss://[^@/]+@[^/]+")
# docs: Naming and Referencing Containers, Blobs, and Metadata.
_FORM = f"{SCHEME}CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
_AZURE = re.compile(
    r"\w+://(?:([^@/]*)@)?([a-z0-9]+)\.(?:blob|dfs)\.core\.windows\.net(?:/([^?#]*))?(?:[?#]|$)",
    re.IGNORECASE,
)
"""A URI of a storage account, whatever its scheme: container, account and path."""
_EARLIER = ("wasb", "wasbs", "adl")
"""Schemes of Azure's earlier clients, which the harness doesn't have."""
_NO_CLIENT = ("http", "https", "ftp", "s3", "s3a", "s3n", "gs")
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_MOUNT = re.compile(r"(?P<dbfs>(?i:dbfs):/+|/dbfs/)mnt(?:/|$)|(?P<folder>/mnt/[^/]+)")
"""The start of a path in a mount of a workspace: for Spark, for Python, and for either."""


_CONTAINER_RULE = "Use 3 to 63 lowercase letters, digits and single hyphens."


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
                remedy=f"Use {_FORM}.",
            )
        container, account, path = found.groups()
        if not _CONTAINER.fullmatch(container):
            raise PrerequisiteError(f"Invalid container name '{container}' ({uri}).", remedy=_CONTAINER_RULE)
        return cls(container, account, (path or "").strip("/"))

    def __truediv__(self, path: str) -> StorageUri:
        return StorageUri(self.container, self.account, f"{self.path}/{path.strip('/')}".strip("/"))

    def __str__(self) -> str:
        return f"{SCHEME}{self.container}@{self.account}.dfs.core.windows.net/{self.path}".rstrip("/")


def explain_unusable(uri: str) -> str | None:
    """Explain that neither Spark nor the harness can use a URI, and how to write it; ``None`` if they may.

    Other clouds have other domains, so an ``abfss`` URI with another one is left to Spark.
    """
    scheme = uri.partition("://")[0].lower() if "://" in uri else ""
    reason = _explain_mount(uri)
    if reason is not None or scheme not in ("abfss", *_EARLIER, *_NO_CLIENT):
        return reason
    complete = _URI.fullmatch(uri)
    if complete is not None and complete[1]:
        return (
            None
            if _CONTAINER.fullmatch(complete[1])
            else f"Invalid container name '{complete[1]}' ({uri}). {_CONTAINER_RULE}"
        )
    if scheme == "abfss" and complete is None and _PARTS.match(uri) and not _AZURE.match(uri):
        return None
    # The query of an https:// URI can be an access token.
    shown = hide_passwords(uri if scheme == "abfss" else re.split("[?#]", uri)[0])
    if (meant := _find_meant(uri)) is not None:
        return f"{shown} can't be used.{suggest(str(meant))}"
    if scheme in _NO_CLIENT:
        return (
            f"{shown} can't be used: the harness has no client for {scheme}://. Use a local path or {_FORM}."
        )
    return f"{shown} is not a URI of a storage account. Use {_FORM}."


def explain_unusable_root(uri: str) -> str | None:
    """Explain that tables or bundles can't be stored below a URI; ``None`` if they can, or for a path."""
    if uri.startswith("file://") or ("://" not in uri and _explain_mount(uri) is None):
        return None
    if (reason := explain_unusable(uri)) is not None:
        return reason
    if _URI.fullmatch(uri):
        return None
    return (
        f"{hide_passwords(uri)} can't be used.{suggest(str(_find_meant(uri) or ''))} Use a folder or {_FORM}."
    )


def _explain_mount(uri: str) -> str | None:
    """Explain what replaces a mount of a workspace; ``None`` if a path is in none, or exists here."""
    found = _MOUNT.match(uri)
    if found is None or (found["folder"] and Path(found["folder"]).exists()):
        return None
    instead = (
        f"use the mounted storage account, {_FORM}, or a volume: "
        "see docs/databricks.md#what-replaces-mounts-and-credential-passthrough."
    )
    if found["dbfs"]:
        return (
            f"{uri} is in a mount of a Databricks workspace, which the harness can't use. Instead, {instead}"
        )
    return f"{uri} doesn't exist on this machine. If it is in a mount of a Databricks workspace, {instead}"


def _find_meant(uri: str) -> StorageUri | None:
    """Return the URI that was meant by one with another scheme or host, or without a container."""
    found = _AZURE.match(uri)
    if found is None:
        return None
    container, account, path = found[1], found[2].lower(), found[3] or ""
    if not container:
        container, _, path = path.partition("/")
    return StorageUri(container, account, path.strip("/")) if _CONTAINER.fullmatch(container) else None


_FILE = re.compile(r"file:(//(localhost)?(?=/))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_PASSWORD = re.compile(r"\s*[\w.+:-]+://[^/@]*:[^/@]*@")
_ADDRESS = re.compile(r"\s*[\w.+:-]+://(.*)", re.DOTALL)
_PARAMETER = re.compile(r"(?<=[?&;#])([^\s?&;#=/]+)=([^\s&;#'\"<>]+)")
"""A parameter of an address: its name and its value. JDBC's follow a semicolon."""
_SECRET_PARAMETERS = frozenset(("code", "key"))
"""Parameters whose names only mean a secret in an address."""
_CREDENTIALS_IN_TEXT = re.compile(r"(?<=://)[^/\s]*:[^/\s]*@")
_ADDRESS_IN_TEXT = re.compile(r"(?<=://)\S+")


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


def find_table_folder(text: str, folder: Path) -> Path | None:
    """Return the folder on this machine of a table, or ``None`` if it is elsewhere, or in a catalog.

    Args:
        text: URI, path or name; a folder that exists is never taken for a name.
        folder: Folder that a relative path starts from.

    Raises:
        OSError: The system refuses the path.
        ValueError: The same.
    """
    path = find_local_path(text, folder)
    return None if path is not None and is_table_name(text) and not path.exists() else path


def describe_password(uri: str) -> str | None:
    """Return which password a URI contains, as the object of a sentence; ``None`` if it contains none.

    A password is anything that gives access to whoever reads the URI: ``scheme://user:password@host``, or a
    parameter such as ``?sig=...``, which is then named.
    """
    if _PASSWORD.match(uri):
        return "a password"
    address = _ADDRESS.match(uri)
    names = (unquote(name) for name, _ in _PARAMETER.findall(address[1] if address else ""))
    return next((f"a password ('{name}')" for name in names if _is_secret_parameter(name)), None)


def remove_password(address: str) -> str:
    """Return a URI without its user and its passwords."""
    try:
        parts = urlsplit(address)
        if parts.password is not None:
            address = urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))
    except ValueError:
        pass
    return hide_passwords(address)


def hide_passwords(text: str) -> str:
    """Return a text without the users and passwords of the URIs in it."""
    hidden = _CREDENTIALS_IN_TEXT.sub("***@", text)
    return _ADDRESS_IN_TEXT.sub(lambda address: _PARAMETER.sub(_hide_value, address[0]), hidden)


def _hide_value(parameter: re.Match[str]) -> str:
    return f"{parameter[1]}=***" if _is_secret_parameter(unquote(parameter[1])) else parameter[0]


def _is_secret_parameter(name: str) -> bool:
    return is_secret_name(name) or name.lower() in _SECRET_PARAMETERS
