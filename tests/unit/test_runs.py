"""The folders of runs: their IDs, the link 'latest', and the search for a run."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from harness import runs as module
from harness.errors import ExitCode, PrerequisiteError
from harness.files import file_lock
from harness.results import Result
from harness.runs import PLAN, RESULT, RunFolder, RunState, list_runs, make_run_id, read_result
from tests.unit import report_samples as samples

_HOLD = """
import sys
from pathlib import Path
from harness.files import file_lock
with file_lock(Path(sys.argv[1])):
    print(flush=True)
    input()
"""
OLD, NEW = "20260131-094502-three_versions-7f3a", "20260201-000000-other-0000"


class _Clock(datetime):
    """A clock that advances by a day each time it is read."""

    today_is = datetime(2025, 12, 28, 23, 59, 59, tzinfo=UTC)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        cls.today_is += timedelta(days=1)
        return cls.fromtimestamp(cls.today_is.timestamp(), tz)


def _with_result(runs: Path, run_id: str) -> Result:
    result = samples.result(run_id=run_id)
    run = RunFolder.create(runs, run_id)
    (run.path / RESULT).write_text(result.model_dump_json(by_alias=True), encoding="utf-8")
    run.make_latest()
    return result


def test_a_run_id_has_time_and_scenario() -> None:
    """A run's ID has the time, the scenario and four random digits."""
    assert re.fullmatch(r"\d{8}-\d{6}-three_versions-[0-9a-f]{4}", make_run_id("three_versions"))


def test_run_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ID of a later run sorts later, across months and years, whatever the scenario."""
    monkeypatch.setattr(module, "datetime", _Clock)
    ids = [make_run_id(name) for name in "zmaZYX"]
    assert sorted(ids) == ids


def test_run_ids_of_the_same_second_differ() -> None:
    """Two runs of a scenario that start in the same second have different IDs."""
    assert len({make_run_id("same") for _ in range(20)}) > 1


def test_an_existing_run_folder_is_refused(tmp_path: Path) -> None:
    """An existing folder belongs to another run and is not used again."""
    RunFolder.create(tmp_path / "runs", OLD)
    with pytest.raises(PrerequisiteError, match="File exists") as caught:
        RunFolder.create(tmp_path / "runs", OLD)
    assert caught.value.exit_code == ExitCode.PREREQUISITE_MISSING


def test_latest_points_to_the_run(tmp_path: Path) -> None:
    """The link 'latest' is relative, so that the home folder can be moved."""
    for run_id in (OLD, NEW):
        RunFolder.create(tmp_path, run_id).make_latest()
    assert Path(NEW) == (tmp_path / "latest").readlink()


def test_latest_always_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link 'latest' is replaced by renaming, so that it exists at every moment."""
    RunFolder.create(tmp_path, OLD).make_latest()
    new = RunFolder.create(tmp_path, NEW)
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(target.readlink())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    new.make_latest()
    assert [Path(OLD)] == seen


def test_latest_ignores_a_leftover_link(tmp_path: Path) -> None:
    """A temporary link of an interrupted run doesn't prevent the next one."""
    run = RunFolder.create(tmp_path, OLD)
    (tmp_path / f".latest.{OLD}").symlink_to("nowhere")
    run.make_latest()
    assert ([OLD, "latest"], Path(OLD)) == (
        sorted(path.name for path in tmp_path.iterdir()),
        (tmp_path / "latest").readlink(),
    )


def test_a_folder_named_latest_is_reported(tmp_path: Path) -> None:
    """A folder named 'latest' is reported and left unchanged, and no temporary link remains."""
    (tmp_path / "latest").mkdir()
    run = RunFolder.create(tmp_path, OLD)
    with pytest.raises(PrerequisiteError, match=r"Can't write .*latest: Is a directory"):
        run.make_latest()
    assert {OLD, "latest"} == {path.name for path in tmp_path.iterdir()}


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    """Runs are listed by age, without links, files and folders of other names."""
    for run_id in (NEW, OLD):
        RunFolder.create(tmp_path, run_id).make_latest()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "20260131-094502-file-7f3a").touch()
    assert [run.path.name for run in list_runs(tmp_path)] == [OLD, NEW]


@pytest.mark.parametrize("name", ["absent", "file"])
def test_without_a_folder_there_are_no_runs(tmp_path: Path, name: str) -> None:
    """If the folder doesn't exist, no run is listed, and it is not created."""
    (tmp_path / "file").touch()
    assert list_runs(tmp_path / name) == []


def test_a_removed_run_leaves_nothing(tmp_path: Path) -> None:
    """A run's folder is removed with its content; removing it again is harmless."""
    run = RunFolder.create(tmp_path, OLD)
    (run.path / "report.html").touch()
    run.remove()
    run.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_in_progress_while_its_plan_is_locked(tmp_path: Path) -> None:
    """A run is in progress as long as at least one process has locked its plan."""
    run = RunFolder.create(tmp_path, OLD)
    plan = run.path / PLAN
    plan.touch()
    seen = []
    with file_lock(plan):
        with file_lock(plan):
            seen.append(run.is_running)
        seen.append(run.is_running)
    assert [True, True, False] == [*seen, run.is_running]


