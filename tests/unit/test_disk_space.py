"""Full disks: recognized by messages, or by the folders that a run writes."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import ExitCode
from harness.plan import Environment
from harness.storage import disk_space as module
from harness.storage.disk_space import (
    is_full_disk_message,
    list_local_folders,
    make_full_disk_error,
)


def fill(monkeypatch: pytest.MonkeyPatch, folder: Path, *, free: int = 0, files: int = 9) -> None:
    """Let a folder's disk have so many free bytes and files; the others have enough."""
    full = SimpleNamespace(f_bavail=free, f_frsize=1, f_blocks=1 << 41, f_files=100, f_favail=files)
    ample = SimpleNamespace(f_bavail=1 << 40, f_frsize=1, f_blocks=1 << 41, f_files=0, f_favail=0)
    disks = SimpleNamespace(statvfs=lambda path: full if path == folder else ample)
    monkeypatch.setattr(module, "os", disks)


def test_a_database_that_is_full_says_so(tmp_path: Path) -> None:
    """The message of a SQLite database that can't grow is recognized as that of a full disk."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        store.execute("CREATE TABLE runs (note TEXT)")
        store.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            store.execute("INSERT INTO runs VALUES (?)", ("x" * 100_000,))
    assert is_full_disk_message(str(caught.value))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_the_system_says_that_a_disk_is_full() -> None:
    """The message of the operating system for a full disk is recognized; that of another error isn't."""
    with pytest.raises(OSError, match=r".") as caught, Path("/dev/full").open("wb", buffering=0) as device:
        device.write(b"x")
    assert (True, False) == (is_full_disk_message(str(caught.value)), is_full_disk_message("File too large"))


def test_the_local_folders_of_a_run_are_known(tmp_path: Path) -> None:
    """The temporary folder, the lake, the model store, the artifacts and MLflow's file are checked."""
    environment = Environment(
        target="embedded",
        lake=f"file://{tmp_path}/lake",
        model_store=str(tmp_path / "models"),
        tracking_uri=f"sqlite:///{tmp_path}/track/mlflow.db",
        experiment="harness",
        artifacts=str(tmp_path / "artifacts"),
    )
    expected = {
        Path(tempfile.gettempdir()),
        *(tmp_path / each for each in ("lake", "models", "artifacts", "track")),
    }
    assert expected == set(list_local_folders(environment))
    remote = environment.model_copy(
        update={
            "lake": "abfss://lake@a.dfs.core.windows.net",
            "tracking_uri": "http://mlflow",
            "artifacts": None,
        }
    )
    assert {Path(tempfile.gettempdir()), tmp_path / "models"} == set(list_local_folders(remote))


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ({"free": 2048}, "has 2 kB of free space"),
        ({"free": 1 << 30, "files": 0}, "has no room for another file, although it has free space"),
    ],
)
def test_a_full_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: dict[str, int], message: str
) -> None:
    """A disk without free bytes or files is a missing prerequisite, even if its folder doesn't exist."""
    fill(monkeypatch, tmp_path, **left)
    error = make_full_disk_error([Path("/"), tmp_path / "lake"])
    assert error is not None
    assert (f"The disk is full: {tmp_path / 'lake'} {message}.", ExitCode.PREREQUISITE_MISSING) == (
        error.message,
        error.exit_code,
    )
    assert "harness clean" in (error.remedy or "")


def test_a_full_temporary_folder_has_its_own_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder for temporary files is full, the remedy names TMPDIR; the reason is kept."""
    folder = Path(tempfile.gettempdir())
    fill(monkeypatch, folder)
    error = make_full_disk_error([folder], "IOException: No space left on device")
    assert error is not None
    assert (
        f"The disk is full: {folder} has 0 kB of free space (IOException: No space left on device)."
        == error.message
    )
    assert "TMPDIR" in (error.remedy or "")


def test_a_message_alone_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A message counts even if the space is free again; without it, disks with space are not full."""
    fill(monkeypatch, Path(os.devnull))
    error = make_full_disk_error([tmp_path], "No space left on device")
    assert error is not None
    assert "The disk is full: No space left on device" == error.message
    assert make_full_disk_error([tmp_path]) is None
