"""The folders of runs: one each, named so that they sort by time, and ``latest`` pointing at the newest."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.files import unwritable

LATEST = "latest"
_RUN_ID = re.compile(r"\d{8}-\d{6}-\w+-[0-9a-f]{4}")


def new_run_id(scenario: str) -> str:
    """A name for a run that is taken by no other, such as ``20260131-094502-three_versions-7f3a``."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{now}-{scenario}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @classmethod
    def create(cls, runs: Path, run_id: str) -> RunFolder:
        """Make the folder.

        Raises:
            NotThereError: It can't be made or written.
        """
        path = runs / run_id
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise unwritable(path, error) from error
        return cls(path)

    def make_latest(self) -> None:
        """Let ``latest`` point here; it always points at some run, also while it is changed."""
        latest = self.path.parent / LATEST
        aside = self.path.parent / f".{LATEST}.{self.path.name}"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(self.path.name)
            aside.replace(latest)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise unwritable(latest, error) from error

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def list_runs(runs: Path) -> list[RunFolder]:
    """Every run's folder, oldest first; other folders that lie there are none of ours."""
    if not runs.is_dir():
        return []
    return [
        RunFolder(path)
        for path in sorted(runs.iterdir())
        if _RUN_ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
