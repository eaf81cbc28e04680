"""The versions of a table, with the runs that were trained on each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class TableVersion:
    """One version of a table."""

    version: int
    time: datetime | None
    """Of its commit; ``None`` if the log doesn't say."""
    operation: str
    rows: int | None
    """``None`` if the log doesn't say, or the version can't be read any more."""
    size_bytes: int | None
    """Of its data files; ``None`` if the version can't be read any more."""
    runs: tuple[str, ...]
    """MLflow runs that were trained on it, the newest first."""

    def to_json(self) -> dict[str, Any]:
        """Return the version as plain values."""
        time = None if self.time is None else self.time.isoformat()
        return {**dataclasses.asdict(self), "time": time, "runs": list(self.runs)}


@dataclass(frozen=True)
class TableHistory:
    """The versions of a table that its log still has, the newest first."""

    uri: str
    versions: tuple[TableVersion, ...]
