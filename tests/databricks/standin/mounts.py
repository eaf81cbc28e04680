"""The paths /Volumes and /Workspace, which the machines of a cluster have mounted.

Mounting something on this machine needs privileges, and would be visible to everybody. Instead, the paths are
replaced in everything that a task gets: its parameters, its variables, its Spark settings, and a JSON file
that a parameter names. So the job sees other paths than in a workspace, but no other difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

# Spark's scheme for the same folders is removed; the scheme 'file' is kept.
_MOUNTED = re.compile(
    r"(?:dbfs:)?(?P<scheme>file:(?://)?)?/(?P<mount>Volumes|Workspace)/(?P<path>.+)", re.DOTALL
)


@dataclass(frozen=True)
class Mounts:
    """The folders that replace /Volumes and, if there is one, /Workspace."""

    volumes: Path
    workspace: Path | None = None

    def resolve(self, text: str) -> str:
        """Return a path below a mount as a path on this machine, and any other text unchanged."""
        found = _MOUNTED.fullmatch(text)
        folder = self._folder(found["mount"]) if found else None
        if found is None or folder is None:
            return text
        return f"{found['scheme'] or ''}{folder / found['path']}"

    def resolve_all(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return the same names with their values resolved."""
        return {name: self.resolve(text) for name, text in texts.items()}

    def parameters(self, parameters: Sequence[str], copies: Path) -> tuple[str, ...]:
        """Return the parameters resolved; for a JSON file, the path of a resolved copy.

        Args:
            parameters: Submitted parameters.
            copies: Folder for the copies.
        """
        return tuple(self._parameter(text, copies / str(at)) for at, text in enumerate(parameters))

    def _parameter(self, text: str, copies: Path) -> str:
        name, separator, value = text.rpartition("=")  # An option, such as --source rows.csv=/Volumes/...
        resolved = self.resolve(text) if text.startswith("/") else f"{name}{separator}{self.resolve(value)}"
        given = Path(resolved)
        if resolved == text or given.suffix != ".json" or not given.is_file():
            return resolved
        copies.mkdir(parents=True)
        copy = copies / given.name
        content = self._document(json.loads(given.read_text(encoding="utf-8")))
        copy.write_text(json.dumps(content), encoding="utf-8")
        return str(copy)

    def _document(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.resolve(value)
        if isinstance(value, list):
            return [self._document(item) for item in value]
        if isinstance(value, dict):
            return {name: self._document(item) for name, item in value.items()}
        return value

    def _folder(self, mount: str) -> Path | None:
        return self.volumes if mount == "Volumes" else self.workspace
