"""The digest of a result, which reveals whether ``result.json`` was edited after its run.

The digest detects an edit or a damaged file, not a forgery: whoever knows the rule can compute it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

KEY: Final = "digest"
"""The digest's key in a result."""
FIRST_FORMAT: Final = 3
"""The first format of results that have a digest."""


class DigestError(ValueError):
    """A result without a digest, or with one that doesn't match its content."""


def add_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a result with its digest."""
    return {**values, KEY: compute_digest(values)}


def compute_digest(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a result's data, which depends on neither layout nor the order of keys."""
    content = {name: value for name, value in values.items() if name != KEY}
    text = json.dumps(_normalize_numbers(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def is_intact(values: Mapping[str, Any]) -> bool:
    """Return whether data has the digest of its content."""
    return values.get(KEY) == compute_digest(values)


def require_digest(values: Mapping[str, Any]) -> str:
    """Return the digest of a result's data, as read from its file.

    Raises:
        DigestError: There is none, or it doesn't match. The message is the rest of a sentence about the run.
    """
    version = values.get("format_version", 1)
    if not isinstance(version, int) or version < FIRST_FORMAT:
        raise DigestError(
            f"has a result of format {version}, which has no digest, so it may have been edited"
        )
    digest = values.get(KEY)
    if not isinstance(digest, str):
        raise DigestError("has a result without a digest, so it may have been edited")
    if not is_intact(values):
        raise DigestError("has a result that was edited after the run: it doesn't match its digest")
    return digest


def _normalize_numbers(value: object) -> object:
    """Write whole numbers as integers, as many programs do when they format JSON."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _normalize_numbers(each) for name, each in value.items()}
        case list() | tuple():
            return [_normalize_numbers(each) for each in value]
        case _:
            return value
