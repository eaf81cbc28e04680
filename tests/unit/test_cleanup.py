"""The deletion of old runs."""

import json
from pathlib import Path

import pytest

from harness.cli.cleanup import remove_old_runs
from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.files import file_lock
from harness.runs import PLAN, RunFolder
from harness.settings import Settings, read_settings

IDS = [f"2026010{day}-120000-daily-000{day}" for day in range(1, 5)]


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    """Create a home with four runs, the newest being the latest, and other files next to them."""
    settings = read_settings(folder=tmp_path, environ={})
    for run_id in IDS:
        RunFolder.create(settings.runs, run_id).make_latest()
        (Path(settings["lake"]) / "runs" / run_id / "loans").mkdir(parents=True)
    for file in ("mlflow.db", "models/bundle", "artifacts/model", "lake/other/table", "runs/notes/mine"):
        (settings.home / file).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / file).touch()
    return settings


def _plan(settings: Settings, run_id: str, target: str) -> Path:
    """Return the parts of a plan that the clean-up reads."""
    file = settings.runs / run_id / PLAN
    file.write_text(json.dumps({"environment": {"target": target}}), encoding="utf-8")
    return file


def _files(settings: Settings) -> set[str]:
    return {str(path.relative_to(settings.home)) for path in settings.home.rglob("*")}


@pytest.mark.parametrize("keep", [0, 1, 3, 4, 5])
def test_the_oldest_runs_are_removed(settings: Settings, keep: int) -> None:
    """All but the newest runs are removed, oldest first."""
    assert IDS[: max(0, len(IDS) - keep)] == list(remove_old_runs(settings, keep).runs)


def test_a_run_is_removed_with_its_tables_and_nothing_else(settings: Settings) -> None:
    """A removed run loses its folder and its tables, and nothing else is removed."""
    before = _files(settings)
    removed = remove_old_runs(settings, 2).runs
    expected = {
        f"{folder}/{run_id}{rest}"
        for run_id in removed
        for folder, rest in (("runs", ""), ("lake/runs", ""), ("lake/runs", "/loans"))
    }
    assert expected == before - _files(settings)


def test_latest_stays_with_the_newest(settings: Settings) -> None:
    """The link 'latest' still leads to the newest run if that run is kept."""
    remove_old_runs(settings, 1)
    assert settings.runs / IDS[-1] == (settings.runs / "latest").resolve()


def test_latest_is_removed_with_its_run(settings: Settings) -> None:
    """The link 'latest' is removed with the run it leads to."""
    remove_old_runs(settings, 0)
    assert not (settings.runs / "latest").is_symlink()


def test_a_negative_number_is_refused(settings: Settings) -> None:
    """A negative number of runs to keep is refused, and nothing is removed."""
    before = _files(settings)
    with pytest.raises(UsageError, match="--keep-runs is -1") as caught:
        remove_old_runs(settings, -1)
    assert (ExitCode.WRONG_INPUT, before) == (caught.value.exit_code, _files(settings))


def test_without_runs_nothing_is_removed(tmp_path: Path) -> None:
    """Cleaning a missing home folder does not create it."""
    settings = read_settings(folder=tmp_path, environ={})
    assert (remove_old_runs(settings, 0).runs, settings.home.exists()) == ((), False)


def test_a_run_that_cannot_be_removed_is_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that can't be removed is reported, and the others are removed."""
    remove = RunFolder.remove

    def stubborn(self: RunFolder) -> None:
        if self.path.name != IDS[0]:
            remove(self)

    monkeypatch.setattr(RunFolder, "remove", stubborn)
    with pytest.raises(PrerequisiteError, match=f"Can't remove .*{IDS[0]}"):
        remove_old_runs(settings, 2)
    assert not (settings.runs / IDS[1]).exists()


@pytest.mark.parametrize(("keep", "removed_indexes"), [(0, [1, 2, 3]), (2, [1])])
def test_a_run_in_progress_is_never_removed(
    settings: Settings, keep: int, removed_indexes: list[int]
) -> None:
    """A run in progress keeps its tables and does not count among the runs to keep."""
    plan = _plan(settings, IDS[0], "embedded")
    with file_lock(plan):
        removed = list(remove_old_runs(settings, keep).runs)
    assert ([IDS[at] for at in removed_indexes], True, True) == (
        removed,
        plan.exists(),
        (Path(settings["lake"]) / "runs" / IDS[0] / "loans").exists(),
    )


def test_a_run_that_has_ended_is_removed(settings: Settings) -> None:
    """A run without a result is removed once its process has ended."""
    with file_lock(_plan(settings, IDS[0], "embedded")):
        pass
    assert IDS == list(remove_old_runs(settings, 0).runs)


def test_tables_that_cannot_be_removed_are_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose tables are in a stopped stack is kept, and the others are removed."""
    monkeypatch.setenv("PATH", str(settings.home))
    _plan(settings, IDS[0], "compose")
    with pytest.raises(PrerequisiteError, match=f"The tables of the run {IDS[0]} are in the stack"):
        remove_old_runs(settings, 1)
    assert {IDS[0], IDS[3]} == {path.name for path in settings.runs.iterdir()} & set(IDS)
