"""Measures the overhead of the Databricks target besides the job: API calls, and the command's own time.

It uses the stand-in for a workspace: a real one responds more slowly, and takes minutes to start a cluster.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.databricks.command import Command, besides_polling
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.tracking import TrackingServer


def main() -> None:
    """Run one scenario with all uploads, then with wheel and rows uploaded again, then without uploads."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as name:
        folder = Path(name)
        for part in ("tracking", "workspace"):
            (folder / part).mkdir()
        with (
            TrackingServer(folder / "tracking") as tracking,
            StandIn(folder / "workspace", tracking_url=tracking.url) as workspace,
        ):
            command = Command(workspace, folder / "home")
            # The first run also waits until the stand-in's cluster has its environment.
            for when in ("the first time", "with wheel and rows uploaded again", "without uploads"):
                if when == "with wheel and rows uploaded again":
                    for file in workspace.volumes.rglob("until-*/**/*"):
                        if file.is_file():
                            file.unlink()
                workspace.reset()
                began = time.monotonic()
                done = command.run("scenario", "three_versions", "--target", "databricks", "--fresh")
                whole_s = time.monotonic() - began
                if done.returncode not in {0, 4}:
                    sys.exit(done.stdout + done.stderr)
                run = list(workspace.runs.values())[-1]
                job_s = max(task.ended_ms for task in run.tasks) / 1000 - run.started_ms / 1000
                console.print(
                    f"three_versions on the stand-in, {when}: {whole_s:.1f} s, of which the run "
                    f"{job_s:.1f} s and the command {whole_s - job_s:.1f} s; "
                    f"{len(besides_polling(workspace.calls))} calls besides polling"
                )


if __name__ == "__main__":
    main()
