"""A run as MLflow holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class TrackedRun:
    """One run of one dataset version, as MLflow holds it."""

    run_id: str
    status: str
    started: datetime
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    def tag(self, name: str) -> str:
        """One of the harness's tags; empty where it is not there."""
        return self.tags.get(f"harness.{name}", "")
