"""Runs whose job ended without a result, and what they left in stores, in MLflow and on this machine."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.authoring.scenario_list import list_scenarios
from harness.cli import app
from harness.errors import ExitCode, JobError, PrerequisiteError, UsageError
from harness.events import Announcement, Listener
from harness.files import file_lock, write_text
from harness.plan import Plan
from harness.report import HTML, MARKDOWN
from harness.request import Session
from harness.resolve import resolve_plan
from harness.results import Result
from harness.runs import JUNIT, PLAN, RESULT, RunFolder
from harness.settings import Settings, read_settings
from harness.settlement import settle_earlier_runs, settle_on_error, settle_result
from harness.storage.model_store import FolderStore, name_bundle
from harness.targets.embedded.embedded_target import Embedded
from harness.targets.job_process import run_command, take_result
from harness.tracking import open_runs
from harness.workflow import execute
from tests.unit import studies_samples as samples

BUNDLE = name_bundle("readings", 0, "0123456789abcdef" * 2)

# A job that publishes two bundles: one is complete when the job is killed, of the other one a file is.
JOB = """
import os, signal, sys
from pathlib import Path
from harness.events import Announcement
from harness.plan import load_plan
from harness.storage.model_store import MANIFEST, FolderStore, name_bundle
file = Path(sys.argv[1])
plan = load_plan(file.read_text(), str(file))
store = FolderStore(Path(plan.environment.model_store))
print(Announcement("mlflow runs", plan.run_id).to_line(), flush=True)
for version, files in (0, ("classifier/MLmodel", MANIFEST)), (1, ("classifier/MLmodel",)):
    bundle = name_bundle("readings", version, str(version) * 32)
    print(Announcement("bundle", store.uri(bundle)).to_line(), flush=True)
    for each in files:
        store.put(f"{bundle}/{each}", file)
