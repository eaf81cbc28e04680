"""The paths /Volumes and /Workspace, which a cluster's machines have mounted and this one has not.

To mount something there takes privileges, and it would be there for everybody. Instead, the folders that
stand for them are put into whatever a task is given: its parameters, its variables, its Spark settings, and
a JSON file that a parameter names. So the job sees other paths than on a workspace, and nothing else that
differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

# Spark's own scheme for the same folders is dropped, that of files stays.
_MOUNTED = re.compile(
    r"(?:dbfs:)?(?P<scheme>file:(?://)?)?/(?P<mount>Volumes|Workspace)/(?P<path>.+)", re.DOTALL
)


@dataclass(frozen=True)
class Mounts:
    """The folders that stand for /Volumes and, where there is one, /Workspace."""

    volumes: Path
    workspace: Path | None = None

    def resolve(self, text: str) -> str:
        """The path on this machine; a text that is no such path stays as it is."""
        found = _MOUNTED.fullmatch(text)
        folder = self._folder(found["mount"]) if found else None
        if found is None or folder is None:
            return text
        return f"{found['scheme'] or ''}{folder / found['path']}"

    def resolve_all(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The same names with their values resolved."""
        return {name: self.resolve(text) for name, text in texts.items()}

    def parameters(self, parameters: Sequence[str], copies: Path) -> tuple[str, ...]:
        """The parameters resolved; of a JSON file that one of them names, a resolved copy.

        Args:
            parameters: As they were submitted.
            copies: A folder for the copies.
        """
        return tuple(self._parameter(text, copies / str(at)) for at, text in enumerate(parameters))

    def _parameter(self, text: str, copies: Path) -> str:
        resolved = self.resolve(text)
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
