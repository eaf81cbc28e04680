"""The record of finished steps: an interrupted run is resumed after the last one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.events import FinishedStep

_FORGET = "forget"
"""Stands in the record in place of a step: nothing before it counts."""


class StepRecord:
    """What each finished step has found. Several threads may use it at once."""

    def __init__(
        self,
        finished: Iterable[FinishedStep] = (),
        report: Callable[[FinishedStep], None] = lambda _step: None,
    ) -> None:
        """Start with the steps that were finished before the run was interrupted.

        Args:
            finished: These steps; of several with the same name, the last one counts.
            report: Receives each further step, and keeps it.
        """
        self._facts: dict[tuple[str, str | None], Mapping[str, Any]] = {}
        for each in finished:
            if each.step == _FORGET:
                self._facts.clear()
            else:
                self._facts[each.step, each.version] = each.facts
        self._report = report
        self._lock = threading.Lock()

    def find(self, step: str, version: str | None = None) -> Mapping[str, Any] | None:
        """Return what a step has found; ``None`` if it has not been finished."""
        return self._facts.get((step, version))

    def finish(self, step: str, version: str | None, facts: Mapping[str, Any]) -> None:
        """Record a step that is finished, with what it found in the form of JSON."""
        with self._lock:
            self._facts[step, version] = facts
            self._report(FinishedStep(step, version, facts))

    def forget(self) -> None:
        """Forget all steps, for good: what they have left is gone."""
        with self._lock:
            self._facts.clear()
            self._report(FinishedStep(_FORGET, None, {}))
