"""The command, run against the stand-in as a person would against a workspace."""

from __future__ import annotations

import os
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.results import Result
from harness.runs import read_result
from tests.command import run_command, started_command
from tests.databricks.standin.server import StandIn

FILES = "/Volumes/main/default/harness"
_PREFIX = "HARNESS_TARGETS_DATABRICKS_"
_TIMEOUT_S = 1100
"""Two runs, and the download of what a runtime has, on a machine that is busy."""


@dataclass(frozen=True)
class Command:
    """Commands with a separate home and a workspace."""

    workspace: StandIn
    home: Path

    def run(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run_command(arguments, self._environ(changed), _TIMEOUT_S)

    def started(self, *arguments: str, **changed: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a command; end it with the block, whatever happens."""
        return started_command(arguments, self._environ(changed))

    def result(self) -> Result:
        """Return the result of the latest run."""
        return read_result(self.home / "runs", "latest")

    def left_behind(self) -> list[str]:
        """Return all uploaded files that still exist, except wheels and rows, which are kept for others."""
        root = self.workspace.volumes.joinpath(*FILES.split("/")[2:])
        files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        return sorted(name for name in files if name.startswith("until-") and _is_a_runs_own(name))

    def clusters_running(self) -> list[str]:
        """Return all clusters of runs that have not ended."""
        made = {task.cluster_id for run in self.workspace.runs.values() for task in run.tasks}
        return [
            each.cluster_id or ""
            for each in self.workspace.clusters.values()
            if each.cluster_id in made and each.state is not None and each.state.value != "TERMINATED"
        ]

    def _environ(self, changed: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
        settings = {f"{_PREFIX}{name.upper()}": value for name, value in changed.items() if name.islower()}
        return {
            **kept,
            "HARNESS_HOME": str(self.home),
            f"{_PREFIX}FILES": FILES,
            "DATABRICKS_HOST": self.workspace.host,
            "DATABRICKS_TOKEN": self.workspace.token,
            "DATABRICKS_CONFIG_FILE": "/dev/null",
            "COLUMNS": "120",
            **settings,
            **{name: value for name, value in changed.items() if not name.islower()},
        }


def _is_a_runs_own(name: str) -> bool:
    kind = name.split("/")[1]
    return kind not in {"wheels", "sources"}


def besides_polling(calls: list[str]) -> list[str]:
    """The command's calls without those that only ask how far a run is: for its state, and for its events.

    A download is two calls: of all of them, one is the result's. Every client asks for the workspace's
    configuration once, as the job's do, without saying who they are.
    """
    polled = (
        "/.well-known/databricks-config",
        "/jobs/runs/get",
        "/create-download-url",
        "/presigned/",
        "GET /api/2.0/fs/files",  # Asked in this way where there is no such file yet.
    )
    kept = [call for call in calls if not any(part in call for part in polled) or "get-output" in call]
    return [
        "GET /.well-known/databricks-config",
        *kept,
        "POST /api/2.0/fs/create-download-url",
        "GET /presigned/",
    ]
