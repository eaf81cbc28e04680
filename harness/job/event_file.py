"""The job's events as a file, for those who can't read its standard output while it runs."""

from __future__ import annotations

import threading
from pathlib import Path

from harness.events import Event
from harness.files import write_text

_AT_MOST_EVERY_S = 1.0


class Mirror:
    """Writes every event so far, whole anew: a cloud's volume takes no appending."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def tell(self, event: Event) -> None:
        """Take an event; it stands in the file a second later at the latest."""
        with self._lock:
            self._lines.append(event.to_line())
            if self._timer is None:
                self._timer = threading.Timer(_AT_MOST_EVERY_S, self.write)
                self._timer.daemon = True
                self._timer.start()

    def write(self) -> None:
        """Write what there is by now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            write_text(self._file, "\n".join(self._lines) + "\n")
