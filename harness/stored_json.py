"""JSON from files that another program may have written, damaged or edited."""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 100
"""Levels of nesting; the deepest document of the harness has far fewer."""


def parse_json(text: str | bytes) -> Any:
    """Parse a document that every later step can handle.

    Raises:
        ValueError: It is not valid JSON, is nested too deeply, or contains text that is not Unicode.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    _require_shallow(value)
    json.dumps(value, ensure_ascii=False).encode()
    return value


_TOO_DEEP = "it is nested too deeply"


def _require_shallow(value: object) -> None:
    """Require a limited depth: code that walks through a value calls itself for each level."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _list_items(each)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _list_items(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
