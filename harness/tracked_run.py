"""A run that MLflow has recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class TrackedRun:
    """A run of one dataset version that MLflow has recorded."""

    run_id: str
    status: str
    started: datetime
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    def tag(self, name: str) -> str:
        """Return one of the harness's tags, or an empty text if the run does not have it."""
        return self.tags.get(f"harness.{name}", "")