(Path(store.uri(bundle)) / ".explainer.part").touch()
(Path(plan.environment.lake) / "runs" / plan.run_id / ".scratch").mkdir(parents=True)
Path(os.environ["TMPDIR"], "spark-1").mkdir()
os.kill(os.getpid(), signal.SIGKILL)
"""


class Killed(Embedded):
    """The embedded target with a job that is killed while it publishes."""

    def prepare(self, plan: Plan) -> None:
        """Need nothing."""

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run a job without Spark."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harness.targets.embedded.embedded_target.run_command", self._run_command)
            return super().run(folder, listener)

    @staticmethod
    def _run_command(command: list[str], *arguments: object, **named: object) -> object:
        program = [command[0], "-c", JOB, command[4]]
        return run_command(program, *arguments, **named)  # type: ignore[arg-type]


class Closed(list[tuple[str, str, str]]):
    """The MLflow runs that were closed: experiment, run and status."""

    refused = False

    def close(self, uri: str, experiment: str, run_id: str, status: str) -> int:
        """Record a request, or refuse it."""
        if self.refused:
            raise PrerequisiteError(f"MLflow at {uri} doesn't answer.")
        self.append((experiment, run_id, status))
        return 1


@pytest.fixture(name="closed")
def _closed(monkeypatch: pytest.MonkeyPatch) -> Closed:
    closed = Closed()
    monkeypatch.setattr(open_runs, "close_runs", closed.close)
    return closed


@pytest.fixture(name="session")
def _session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Return a session in a home of its own, and in a folder for temporary files of its own."""
    for folder in ("scenarios", "temporary"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    loaded = samples.loaded(tmp_path / "scenarios")
    settings = read_settings({"target": "embedded"})
    return Session(loaded, (loaded,), Killed(settings), settings, Console(file=io.StringIO()))


def _list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _read_newest(session: Session) -> str:
    [listed] = list_scenarios(Path(session.loaded.document.file).parent, session.settings.runs)
    return listed.newest


def _leave_run(session: Session, *, bundle: str = BUNDLE) -> RunFolder:
    """Leave a run as a command that is killed leaves it, with a bundle that its job has announced."""
    plan = resolve_plan(session.loaded, session.settings, session.target)
    run = RunFolder.create(session.settings.runs, plan.run_id)
    write_text(run.path / PLAN, plan.model_dump_json(by_alias=True))
    run.mark_unsettled()
    store = FolderStore(Path(plan.environment.model_store))
    run.record(Announcement("mlflow runs", plan.run_id))
    run.record(Announcement("bundle", store.uri(bundle)))
    store.put(f"{bundle}/manifest.json", run.path / PLAN)
    (Path(plan.environment.lake) / "runs" / plan.run_id / ".scratch").mkdir(parents=True)
    Path(tempfile.mkdtemp(prefix=f"harness-{plan.run_id}-"))
    return run


def test_a_job_killed_while_it_publishes_leaves_nothing(
    session: Session, closed: Closed, tmp_path: Path
) -> None:
    """A job killed while it publishes leaves no bundle, no open MLflow run and no temporary file.

    It leaves a result that says that the job broke, for a CI server too.
    """
    with pytest.raises(JobError, match="ended by signal 9") as caught:
        execute(session, session.single_combination)
    [run] = [RunFolder(path) for path in session.settings.runs.iterdir() if not path.is_symlink()]
    assert [("harness", run.path.name, "FAILED")] == closed
    assert ([], []) == (
        list((tmp_path / "home" / "models" / "readings").iterdir()),
        list((tmp_path / "temporary").iterdir()),
    )
    assert [] == list((tmp_path / "home" / "lake" / "runs" / run.path.name).iterdir())
    failure = run.read_result().failure
    assert failure is not None
    assert (ExitCode.JOB_FAILED, caught.value.message) == (failure.exit_code, failure.message)
    suite = ET.parse(run.path / JUNIT).getroot()  # noqa: S314 - our own file
    assert ("1", "1") == (suite.get("tests"), suite.get("errors"))
    assert [True, True, True] == [(run.path / name).is_file() for name in (HTML, MARKDOWN, RESULT)]
    assert (True, run.path.name) == (run.is_settled, (session.settings.runs / "latest").readlink().name)
    assert "error" == _read_newest(session)


def test_what_a_killed_command_left_is_settled_by_the_next_one(
    session: Session, closed: Closed, tmp_path: Path
) -> None:
    """If the command itself is killed, the next run withdraws its bundles and closes its MLflow runs.

    It also removes the temporary files and tables, and writes the result.
    """
    run = _leave_run(session)
    assert "interrupted" == _read_newest(session)
    settle_earlier_runs(session.settings, pytest.fail)
    assert [("harness", run.path.name, "KILLED")] == closed
    assert [] == [
        *(tmp_path / "home" / "models" / "readings").iterdir(),
        *(tmp_path / "temporary").iterdir(),
        *(tmp_path / "home" / "lake" / "runs" / run.path.name).iterdir(),
    ]
    failure = run.read_result().failure
    assert failure is not None
    assert (ExitCode.INTERRUPTED, True) == (failure.exit_code, (run.path / JUNIT).is_file())
    assert "interrupted" == _read_newest(session)
    settle_earlier_runs(session.settings, pytest.fail)
    assert 1 == len(closed)


def test_a_running_run_is_not_settled(session: Session, closed: Closed) -> None:
    """While a process holds a run, no other command withdraws or closes anything of it."""
    run = _leave_run(session)
    with file_lock(run.path / PLAN):
        settle_earlier_runs(session.settings, pytest.fail)
    assert ([], 1) == (closed, len(_list_files(Path(session.settings["stores.models"]))))


def test_a_run_that_succeeded_keeps_its_bundles(session: Session, closed: Closed) -> None:
    """If the command was killed after its job had succeeded, its bundles stay, but no others."""
    run = _leave_run(session)
    [announced] = [each.name for each in run.announcements if each.kind == "bundle"]
    version = samples.measured("one").model_copy(update={"bundle": announced})
    write_text(run.path / RESULT, samples.result(version).to_json())
    other = f"{session.settings['stores.models']}/readings/v7-{'7' * 32}"
    write_text(Path(other) / "classifier", "half")
    run.record(Announcement("bundle", other))
    settle_earlier_runs(session.settings, pytest.fail)
    assert ([], False) == (closed, Path(other).exists())
    assert len(_list_files(Path(session.settings["stores.models"]))) == 1
    assert (True, True) == (run.is_settled, run.has_reports)
    assert [] == [*(Path(session.settings["lake"]) / "runs" / run.path.name).iterdir()]


def test_what_a_job_without_its_jvm_could_not_remove_is_removed(session: Session, closed: Closed) -> None:
    """If the JVM is killed after the verdict, the run stands; its command removes the temporary tables."""
    run = _leave_run(session)
    write_text(run.path / RESULT, samples.result().to_json())
    settle_result(session.target, run.read_plan(), run, run.read_result(), pytest.fail)
    assert [] == [*(Path(session.settings["lake"]) / "runs" / run.path.name).iterdir()]
    assert (True, []) == (run.is_settled, closed)


def test_reports_that_a_killed_command_did_not_write_are_written(session: Session, closed: Closed) -> None:
    """If the command was killed between the result and its reports, the next one writes them."""
    run = _leave_run(session)
    write_text(run.path / RESULT, samples.result().to_json())
    run.mark_settled()
    settle_earlier_runs(session.settings, pytest.fail)
    assert [True, True, True] == [(run.path / name).is_file() for name in (HTML, JUNIT, MARKDOWN)]
    assert [] == closed


def test_a_store_that_does_not_answer_is_asked_again(
    session: Session, closed: Closed, tmp_path: Path
) -> None:
    """If MLflow doesn't answer, bundles are withdrawn nevertheless, and the next command asks it again.

    Of several runs in the same store, only the first one is tried.
    """
    closed.refused = True
    runs = [_leave_run(session, bundle=name_bundle("readings", 0, str(n) * 32)) for n in range(2)]
    seen: list[str] = []
    settle_earlier_runs(session.settings, seen.append)
    assert 1 == len(seen)
    assert re.fullmatch(r".* of the run .* can't be closed .* yet: MLflow at .* doesn't answer\. .*", seen[0])
    assert 1 == len(list((tmp_path / "home" / "models" / "readings").iterdir()))
    closed.refused = False
    settle_earlier_runs(session.settings, pytest.fail)
    assert ({run.path.name for run in runs}, [True, True]) == (
        {run_id for _, run_id, _ in closed},
        [run.is_settled for run in runs],
    )


@pytest.mark.parametrize(
    ("error", "is_settleable", "expected"),
    [
        (KeyboardInterrupt(), True, ExitCode.INTERRUPTED),
        (ValueError("a bug"), True, ExitCode.JOB_FAILED),
        (JobError("It broke."), False, ExitCode.JOB_FAILED),
        (KeyboardInterrupt(), False, None),  # It may go on in its workspace.
        (UsageError("Another workspace."), False, None),
        (PrerequisiteError("No Java."), True, None),  # Its folder is removed.
    ],
)
def test_a_run_that_ended_has_a_result(
    session: Session, error: BaseException, is_settleable: bool, expected: ExitCode | None
) -> None:
    """A run that ended has a result with its reason; one that may continue elsewhere has none."""
    plan = resolve_plan(session.loaded, session.settings, session.target)
    run = RunFolder.create(session.settings.runs, plan.run_id)
    write_text(run.path / PLAN, plan.model_dump_json(by_alias=True))
    target = session.target if is_settleable else object()
    with pytest.raises(type(error)), settle_on_error(target, plan, run, pytest.fail):
        raise error
    failure = run.read_result().failure if run.has_result else None
    assert expected == (failure.exit_code if failure else None)


def test_a_run_that_ends_in_the_middle_for_a_prerequisite_has_a_result(
    session: Session, closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a disk fills in the middle of a run, it has a result that says so, and the next run settles it."""

    def lack(_finished: object, folder: Path) -> Result:
        with pytest.raises(JobError):
            take_result(_finished, folder)  # type: ignore[arg-type]
        raise PrerequisiteError("The disk is full.")

    monkeypatch.setattr("harness.targets.embedded.embedded_target.take_result", lack)
    closed.refused = True
    with pytest.raises(PrerequisiteError, match="The disk is full"):
        execute(session, session.single_combination)
    [run] = [RunFolder(path) for path in session.settings.runs.iterdir() if not path.is_symlink()]
    assert (False, True) == (run.is_settled, run.has_result)
    closed.refused = False
    with pytest.raises(PrerequisiteError, match="The disk is full"):
        execute(session, session.single_combination)
    runs = [RunFolder(path) for path in session.settings.runs.iterdir() if not path.is_symlink()]
    assert [(True, ExitCode.PREREQUISITE_MISSING)] * 2 == [
        (each.is_settled, each.read_result().failure.exit_code)  # type: ignore[union-attr] # It failed.
        for each in runs
    ]


_COMMAND = """
import os, signal, sys
from pathlib import Path
from harness.targets.job_process import run_command
job = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
run_command([sys.executable, "-c", job], Path(sys.argv[1]), lambda event: None, environ=os.environ,
            interrupt=lambda process: None, clean_up=lambda process: None)
"""


def _wait(path: Path) -> Iterator[None]:
    """Yield until a file has content, for at most a minute."""
    deadline = time.monotonic() + 60
    while not (path.is_file() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"{path} is empty"
        yield


def test_a_job_that_outlives_its_command_holds_the_run(tmp_path: Path) -> None:
    """If the command is killed, the run is running until its job has ended, too."""
    run = RunFolder(tmp_path)
    (tmp_path / PLAN).touch()
    with subprocess.Popen([sys.executable, "-c", _COMMAND, str(tmp_path)]) as command:
        for _ in _wait(tmp_path / "job.log"):
            time.sleep(0.01)
        job = int((tmp_path / "job.log").read_text())
        command.kill()
    descriptor = os.pidfd_open(job)
    is_held = run.is_running
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    while Path(f"/proc/{job}/fd").exists() and run.is_running:
        time.sleep(0.01)
    os.close(descriptor)
    assert (True, False) == (is_held, run.is_running)


def _age(path: Path, days: int) -> None:
    moment = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    for each in (*path.rglob("*"), path):
        os.utime(each, (moment, moment))


def test_clean_removes_what_killed_runs_left(session: Session, closed: Closed, settings: Settings) -> None:
    """'clean' settles earlier runs, and removes copies without a manifest that no run will complete.

    It keeps complete bundles, copies that another machine may be making, and the user's own folders.
    """
    run = _leave_run(session)
    models = Path(settings["stores.models"])
    ids = [str(number) * 32 for number in range(3)]
    old, new, complete = (models / name_bundle("readings", 0, each) for each in ids)
    notes = models / "readings" / "v0-notes"
    for folder in (old, new, complete, notes):
        write_text(folder / "classifier" / ".MLmodel.part", "half")
    write_text(complete / "manifest.json", "{}")
    for folder in (old, complete, notes):
        _age(folder, days=2)
    done = CliRunner().invoke(app, ["clean", "--keep-runs", "5"])
    assert ("No runs removed.\n1 unfinished bundle removed.\n", 0) == (done.output, done.exit_code)
    assert sorted([new, complete, notes]) == sorted((models / "readings").iterdir())
    assert ([("harness", run.path.name, "KILLED")], True) == (closed, run.is_settled)


@pytest.fixture(name="settings")
def _settings(session: Session) -> Settings:
    return session.settings


@pytest.mark.parametrize("line", ["", '{"announcement": ', '{"announcement": {"kind": "bundle"}}', "null"])
def test_another_line_is_not_an_announcement(line: str) -> None:
    """Neither a log line nor half an announcement is one; a whole one is read back."""
    announcement = Announcement("bundle", "/srv/größe/v0-1")
    assert (None, announcement) == (
        Announcement.from_line(line),
        Announcement.from_line(announcement.to_line()),
    )


def test_before_a_run_is_in_mlflow_only_its_scratch_files_are_removed(
    session: Session, closed: Closed
) -> None:
    """A job that was killed while it read the table has left files in the lake; MLflow isn't asked."""
    closed.refused = True
    run = _leave_run(session)
    plan = run.read_plan()
    run.mark_settled()
    run.mark_unsettled()
    run.record(Announcement("scratch", plan.scratch_uri))
    settle_earlier_runs(session.settings)
    assert run.is_settled
    assert not Path(plan.scratch_uri).exists()
