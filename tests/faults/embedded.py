"""Kills of the job of embedded runs, and of its JVM."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from harness.storage.model_store import FolderStore, ModelStore
from tests.command import run_command, start_command
from tests.embedded.test_command import find_job_processes, list_names
from tests.faults.campaign import LIMIT_S

_JOB, _JVM = "job", "JVM"


@dataclass(frozen=True)
class EmbeddedVictim:
    """Embedded runs in one home folder."""

    home: Path
    names = (_JOB, _JVM)
    harmless = ()

    def start(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start the command."""
        return start_command(arguments, self._environ())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command until it ends."""
        return run_command(arguments, self._environ(), LIMIT_S)

    def kill(self, name: str) -> bool:
        """Kill the job or its JVM; return whether there was one."""
        for each in find_job_processes(self.home):
            try:
                line = Path(f"/proc/{each}/cmdline").read_bytes()
            except OSError:
                continue
            is_job, is_jvm = b"harness.job\0" in line, line.partition(b"\0")[0].endswith(b"/java")
            if is_job if name == _JOB else is_jvm:
                os.kill(each, signal.SIGKILL)
                return True
        return False

    def recover(self) -> None:
        """Wait until the job has ended, which may outlive its command."""
        limit = time.monotonic() + LIMIT_S
        while find_job_processes(self.home) and time.monotonic() < limit:
            time.sleep(0.2)

    def open_store(self) -> ModelStore:
        """Open the model store."""
        return FolderStore(self.home / "models")

    def open_tracking(self) -> MlflowClient:
        """Open the tracking store."""
        return MlflowClient(f"sqlite:///{self.home}/mlflow.db")

    def list_leftovers(self) -> Iterator[str]:
        """Yield processes, temporary files and temporary tables."""
        yield from (f"the process {each}" for each in find_job_processes(self.home))
        yield from (f"the temporary {name}" for name in list_names(self._temporary))
        yield from (f"the table {path}" for path in (self.home / "lake").rglob(".scratch"))

    @property
    def _temporary(self) -> Path:
        return self.home.with_name("temporary")

    def _environ(self) -> dict[str, str]:
        self._temporary.mkdir(exist_ok=True)
        settings = {"HARNESS_HOME": str(self.home), "HARNESS_TARGET": "embedded"}
        return {**os.environ, **settings, "TMPDIR": str(self._temporary)}
