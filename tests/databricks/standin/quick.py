"""Tasks without Spark: each "wheel" is the text of a Python program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.databricks.standin.mounts import Mounts
from tests.databricks.standin.runtime import LibraryError, WheelTask

PUBLISHED = "com.microsoft.azure:synapseml-core_2.12:1.1.3"
"""The only known Maven coordinates."""


class QuickTasks:
    """Runs a task within milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Folder of the stand-in."""
        self._mounts = Mounts(folder / "Volumes", folder / "Workspace")
        self.started: list[WheelTask] = []
        """Every started task, in order."""

    def install(self, task: WheelTask) -> None:
        """Raise LibraryError for unknown Maven coordinates."""
        for each in task.maven:
            if each != PUBLISHED:
                raise LibraryError(f"Library installation failed for maven {each}: not found")

    def start(self, task: WheelTask, output: Path) -> subprocess.Popen[bytes]:
        """Start the wheel's program with the task's parameters and variables."""
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
