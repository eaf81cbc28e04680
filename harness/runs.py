"""The folders of runs: one each, named so that they sort by time, and ``latest`` pointing at the newest."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import NotThereError
from harness.files import is_held, unwritable
from harness.plan import Plan, load_plan
from harness.result_formats import UnknownFormatError
from harness.results import Result
from harness.suggestions import did_you_mean

LATEST = "latest"
PLAN, RESULT = "plan.json", "result.json"
PROBED = "train"
"""Parameter of a run that trains at some of its scenario's versions alone."""
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

    @property
    def under_way(self) -> bool:
        """Whether its command is still at work."""
        return is_held(self.path / PLAN)

    @property
    def target(self) -> str | None:
        """Where it ran; ``None`` where it does not say."""
        return self._environment("target")

    @property
    def lake(self) -> str | None:
        """Root URI below which it built its tables; ``None`` where it does not say."""
        return self._environment("lake")

    @property
    def is_probe(self) -> bool:
        """Whether it was a look at single versions, which says nothing of the scenario's bounds."""
        try:
            plan = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
            return PROBED in plan.get("parameters", {})
        except (OSError, ValueError, AttributeError, TypeError):
            return False

    def read_plan(self) -> Plan:
        """Return the run's plan.

        Raises:
            NotThereError: There is no plan, or it can't be read by this version of the harness.
        """
        file = self.path / PLAN
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NotThereError(
                f"Can't read the plan of the run '{self.path.name}': {file}: {error}.",
                remedy="Run the scenario again: make scenario NAME=...",
            ) from error
        return load_plan(text, str(file))

    @property
    def has_result(self) -> bool:
        """Whether the run has finished with a result."""
        return (self.path / RESULT).is_file()

    def read_result(self, name: str | None = None) -> Result:
        """What came out.

        Args:
            name: What the run was called by, for the message.

        Raises:
            NotThereError: There is none, or a newer version of the harness has written it.
        """
        file = self.path / RESULT
        try:
            return Result.from_json(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise NotThereError(
                f"There is no result of the run '{name or self.path.name}': {file}.",
                remedy="It has not come to its end.",
            ) from error
        except UnknownFormatError as error:
            raise NotThereError(f"Can't read {file}: {error}", remedy=error.remedy) from error
        except ValueError as error:
            raise NotThereError(f"{file} is not the result of a run of the harness.") from error

    def _environment(self, name: str) -> str | None:
        """One of the plan's values, whichever version of the harness has planned it."""
        try:
            plan = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
            return str(plan["environment"][name])
        except (OSError, ValueError, KeyError, TypeError):
            return None

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


def find_run(runs: Path, run: str) -> RunFolder:
    """The folder of a run, by its id, its folder, or ``latest``.

    Raises:
        NotThereError: There is no such run.
    """
    folder = Path(run) if Path(run).is_dir() else runs / run
    if not folder.is_dir():
        names = [each.path.name for each in list_runs(runs)]
        raise NotThereError(
            f"There is no run '{run}': {folder}.{did_you_mean(run, names)}", remedy=f"{runs} holds the runs."
        )
    return RunFolder(folder.resolve())


def read_result(runs: Path, run: str) -> Result:
    """The result of a run, by its id, its folder, or ``latest``.

    Raises:
        NotThereError: There is no such run, or it has no result.
    """
    return find_run(runs, run).read_result(run)


def list_runs(runs: Path) -> list[RunFolder]:
    """Every run's folder, oldest first; other folders that lie there are none of ours."""
    if not runs.is_dir():
        return []
    return [
        RunFolder(path)
        for path in sorted(runs.iterdir())
        if _RUN_ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
