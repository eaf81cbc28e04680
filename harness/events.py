"""What a running job reports, one JSON line each, on every target: events, announcements, finished steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["started", "running", "done", "notice"]
"""A notice is a message for the user, in the event's detail."""


@dataclass(frozen=True)
class Event:
    """A report that a step started, progressed, waits for something or finished."""

    step: str
    state: State
    version: str | None = None
    elapsed_s: float = 0.0
    detail: str = ""
    """Progress, such as ``7 of 20 fits``, or the cause of a wait as a sentence."""

    def to_line(self) -> str:
        """Return the event as one line of JSON without a line break."""
        return json.dumps({"event": asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Event | None:
        """Return the event in a line, or ``None`` if the line is something else, such as a log line."""
        if not line.startswith('{"event": '):
            return None
        try:
            return cls(**json.loads(line)["event"])
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class Announcement:
    """A report of what a job is about to create outside the run's folder.

    If the job ends without cleaning up, its command knows what to remove or close.
    """

    kind: Literal["mlflow runs", "bundle"]
    name: str
    """URI of the bundle; the run's id, which all of its MLflow runs have as a tag."""

    def to_line(self) -> str:
        """Return the announcement as one line of JSON without a line break."""
        return json.dumps({"announcement": asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Announcement | None:
        """Return the announcement in a line, or ``None`` if the line is something else, or cut off."""
        if not line.startswith('{"announcement": '):
            return None
        try:
            return cls(**json.loads(line)["announcement"])
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class FinishedStep:
    """A step that a job has finished, and what it found: an interrupted run is resumed after it."""

    step: str
    version: str | None
    facts: Mapping[str, Any]
    """In the form of JSON."""

    def to_line(self) -> str:
        """Return the step as one line of JSON without a line break."""
        return json.dumps({"finished": asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> FinishedStep | None:
        """Return the step in a line, or ``None`` if the line is something else, or cut off."""
        if not line.startswith('{"finished": '):
            return None
        try:
            return cls(**json.loads(line)["finished"])
        except (ValueError, TypeError, KeyError):
            return None


Listener = Callable[[Event], None]
"""Receives each event as it arrives."""
