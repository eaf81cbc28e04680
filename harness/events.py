"""What a running job reports, one JSON line each, on every target: events, announcements, finished steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

State = Literal["started", "running", "done", "notice"]
"""A notice is a message for the user, in the event's detail."""


class _Line:
    """Something that a job reports: a dataclass, as one line of JSON without a line break."""

    key: ClassVar[str]
    """Tells the kinds of lines apart."""

    def to_line(self) -> str:
        """Return the report as a line."""
        return json.dumps({self.key: asdict(self)}, ensure_ascii=False)  # type: ignore[call-overload] # A dataclass.

    @classmethod
    def from_line(cls, line: str) -> Self | None:
        """Return the report in a line, or ``None`` if the line is something else, or cut off."""
        if not line.startswith(f'{{"{cls.key}": '):
            return None
        try:
            return cls(**json.loads(line)[cls.key])
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class Event(_Line):
    """A report that a step started, progressed, waits for something or finished."""

    key: ClassVar[str] = "event"
    step: str
    state: State
    version: str | None = None
    elapsed_s: float = 0.0
    detail: str = ""
    """Progress, such as ``7 of 20 fits``, or the cause of a wait as a sentence."""


@dataclass(frozen=True)
class Announcement(_Line):
    """A report of what a job is about to create outside the run's folder.

    If the job ends without cleaning up, its command knows what to remove or close.
    """

    key: ClassVar[str] = "announcement"
    kind: Literal["scratch", "mlflow runs", "bundle"]
    name: str
    """URI of the scratch folder or the bundle; the run's id, which all of its MLflow runs have as a tag."""


@dataclass(frozen=True)
class FinishedStep(_Line):
    """A step that a job has finished, and what it found: an interrupted run is resumed after it."""

    key: ClassVar[str] = "finished"
    step: str
    version: str | None
    facts: Mapping[str, Any]
    """In the form of JSON."""


Listener = Callable[[Event], None]
"""Receives each event as it arrives."""
