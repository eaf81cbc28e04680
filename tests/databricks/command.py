"""The command, run against the stand-in as a user would run it against a workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.results import Result
from harness.runs import read_result
from tests.command import run_command, start_command
from tests.databricks.standin.server import StandIn
from tests.embedded.runner import ROOT

FILES = "/Volumes/main/default/harness"
_PREFIX = "HARNESS_TARGETS_DATABRICKS_"
_TIMEOUT_S = 1100
"""Two runs and the download of a runtime's packages, on a busy machine."""


@dataclass(frozen=True)
class Command:
    """Commands with a separate home and a workspace."""

    workspace: StandIn
    home: Path
    folder: Path = ROOT
    """The current folder, which may have a settings file."""
    python: str = sys.executable
    """The Python whose harness it is."""

    def run(self, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run a command until it ends."""
        return run_command(arguments, self._environ(changed), _TIMEOUT_S, self.folder, self.python)

    def start(self, *arguments: str, **changed: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a command; end it with the block, whatever happens."""
        return start_command(arguments, self._environ(changed))

    def result(self) -> Result:
        """Return the result of the latest run."""
        return read_result(self.home / "runs", "latest")

    def left_behind(self) -> list[str]:
        """Return all uploaded files that still exist, except wheels and rows, which are kept for others."""
        root = self.workspace.volumes.joinpath(*FILES.split("/")[2:])
        files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        return sorted(name for name in files if name.startswith("until-") and _belongs_to_run(name))

    def clusters_running(self) -> list[str]:
        """Return all clusters of runs that have not ended."""
        created = {task.cluster_id for run in self.workspace.runs.values() for task in run.tasks}
        return [
            each.cluster_id or ""
            for each in self.workspace.clusters.values()
            if each.cluster_id in created and each.state is not None and each.state.value != "TERMINATED"
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


def _belongs_to_run(name: str) -> bool:
    kind = name.split("/")[1]
    return kind not in {"wheels", "sources"}


def besides_polling(calls: list[str]) -> list[str]:
    """Return the calls of a command without those that only poll the run's state and events.

    Of the downloads, only the result's is counted. Every client requests the workspace's configuration
    once without a token, including those of the job.
    """
    polled = (
        "/.well-known/databricks-config",
        "/jobs/runs/get",
        "GET /api/2.0/fs/files",  # A missing file is requested in this way.
    )
    kept = [call for call in calls if not any(part in call for part in polled) or "get-output" in call]
    return [
        "GET /.well-known/databricks-config",
        *kept,
        "GET /api/2.0/fs/files",
    ]
