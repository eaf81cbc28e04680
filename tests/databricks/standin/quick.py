"""Tasks without Spark: a "wheel" that is a Python text, run as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.databricks.standin.mounts import Mounts
from tests.databricks.standin.runtime import LibraryError, WheelTask

PUBLISHED = "com.microsoft.azure:synapseml-core_2.12:1.1.3"
"""The only Maven coordinates that there are."""


class QuickTasks:
    """Runs a task within milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """The stand-in's own folder."""
        self._mounts = Mounts(folder / "Volumes", folder / "Workspace")
        self.started: list[WheelTask] = []
        """What was started, in order."""

    def install(self, task: WheelTask) -> None:
        """Raises LibraryError for coordinates that are not there."""
        for each in task.maven:
            if each != PUBLISHED:
                raise LibraryError(f"Library installation failed for maven {each}: not found")

    def start(self, task: WheelTask, output: Path) -> subprocess.Popen[bytes]:
        """The wheel's text as a process, with the task's parameters and variables."""
        self.started.append(task)
        parameters = self._mounts.parameters(task.parameters, task.folder / "parameters")
        text = task.wheel.read_text(encoding="utf-8")
        with output.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-c", text, *parameters],
                cwd=task.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(task.environ),
                start_new_session=True,
            )
