"""What a running job says of itself, one JSON line each, wherever it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

State = Literal["started", "running", "done"]


@dataclass(frozen=True)
class Event:
    """One step of the job has started, has come further or is done."""

    step: str
    state: State
    version: str | None = None
    elapsed_s: float = 0.0
    detail: str = ""
    """How far it is, such as ``7 of 20 fits``."""

    def to_line(self) -> str:
        """As one line of JSON, without its end."""
        return json.dumps({"event": asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Event | None:
        """The event that a line holds; ``None`` for a line that is something else, such as a log line."""
        if not line.startswith('{"event": '):
            return None
        try:
            return cls(**json.loads(line)["event"])
        except (ValueError, TypeError, KeyError):
            return None


Listener = Callable[[Event], None]
"""What takes the events as they come."""
