"""Folders of runs, one for each run, named so that they sort by time; ``latest`` points to the newest one."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from harness.errors import RUN_AGAIN, PrerequisiteError, did_you_mean
from harness.events import Announcement, FinishedStep
from harness.files import is_locked, make_unwritable_error, write_text
from harness.plan import Plan, load_plan
from harness.result_digest import require_digest
from harness.result_formats import UnknownFormatError
from harness.results import Result
from harness.stored_json import parse_json

LATEST = "latest"
PLAN, RESULT, LOG = "plan.json", "result.json", "job.log"
JUNIT = "junit.xml"
"""The last report that is written."""
UNSETTLED = "unsettled.jsonl"
"""What the run's job has announced to create elsewhere; the file exists until that is settled."""
STEPS = "steps.jsonl"
"""The steps that the run's job has finished: an interrupted run is resumed after them."""
RESUMING = ".resuming"
"""The file that is locked while a command resumes the run."""
BISECTION_PARAMETER = "train"
"""Parameter of a run that only trains at some of its scenario's versions."""
WORK = "work.json"
"""Identifies what determines the numbers of the run and of each version; see ``harness.work``."""
REMOVED = ".removed"
"""File next to the runs with the ids of removed ones: what they have published belongs to this machine."""
_RUN_ID = re.compile(r"\d{8}-\d{6}-\w+-[0-9a-f]{4}")


def make_run_id(scenario: str) -> str:
    """Return a unique id for a run, such as ``20260131-094502-three_versions-7f3a``."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{now}-{scenario}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class WorkKeys:
    """The keys of the work that determines a run's numbers."""

    run: str
    """Empty if they may depend on data that changes unnoticed, or if it is not known."""
    versions: Mapping[str, str]
    """Trained version to its key; those that are not known are left out."""


