"""Paths on this machine, and URIs of files elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from harness.storage.uri import VOLUMES

_FILE = re.compile(r"file:(//(localhost)?(?=/))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_PASSWORD = re.compile(r"\w+://[^/@]*:[^/@]*@")
_CREDENTIALS_IN_TEXT = re.compile(r"(?<=://)[^/\s]*:[^/\s]*@")


def local_path(text: str, folder: Path) -> Path | None:
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


def without_password(address: str) -> str:
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
