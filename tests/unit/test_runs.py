import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest

from harness import runs as module
from harness.errors import ExitCode, NotThereError
from harness.runs import RunFolder, list_runs, new_run_id

OLD, NEW = "20260131-094502-three_versions-7f3a", "20260201-000000-other-0000"


class _Clock(datetime):
    """A clock that goes on by a day each time it is looked at."""

    today_is = datetime(2025, 12, 28, 23, 59, 59, tzinfo=UTC)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        cls.today_is += timedelta(days=1)
        return cls.fromtimestamp(cls.today_is.timestamp(), tz)


def test_a_run_id_says_when_and_what() -> None:
    """Its name has the time, the scenario and four digits of chance."""
    assert re.fullmatch(r"\d{8}-\d{6}-three_versions-[0-9a-f]{4}", new_run_id("three_versions"))


def test_run_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later run's id sorts later, over the ends of month and year, whatever its scenario's name."""
    monkeypatch.setattr(module, "datetime", _Clock)
    ids = [new_run_id(name) for name in "zmaZYX"]
    assert sorted(ids) == ids


def test_run_ids_of_one_moment_differ() -> None:
    """Runs of the same scenario that start in the same second do not meet."""
    assert len({new_run_id("same") for _ in range(20)}) > 1


def test_a_run_folder_is_made_once(tmp_path: Path) -> None:
    """A folder that is there already is another run's."""
    RunFolder.create(tmp_path / "runs", OLD)
    with pytest.raises(NotThereError, match="File exists") as caught:
        RunFolder.create(tmp_path / "runs", OLD)
    assert caught.value.exit_code == ExitCode.NOT_THERE


def test_latest_points_at_the_run_that_said_so(tmp_path: Path) -> None:
    """The link is relative, so that the home folder can be moved."""
    for run_id in (OLD, NEW):
        RunFolder.create(tmp_path, run_id).make_latest()
    assert Path(NEW) == (tmp_path / "latest").readlink()


def test_latest_is_never_away_while_it_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is made aside and renamed over the old one, which is there until then."""
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


def test_latest_moves_over_what_an_interrupted_run_left(tmp_path: Path) -> None:
    """A link that was left aside does not keep the next one from being made."""
    run = RunFolder.create(tmp_path, OLD)
    (tmp_path / f".latest.{OLD}").symlink_to("nowhere")
    run.make_latest()
    assert ([OLD, "latest"], Path(OLD)) == (
        sorted(path.name for path in tmp_path.iterdir()),
        (tmp_path / "latest").readlink(),
    )


def test_a_folder_named_latest_is_told(tmp_path: Path) -> None:
    """What somebody else put there is left alone, and nothing is left aside."""
    (tmp_path / "latest").mkdir()
    run = RunFolder.create(tmp_path, OLD)
    with pytest.raises(NotThereError, match=r"Can't write .*latest: Is a directory"):
        run.make_latest()
    assert {OLD, "latest"} == {path.name for path in tmp_path.iterdir()}


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    """Links, files and folders of other names are no runs."""
    for run_id in (NEW, OLD):
        RunFolder.create(tmp_path, run_id).make_latest()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "20260131-094502-file-7f3a").touch()
    assert [run.path.name for run in list_runs(tmp_path)] == [OLD, NEW]


@pytest.mark.parametrize("name", ["absent", "file"])
def test_without_a_folder_there_are_no_runs(tmp_path: Path, name: str) -> None:
    """Nothing is listed where there is no folder, and none is made."""
    (tmp_path / "file").touch()
    assert list_runs(tmp_path / name) == []


def test_a_removed_run_leaves_nothing(tmp_path: Path) -> None:
    """The folder goes with all that is in it, and a second time does no harm."""
    run = RunFolder.create(tmp_path, OLD)
    (run.path / "report.html").touch()
    run.remove()
    run.remove()
    assert list(tmp_path.iterdir()) == []
