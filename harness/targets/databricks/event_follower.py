"""What a run on a cluster says of itself while it goes on, handed on as it comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.errors import NotThereError
from harness.events import Event, Listener
from harness.targets.databricks import job_runs
from harness.targets.databricks.workspace_files import RemoteFiles

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run

_STEP = "cluster"


class Follower:
    """Hands on what a run says of itself, as far as it was not heard before."""

    def __init__(
        self, files: RemoteFiles, events: str, listener: Listener, report: Callable[[str], None]
    ) -> None:
        self._files = files
        self._events = events
        self._listener = listener
        self._report = report
        self._heard = 0
        self._began: datetime | None = None
        self._started = False

    def look(self, run: Run) -> None:
        """Tell what is new."""
        now = datetime.now(UTC)
        if self._began is None:
            self._began = now
            self._report(f"Run: {run.run_page_url}")
            self._listener(Event(_STEP, "started"))
        if not self._started:
            if not self._has_come_up(run):
                return
            self._started = True
            took_s = (now - self._began).total_seconds()
            self._listener(Event(_STEP, "done", elapsed_s=took_s))
        self._hand_on()

    def _has_come_up(self, run: Run) -> bool:
        """Whether the cluster is there; told how far it is where it is not."""
        if job_runs.did_not_start(run):
            self._listener(Event(_STEP, "running", detail=f"failed: {job_runs.message(run)}"))
            return False
        if not job_runs.has_started(run):
            self._listener(Event(_STEP, "running", detail=job_runs.message(run)))
            return False
        return True

    def _hand_on(self) -> None:
        try:
            content = self._files.read(self._events)
        except NotThereError:
            return  # The run's state tells how it goes on; its events are for the eye.
        lines = (content or b"").decode(errors="replace").splitlines()
        for line in lines[self._heard :]:
            if (event := Event.from_line(line)) is not None:
                self._listener(event)
        self._heard = max(self._heard, len(lines))
