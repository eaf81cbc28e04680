"""How long each step takes, and who is told when it starts and ends."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.errors import InterruptedRunError
from harness.events import Event, Listener


class Clock:
    """Times the steps of a job, from several threads at once."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._seconds: dict[tuple[str, str | None], float] = defaultdict(float)

    @contextmanager
    def step(self, name: str, version: str | None = None) -> Iterator[Callable[[str], None]]:
        """Time one step; its end is told only where it ends well. Gives what tells how far it is.

        Raises:
            InterruptedRunError: No more steps are to be started.
        """
        if self._stopped.is_set():
            raise InterruptedRunError("Another version has failed, or the run was interrupted.")
        self._tell(Event(name, "started", version))
        start = time.monotonic()
        try:
            yield lambda detail: self._tell(Event(name, "running", version, detail=detail))
        finally:
            elapsed = time.monotonic() - start
            with self._lock:
                self._seconds[name, version] += elapsed
        self._tell(Event(name, "done", version, elapsed_s=round(elapsed, 3)))

    def stop(self) -> None:
        """Let no further step start."""
        self._stopped.set()

    def of_version(self, version: str) -> dict[str, float]:
        """Seconds per step of one version."""
        return {step: round(seconds, 3) for (step, of), seconds in self._so_far() if of == version}

    def totals(self) -> dict[str, float]:
        """Seconds per step, summed over the versions."""
        totals: dict[str, float] = defaultdict(float)
        for (step, _), seconds in self._so_far():
            totals[step] += seconds
        return {step: round(seconds, 3) for step, seconds in totals.items()}

    def _so_far(self) -> list[tuple[tuple[str, str | None], float]]:
        with self._lock:
            return list(self._seconds.items())

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._listener(event)
