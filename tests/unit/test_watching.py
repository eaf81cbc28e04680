"""``harness watch`` without a run: what it refuses, what it looks at, and when something has changed."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console

from harness import watching
from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.request import RunRequest, Session
from harness.scenario.model import Scenario
from tests.embedded.small import SMALL, make_rows, write_file, write_scenario


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))


def open_console() -> Console:
    return Console(file=io.StringIO(), width=200)


def read(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    """A scenario or target that doesn't exist, and a target whose runs start clusters: no change helps."""
    file = write_scenario(tmp_path, SMALL)
    for request, message in (
        (RunRequest("none"), "Unknown scenario 'none'"),
        (RunRequest(file, "nowhere"), "nowhere"),
        (RunRequest(file, "databricks"), "'watch' doesn't run on Databricks"),
        (RunRequest(file, only=("a=b",)), "a=b"),
    ):
        with pytest.raises(UsageError) as caught:
            watching.watch(request, open_console())
        assert message in str(caught.value)


def test_errors_are_shown_and_settings_open_the_target_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake or a missing prerequisite doesn't end the watch; Ctrl-C while it waits does, with 0."""
    file = Path(write_scenario(tmp_path, SMALL))
    good, targets = file.read_text(), list[object]()

    def run(session: Session) -> ExitCode:
        targets.append(session.target)
        if len(targets) == 1:
            raise PrerequisiteError("something is missing.")
        return ExitCode.BOUND_FAILED

    changes: Iterator[Callable[[], object]] = iter(
        [
            lambda: file.write_text(good + "more: 1\n"),
            lambda: file.write_text(good),
            lambda: Path("harness.toml").write_text('cores = "2"\n'),
            lambda: Path("readings.csv").write_text("id\n"),
        ]
    )

    def wait(files: list[Path], seen: watching.State) -> list[Path]:
        change = next(changes, None)
        if change is None:
            raise KeyboardInterrupt
        change()
        return [each for each in files if watching._look_at([each])[each] != seen[each]]

    monkeypatch.setattr(watching, "run_session", run)
    monkeypatch.setattr(watching, "_wait", wait)
    console = open_console()
    assert watching.watch(RunRequest(str(file), "embedded"), console) is ExitCode.PASS
    shown = read(console)
    assert "something is missing." in shown
    assert "small.yaml:" in shown
    assert f"Watching {file}, {tmp_path / 'readings.csv'}. To stop, press Ctrl-C." in shown
    assert ": harness.toml changed." in shown
    assert len(targets) == 3
    assert targets[0] is targets[1] is not targets[2]
    assert "readings.csv changed" in shown


def test_an_interrupted_run_ends_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code is that of the run."""
    monkeypatch.setattr(watching, "run_session", lambda _session: ExitCode.INTERRUPTED)
    file = write_scenario(tmp_path, SMALL)
    assert watching.watch(RunRequest(file, "embedded"), open_console()) is ExitCode.INTERRUPTED


def test_changes_are_seen_once_nothing_changes_any_more(tmp_path: Path) -> None:
    """Files below a folder count, and so do files that appear; a file that is being written is waited for."""
    folder, file = tmp_path / "rows", tmp_path / "more.csv"
    (folder / "a").mkdir(parents=True)
    files = [folder, file]
    seen = watching._look_at(files)
    assert watching._look_at(files) == seen

    def write() -> None:
        for number in range(4):
            (folder / "a" / "part.csv").write_text("x" * number)
            time.sleep(0.3)
        file.write_text("y")

    writer = threading.Thread(target=write)
    writer.start()
    assert watching._wait(files, seen) == files
    writer.join()
    file.unlink()
    assert watching._wait([file], watching._look_at([file]) | {file: (1, 1)}) == [file]


def watch_with(
    monkeypatch: pytest.MonkeyPatch, file: Path, changes: list[Callable[[], object]]
) -> tuple[str, list[list[Path]]]:
    """Watch a scenario without running it; return the output, and the files that were watched each time."""
    left, watched = iter(changes), list[list[Path]]()

    def wait(files: list[Path], seen: watching.State) -> list[Path]:
        watched.append(list(files))
        change = next(left, None)
        if change is None:
            raise KeyboardInterrupt
        change()
        return [each for each in files if watching._look_at([each])[each] != seen[each]]

    monkeypatch.setattr(watching, "run_session", lambda _session: ExitCode.PASS)
    monkeypatch.setattr(watching, "_wait", wait)
    console = open_console()
    assert watching.watch(RunRequest(str(file), "embedded"), console) is ExitCode.PASS
    return read(console), watched


def test_a_mistake_in_the_settings_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown with its line, and the next change tries again."""
    file = Path(write_scenario(tmp_path, SMALL))
    settings = Path("harness.toml")
    shown, watched = watch_with(
        monkeypatch,
        file,
        [lambda: settings.write_text("kores = 1\n"), lambda: settings.write_text('cores = "1"\n')],
    )
    assert "harness.toml:1: unknown setting 'kores'" in shown
    assert len(watched) == 3


def test_files_of_a_scenario_that_cannot_be_loaded_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Correcting the data or the code helps, too."""
    file = Path(write_scenario(tmp_path, SMALL))
    source = tmp_path / "readings.csv"
    rows = source.read_text()
    source.write_text("other\n1\n")
    shown, watched = watch_with(monkeypatch, file, [lambda: source.write_text(rows)])
    assert "small.yaml:" in shown
    assert source in watched[0]
    assert "readings.csv changed." in shown


def test_a_table_behind_a_name_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings say where it is."""
    folder = tmp_path / "lake" / "readings"
    write_deltalake(folder, pa.Table.from_pylist(make_rows()))
    Path("harness.toml").write_text('[tables]\n"main.loans.readings" = "lake/readings"\n')
    values = SMALL.model_dump(mode="json", by_alias=True, exclude_unset=True)
    values["table"] = {"name": "readings", "uri": "main.loans.readings", "key": "id"}
    values["versions"] = [{"name": "now", "read": 0}]
    file = Path(write_file(tmp_path, Scenario.model_validate(values)))
    _, watched = watch_with(monkeypatch, file, [])
    assert folder / "_delta_log" in watched[0]