def test_a_killed_run_is_not_in_progress(tmp_path: Path) -> None:
    """The lock of a run ends with its process, even if that is killed."""
    run = RunFolder.create(tmp_path, OLD)
    plan = run.path / PLAN
    plan.touch()
    command = [sys.executable, "-c", _HOLD, str(plan)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        before = run.is_running
        holder.kill()
    assert (True, False) == (before, run.is_running)


def test_a_run_without_a_plan_is_not_in_progress(tmp_path: Path) -> None:
    """An empty run folder is not a run in progress."""
    assert not RunFolder.create(tmp_path, OLD).is_running


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (samples.plan().model_dump_json(), "embedded"),
        (None, None),
        ("", None),
        ('{"environment"', None),
        ("[]", None),
        ("{}", None),
        ('{"environment": null}', None),
        ('{"environment": {}}', None),
    ],
    ids=["plan", "none", "empty", "half", "list", "object", "null", "no target"],
)
def test_a_run_has_the_target_of_its_plan(tmp_path: Path, plan: str | None, expected: str | None) -> None:
    """A run's target is that of its plan; without a readable plan it is unknown."""
    run = RunFolder.create(tmp_path, OLD)
    if plan is not None:
        (run.path / PLAN).write_text(plan, encoding="utf-8")
    assert expected == run.target


def test_a_result_is_read_by_the_runs_id(tmp_path: Path) -> None:
    """The result that was written is read by the run's ID."""
    expected = [_with_result(tmp_path, run_id) for run_id in (OLD, NEW)]
    assert expected == [read_result(tmp_path, run_id) for run_id in (OLD, NEW)]


@pytest.mark.parametrize("how", ["latest", "folder"])
def test_a_result_is_read_by_other_names(tmp_path: Path, how: str) -> None:
    """A result is read by 'latest' or by the path of any folder that has one."""
    expected = _with_result(tmp_path / "runs", OLD)
    run, runs = ("latest", tmp_path / "runs") if how == "latest" else (str(tmp_path / "runs" / OLD), tmp_path)
    assert expected == read_result(runs, run)


@pytest.mark.parametrize(
    ("run", "meant"),
    [(OLD.replace("three", "tree"), f" Did you mean '{OLD}'?"), ("other", ""), ("latest", "")],
    ids=["near", "far", "latest"],
)
def test_an_unknown_run_is_reported(tmp_path: Path, run: str, meant: str) -> None:
    """The message has the missing folder, the folder of all runs and a suggestion."""
    RunFolder.create(tmp_path, OLD)
    with pytest.raises(PrerequisiteError) as caught:
        read_result(tmp_path, run)
    assert str(caught.value) == (
        f"Unknown run '{run}': {tmp_path / run} doesn't exist.{meant}\n  The runs are in {tmp_path}."
    )


def test_a_run_without_a_result_is_reported(tmp_path: Path) -> None:
    """A run without a result was interrupted, or is still running; the message says which, and what to do."""
    run = RunFolder.create(tmp_path, OLD)
    (run.path / PLAN).touch()
    run.make_latest()
    with file_lock(run.path / PLAN), pytest.raises(PrerequisiteError) as running:
        read_result(tmp_path, OLD)
    with pytest.raises(PrerequisiteError) as interrupted:
        read_result(tmp_path, "latest")
    assert f"The run '{OLD}' is still running.\n  Wait until it has finished." == str(running.value)
    assert str(interrupted.value) == (
        f"The run 'latest' ({OLD}) was interrupted before it had a result.\n"
        f"  Resume it: 'harness resume {OLD}'. If it ran in a workspace, it may continue there: "
        f"'harness attach {OLD}' follows it."
    )


def test_a_result_that_can_not_be_read_is_reported(tmp_path: Path) -> None:
    """A result that the system can't read is not mistaken for a missing one."""
    (RunFolder.create(tmp_path, OLD).path / RESULT).mkdir()
    with pytest.raises(PrerequisiteError, match=rf"Can't read {tmp_path / OLD / RESULT}: Is a directory\."):
        read_result(tmp_path, OLD)


def test_a_run_has_a_state(tmp_path: Path) -> None:
    """A run is running while its plan is locked, interrupted if it ends without a result, else finished."""
    run = RunFolder.create(tmp_path, OLD)
    (run.path / PLAN).touch()
    with file_lock(run.path / PLAN):
        seen = [run.state]
    seen.append(run.state)
    (run.path / RESULT).touch()
    assert [RunState.RUNNING, RunState.INTERRUPTED, RunState.FINISHED] == [*seen, run.state]


def test_latest_points_to_the_newest_run_that_is_left(tmp_path: Path) -> None:
    """If the newest run is removed, 'latest' points to the one before; without any, it is removed."""
    old, new = (RunFolder.create(tmp_path, run_id) for run_id in (OLD, NEW))
    new.make_latest()
    new.remove()
    seen = (tmp_path / "latest").readlink()
    old.remove()
    assert (Path(OLD), []) == (seen, list(tmp_path.iterdir()))


def test_latest_stays_if_another_run_is_removed(tmp_path: Path) -> None:
    """If a run is removed that is not the newest, 'latest' stays as it is."""
    old, new = (RunFolder.create(tmp_path, run_id) for run_id in (OLD, NEW))
    new.make_latest()
    old.remove()
    assert Path(NEW) == (tmp_path / "latest").readlink()


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    """A plan that this version of the harness can't read is refused."""
    folder = RunFolder.create(tmp_path, OLD)
    (folder.path / PLAN).write_text("{}", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="is not a plan that this version of the harness can read"):
        folder.read_plan()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", samples.result().model_dump_json(by_alias=True).encode()[:-1]],
    ids=["empty", "object", "list", "no text", "half"],
)
def test_an_unreadable_result_is_refused(tmp_path: Path, content: bytes) -> None:
    """A result with other content leads to a message, not a traceback."""
    file = RunFolder.create(tmp_path, OLD).path / RESULT
    file.write_bytes(content)
    with pytest.raises(PrerequisiteError, match=f"{file} is not the result of a run of the harness"):
        read_result(tmp_path, OLD)
