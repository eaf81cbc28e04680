"""The file of a job's events, for a command that can't read the job's output."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.events import Event
from harness.files import write_text

_WRITE_INTERVAL_S = 1.0


class EventFile:
    """A file of all events so far. It is rewritten each time: a volume in the cloud can't be appended to."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def add(self, event: Event) -> None:
        """Add an event, which is written to the file within a second."""
        with self._lock:
            self._lines.append(event.to_line())
            if self._timer is None:
                self._timer = threading.Timer(_WRITE_INTERVAL_S, self.write)
                self._timer.daemon = True
                self._timer.start()

    def write(self) -> None:
        """Write all events so far, now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            write_text(self._file, "\n".join(self._lines) + "\n")
