"""MLflow stores that can't be used: found by the doctor, by a run before it starts, and by other commands."""

from __future__ import annotations

import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.plan import Plan
from harness.settings import read_settings
from harness.storage import tracking_store
from harness.storage.tracking_store import require_usable_store
from harness.targets.checks import check_tracking_store
from harness.targets.embedded.embedded_target import Embedded
from harness.tracked_run import TrackedRun
from harness.tracking.lineage import TrackingStore, find_all_runs, trace
from tests.unit.report_samples import plan

NEWEST, OLDER = "b" * 12, "a" * 12


def _make_store(file: Path, revision: str | None, stage: str = "active") -> None:
    """Create what MLflow's store has of its schema and of one experiment."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE experiments (experiment_id, name, lifecycle_stage)")
        database.execute("INSERT INTO experiments VALUES (7, 'harness', ?)", (stage,))
        database.execute("CREATE TABLE alembic_version (version_num)")
        if revision is not None:
            database.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        database.commit()


BROKEN: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "text": (
        lambda file: file.write_text("runs\n" * 200),
        "file is not a database",
        "Restore it from a backup",
    ),
    "folder": (lambda file: file.mkdir(), "is a folder, not a database", "Set HARNESS_TRACKING_URI"),
    "older": (
        lambda file: _make_store(file, OLDER),
        rf"has an older schema \({OLDER}\); MLflow [\d.]+ needs {NEWEST}",
        "Back up the file, then run 'mlflow db upgrade sqlite:///",
    ),
    "interrupted": (lambda file: _make_store(file, None), r"older schema \(none\)", "mlflow db upgrade"),
    "newer": (
        lambda file: _make_store(file, "c" * 12),
        r"has a schema that MLflow [\d.]+ doesn't know \(c{12}\)",
        "Install that MLflow, or set HARNESS_TRACKING_URI",
    ),
}
DELETED = (
    lambda file: _make_store(file, NEWEST, "deleted"),
    "experiment 'harness' in sqlite:///.* is deleted",
    "mlflow experiments restore --experiment-id 7', or set HARNESS_EXPERIMENT",
)


@pytest.fixture(autouse=True)
def _revisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the schemas that the installed MLflow knows."""
    monkeypatch.setattr(tracking_store, "_list_revisions", lambda: (NEWEST, OLDER))


@pytest.mark.parametrize("kind", [*BROKEN, "deleted"])
def test_a_store_that_cannot_be_used_is_reported_with_its_remedy(tmp_path: Path, kind: str) -> None:
    """The doctor and a run report the same, before anything starts, with MLflow's own remedy first."""
    create, message, remedy = {**BROKEN, "deleted": DELETED}[kind]
    create(tmp_path / "mlflow.db")
    found = check_tracking_store(f"sqlite:///{tmp_path}/mlflow.db", "harness")
    assert "failed" == found.state
    assert re.search(message, found.finding)
    assert remedy in found.remedy
    target = Embedded(read_settings({"home": str(tmp_path)}, folder=tmp_path, environ={}))
    with pytest.raises(PrerequisiteError, match=message):
        target.prepare(_plan(f"sqlite:///{tmp_path}/mlflow.db"))


@pytest.mark.parametrize("kind", BROKEN)
def test_commands_that_read_runs_report_the_same(tmp_path: Path, kind: str) -> None:
    """A command that only reads runs reports a store that can't be read, instead of MLflow's own error."""
    create, message, _ = BROKEN[kind]
    create(tmp_path / "mlflow.db")
    with pytest.raises(PrerequisiteError, match=message):
        find_all_runs(TrackingStore(read_settings({"home": str(tmp_path)}, folder=tmp_path, environ={})))


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "/data/mlruns", "file:///data/mlruns", "file:mlruns"])
def test_a_folder_of_files_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder as a store, which MLflow refuses, is refused first unless MLflow's variable allows it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    found = check_tracking_store(uri, "harness")
    assert ("failed", f"MLflow no longer writes to a folder, such as {uri}.") == (found.state, found.finding)
    assert "mlflow migrate-filestore" in found.remedy
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert "ok" == check_tracking_store(uri, "harness").state


def test_usable_stores_are_accepted(tmp_path: Path) -> None:
    """A missing, an empty and a current store are usable, and so is one with the tables of something else."""
    files = {name: tmp_path / name for name in ("missing", "empty", "current", "foreign")}
    files["empty"].touch()
    _make_store(files["current"], NEWEST)
    with closing(sqlite3.connect(files["foreign"])) as database:
        database.execute("CREATE TABLE loans (id)")
    for file in files.values():
        require_usable_store(f"sqlite:///{file}", "harness")
    assert not files["missing"].exists()


@pytest.mark.parametrize("uri", ["databricks", "databricks://profile", "plugin://db/m"])
def test_other_stores_are_left_to_mlflow(uri: str) -> None:
    """What only MLflow can open is left to MLflow."""
    require_usable_store(uri, "harness")
    assert "not checkable" == check_tracking_store(uri, "harness").state


def test_a_missing_server_is_found_before_the_job_starts(tmp_path: Path) -> None:
    """A run and the commands that read runs report a server that isn't there before they start anything."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    settings = read_settings({"home": str(tmp_path)}, folder=tmp_path, environ={"HARNESS_TRACKING_URI": url})
    message = f"MLflow at {url} doesn't answer: Connection refused"
    with pytest.raises(PrerequisiteError, match=message):
        Embedded(settings).prepare(_plan(url))
    with pytest.raises(PrerequisiteError, match=message):
        find_all_runs(TrackingStore(settings))


def _plan(tracking_uri: str) -> Plan:
    sample = plan()
    environment = sample.environment.model_copy(
        update={"tracking_uri": tracking_uri, "experiment": "harness"}
    )
    return sample.model_copy(update={"environment": environment, "sources": {}})


def test_a_run_with_an_edited_version_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose version was edited in MLflow is neither listed nor traced; the others are."""
    runs = [
        TrackedRun(
            run_id=version,
            status="FINISHED",
            started=datetime(2026, 1, 1, tzinfo=UTC),
            tags={"harness.data_version": version, "harness.run_id": "whole"},
            params={},
            metrics={},
        )
        for version in ("1", "first", "0")
    ]
    monkeypatch.setattr(TrackingStore, "search_runs", lambda *_: runs)
    store = TrackingStore(read_settings({"home": str(tmp_path)}, folder=tmp_path, environ={}))
    assert ["1", "0"] == [each.run_id for each in find_all_runs(store)]
    assert ["0", "1"] == [each.run_id for each in trace(store, "whole")]
