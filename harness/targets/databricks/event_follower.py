"""Events of a run on a cluster, forwarded while it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError
from harness.events import Event, Listener
from harness.targets.databricks import job_runs
from harness.targets.databricks.workspace_files import RemoteFiles

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run

_STEP = "cluster"


class Follower:
    """A reader of a run's events that forwards each one once."""

    def __init__(
        self, files: RemoteFiles, events: str, listener: Listener, report: Callable[[str], None]
    ) -> None:
        self._files = files
        self._events = events
        self._listener = listener
        self._report = report
        self._received = 0
        self._started_at: datetime | None = None
        self._started = False

    def update(self, run: Run) -> None:
        """Report what is new since the last time."""
        now = datetime.now(UTC)
        if self._started_at is None:
            self._started_at = now
            self._report(f"Run: {run.run_page_url}")
            self._listener(Event(_STEP, "started"))
        if not self._started:
            if not self._is_cluster_up(run):
                return
            self._started = True
            took_s = (now - self._started_at).total_seconds()
            self._listener(Event(_STEP, "done", elapsed_s=took_s))
        self._forward_events()

    def _is_cluster_up(self, run: Run) -> bool:
        """Return whether the cluster is up; if it is not, report its state."""
        if job_runs.did_not_start(run):
            self._listener(Event(_STEP, "running", detail=f"failed: {job_runs.message(run)}"))
            return False
        if not job_runs.has_started(run):
            self._listener(Event(_STEP, "running", detail=job_runs.message(run)))
            return False
        return True

    def _forward_events(self) -> None:
        try:
            content = self._files.read(self._events)
        except PrerequisiteError:
            return  # The run's state decides how it continues; events are for display only.
        lines = (content or b"").decode(errors="replace").splitlines()
        for line in lines[self._received :]:
            if (event := Event.from_line(line)) is not None:
                self._listener(event)
        self._received = max(self._received, len(lines))