class RunState(StrEnum):
    """The state of a run."""

    FINISHED = "finished"
    RUNNING = "running"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class RunFolder:
    """Folder of one run."""

    path: Path

    @classmethod
    def create(cls, runs: Path, run_id: str) -> RunFolder:
        """Create the folder.

        Raises:
            PrerequisiteError: It can't be created.
        """
        path = runs / run_id
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise make_unwritable_error(path, error) from error
        return cls(path)

    @classmethod
    def reopen(cls, runs: Path, run_id: str) -> RunFolder:
        """Open the folder of a run that is resumed: its result is removed, its log kept under another name.

        Raises:
            PrerequisiteError: The folder can't be written.
        """
        path = runs / run_id
        parts = len(list(path.glob(f"{Path(LOG).stem}-*.log")))
        try:
            # In this order: a run without reports gets its missing files, whether it has a result or not.
            for name in (JUNIT, RESULT):
                (path / name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                (path / LOG).rename(path / f"{Path(LOG).stem}-{parts + 1}.log")
        except OSError as error:
            raise make_unwritable_error(path, error) from error
        return cls(path)

    @property
    def scenario(self) -> str:
        """Name of its scenario."""
        # A run's name is its time, the scenario's name and a random suffix.
        return self.path.name.split("-", 2)[2].rpartition("-")[0]

    @property
    def is_running(self) -> bool:
        """Whether its command, or the job that it started, is still running."""
        return is_locked(self.path / PLAN)

    @property
    def target(self) -> str | None:
        """Name of its target; ``None`` if its plan does not name one."""
        return self._environment("target")

    @property
    def lake(self) -> str | None:
        """Root URI of its tables; ``None`` if its plan does not name one."""
        return self._environment("lake")

    @property
    def built_table(self) -> str | None:
        """URI of the table that it builds, or its name in a catalog; ``None`` if its plan names none."""
        try:
            plan = self.read_plan()
        except PrerequisiteError:
            return None
        return plan.table_uri if plan.existing_table is None else None

    @property
    def is_bisection_run(self) -> bool:
        """Whether it only trained at some versions, which proves nothing about the scenario's bounds."""
        try:
            plan = parse_json((self.path / PLAN).read_text(encoding="utf-8"))
            return BISECTION_PARAMETER in plan.get("parameters", {})
        except (OSError, ValueError, AttributeError, TypeError):
            return False

    def read_keys(self) -> WorkKeys:
        """Return what identifies the run's work; no keys if it was written by an older version."""
        try:
            values = parse_json((self.path / WORK).read_bytes())
            return WorkKeys(
                str(values["run"]), {str(name): str(key) for name, key in values["versions"].items()}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return WorkKeys("", {})

    def write_keys(self, keys: WorkKeys) -> None:
        """Record what identifies the run's work."""
        write_text(self.path / WORK, json.dumps({"run": keys.run, "versions": keys.versions}) + "\n")

    def read_plan(self) -> Plan:
        """Return the run's plan.

        Raises:
            PrerequisiteError: There is no plan, or it can't be read by this version of the harness.
        """
        file = self.path / PLAN
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PrerequisiteError(
                f"Can't read the plan of the run '{self.path.name}': {file}: {error}.",
                remedy=RUN_AGAIN,
            ) from error
        return load_plan(text, str(file))

    @property
    def has_result(self) -> bool:
        """Whether the run has finished with a result."""
        return (self.path / RESULT).is_file()

    @property
    def has_reports(self) -> bool:
        """Whether its reports were written."""
        return (self.path / JUNIT).is_file()

    @property
    def is_settled(self) -> bool:
        """Whether nothing remains to be closed or removed elsewhere, as far as is known."""
        return not (self.path / UNSETTLED).exists()

    def mark_unsettled(self) -> None:
        """Record that the run's job may create something elsewhere from now on.

        What an earlier part of the run has announced, and nobody could settle, stays.
        """
        try:
            (self.path / UNSETTLED).touch()
        except OSError as error:
            raise make_unwritable_error(self.path / UNSETTLED, error) from error

    def mark_settled(self) -> None:
        """Record that nothing remains to be closed or removed elsewhere."""
        with suppress(OSError):  # Then the next command finds that nothing remains.
            (self.path / UNSETTLED).unlink(missing_ok=True)

    def record(self, announcement: Announcement) -> None:
        """Record what the run's job is about to create elsewhere.

        Raises:
            PrerequisiteError: The folder can't be written.
        """
        self._append(UNSETTLED, announcement.to_line())

    def record_step(self, step: FinishedStep) -> None:
        """Record a step that the run's job has finished.

        Raises:
            PrerequisiteError: The folder can't be written.
        """
        self._append(STEPS, step.to_line())

    @property
    def finished_steps(self) -> tuple[FinishedStep, ...]:
        """The steps that the run's job has finished, in this order."""
        return tuple(each for line in self._read_lines(STEPS) if (each := FinishedStep.from_line(line)))

    @property
    def announcements(self) -> tuple[Announcement, ...]:
        """What the run's job has announced and is not settled, in this order."""
        return tuple(each for line in self._read_lines(UNSETTLED) if (each := Announcement.from_line(line)))

    @property
    def started(self) -> datetime:
        """When the run started."""
        return datetime.fromtimestamp((self.path / PLAN).stat().st_mtime, UTC)

    @property
    def last_changed(self) -> datetime:
        """When a file of the run was last written: the last sign of life of a run that was killed."""
        return datetime.fromtimestamp(max(file.stat().st_mtime for file in self.path.iterdir()), UTC)

    @property
    def state(self) -> RunState:
        """Whether the run has finished, is still running, or was interrupted before it had a result."""
        # In this order: a run that finishes in between has a result before its lock ends.
        is_running = self.is_running
        if self.has_result:
            return RunState.FINISHED
        return RunState.RUNNING if is_running else RunState.INTERRUPTED

    def describe_missing_result(self) -> str:
        """Return why there is no result, as the rest of a sentence about the run."""
        return "is still running" if self.is_running else "was interrupted before it had a result"

    @property
    def has_intact_result(self) -> bool:
        """Whether the result is as the run wrote it."""
        try:
            require_digest(parse_json((self.path / RESULT).read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError):
            return False
        return True

    def read_result(self, name: str | None = None) -> Result:
        """Return the run's result.

        Args:
            name: Name that the user gave for the run, for the message.

        Raises:
            PrerequisiteError: There is no result, or a newer version of the harness has written it.
        """
        file = self.path / RESULT
        try:
            return Result.from_json(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise self._make_missing_result_error(name) from error
        except OSError as error:
            raise PrerequisiteError(f"Can't read {file}: {error.strerror}.") from error
        except UnknownFormatError as error:
            raise PrerequisiteError(f"Can't read {file}: {error}", remedy=error.remedy) from error
        except ValueError as error:
            raise PrerequisiteError(f"{file} is not the result of a run of the harness.") from error

    def _make_missing_result_error(self, name: str | None) -> PrerequisiteError:
        shown = f"'{self.path.name}'" if name in (None, self.path.name) else f"'{name}' ({self.path.name})"
        remedy = (
            "Wait until it has finished."
            if self.is_running
            else f"Resume it: 'harness resume {self.path.name}'. If it ran in a workspace, it may continue "
            f"there: 'harness attach {self.path.name}' follows it."
        )
        return PrerequisiteError(f"The run {shown} {self.describe_missing_result()}.", remedy=remedy)

    def _append(self, name: str, line: str) -> None:
        file = self.path / name
        try:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            raise make_unwritable_error(file, error) from error

    def _read_lines(self, name: str) -> list[str]:
        try:
            return (self.path / name).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []

    def _environment(self, name: str) -> str | None:
        """Return a value of the plan's environment, whatever the plan's format."""
        try:
            plan = parse_json((self.path / PLAN).read_text(encoding="utf-8"))
            return str(plan["environment"][name])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def make_latest(self) -> None:
        """Point ``latest`` to this run; it always points to some run, even while it is being changed."""
        latest = self.path.parent / LATEST
        aside = self.path.parent / f".{LATEST}.{self.path.name}"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(self.path.name)
            aside.replace(latest)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise make_unwritable_error(latest, error) from error

    def remove(self) -> None:
        """Remove the folder with its content; ``latest`` then points to the newest run that is left."""
        latest = self.path.parent / LATEST
        is_latest = latest.is_symlink() and latest.readlink().name == self.path.name
        shutil.rmtree(self.path, ignore_errors=True)
        if is_latest and not self.path.exists():
            with suppress(OSError, PrerequisiteError):
                left = list_runs(self.path.parent)
                left[-1].make_latest() if left else latest.unlink()


def record_removed(runs: Path, run_id: str) -> None:
    """Record that a run of this machine was removed.

    Raises:
        PrerequisiteError: The folder of the runs can't be written.
    """
    try:
        with (runs / REMOVED).open("a", encoding="utf-8") as stream:
            stream.write(run_id + "\n")
    except OSError as error:
        raise make_unwritable_error(runs / REMOVED, error) from error


def read_removed(runs: Path) -> set[str]:
    """Return the ids of the runs of this machine that were removed."""
    try:
        return set((runs / REMOVED).read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return set()


def find_run(runs: Path, run: str) -> RunFolder:
    """Return the folder of a run by its id, its folder, or ``latest``.

    Raises:
        PrerequisiteError: The run is unknown.
    """
    folder = Path(run) if Path(run).is_dir() else runs / run
    if not folder.is_dir():
        names = [each.path.name for each in list_runs(runs)]
        raise PrerequisiteError(
            f"Unknown run '{run}': {folder} doesn't exist.{did_you_mean(run, names)}",
            remedy=f"The runs are in {runs}.",
        )
    return RunFolder(folder.resolve())


def read_result(runs: Path, run: str) -> Result:
    """Return the result of a run by its id, its folder, or ``latest``.

    Raises:
        PrerequisiteError: The run is unknown or has no result.
    """
    return find_run(runs, run).read_result(run)


def list_runs_of(runs: Path, scenario: str) -> list[RunFolder]:
    """Return the folders of a scenario's runs, newest first."""
    return [each for each in reversed(list_runs(runs)) if f"-{scenario}-" in each.path.name]


def list_runs(runs: Path) -> list[RunFolder]:
    """Return the folders of all runs, oldest first; other folders are ignored."""
    if not runs.is_dir():
        return []
    return [
        RunFolder(path)
        for path in sorted(runs.iterdir())
        if _RUN_ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]
