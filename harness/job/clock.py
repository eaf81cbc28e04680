"""Timing of a job's steps, and the events that report when each step starts and ends."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.errors import InterruptedRunError
from harness.events import Event, Listener
from harness.process_ends import Step


class Clock:
    """A timer of a job's steps; several threads may use it at once."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._seconds: dict[tuple[str, str | None], float] = defaultdict(float)
        self._running: list[Step] = []
        self.failed_steps: tuple[Step, ...] = ()
        """The steps that were running when the first one failed: name and version."""

    @contextmanager
    def step(self, name: str, version: str | None = None) -> Iterator[Callable[[str], None]]:
        """Time a step, and yield a function that reports its progress. Emits "done" only on success.

        Raises:
            InterruptedRunError: The clock was stopped, so no further step may start.
        """
        if self._stopped.is_set():
            raise InterruptedRunError("Another version has failed, or the run was interrupted.")
        self._emit(Event(name, "started", version))
        start = time.monotonic()
        with self._lock:
            self._running.append((name, version))
        try:
            yield lambda detail: self._emit(Event(name, "running", version, detail=detail))
        except BaseException:
            with self._lock:
                self.failed_steps = self.failed_steps or tuple(self._running)
            raise
        finally:
            elapsed = time.monotonic() - start
            with self._lock:
                self._seconds[name, version] += elapsed
                self._running.remove((name, version))
        self._emit(Event(name, "done", version, elapsed_s=round(elapsed, 3)))

    def report(self, event: Event) -> None:
        """Report an event of something that isn't a step of the job, such as a wait; it isn't timed."""
        self._emit(event)

    def stop(self) -> None:
        """Let no further step start."""
        self._stopped.set()

    def version_timings(self, version: str) -> dict[str, float]:
        """Return the seconds that each step of one version took."""
        return {step: round(seconds, 3) for (step, of), seconds in self._copy_seconds() if of == version}

    def total_timings(self) -> dict[str, float]:
        """Return the seconds that each step took, summed over the versions."""
        totals: dict[str, float] = defaultdict(float)
        for (step, _), seconds in self._copy_seconds():
            totals[step] += seconds
        return {step: round(seconds, 3) for step, seconds in totals.items()}

    def _copy_seconds(self) -> list[tuple[tuple[str, str | None], float]]:
        with self._lock:
            return list(self._seconds.items())

    def _emit(self, event: Event) -> None:
        with self._lock:
            self._listener(event)
