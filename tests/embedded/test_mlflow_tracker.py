"""What MLflow records of a version, without training it."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness.errors import PrerequisiteError
from harness.job.mlflow_tracker import Tracker, translate_store_error
from harness.results import Bin, CalibrationBin, Commit, RocPoint, RowChanges, VersionResult
from harness.storage import tracking_store
from harness.storage.tracking_store import find_store_file, require_usable_store
from harness.tracking.open_runs import close_runs
from tests.embedded.runner import make_plan
from tests.embedded.small import SMALL

COMMIT = Commit(operation="MERGE", time=datetime(2018, 3, 1, 12, tzinfo=UTC), reader=1, writer=2)


def make_version(**facts: Any) -> VersionResult:
    """Return a version of the small table with these facts."""
    return VersionResult(
        name="second", version=1, rows=300, fingerprint="0" * 32, data_schema={"id": "int"}, **facts
    )


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    home = tmp_path_factory.mktemp("tracked")
    tracker = Tracker(make_plan(SMALL, home / "readings.csv", home))
    tracker.start()
    return tracker


def log_run(tracker: Tracker, version: VersionResult) -> Run:
    """Log a version, and return its MLflow run."""
    return MlflowClient().get_run(tracker.start_version(version))


def test_the_commit_is_logged_as_tags(tracker: Tracker) -> None:
    """The tags have the commit's operation, time and protocol from Delta's log."""
    tags = log_run(tracker, make_version(commit=COMMIT)).data.tags
    assert {name: tags[f"harness.{name}"] for name in ("operation", "commit_time")} == {
        "operation": "MERGE",
        "commit_time": "2018-03-01T12:00:00+00:00",
    }
    assert (tags["harness.protocol_reader"], tags["harness.protocol_writer"]) == ("1", "2")


def test_row_changes_are_logged_as_metrics(tracker: Tracker) -> None:
    """Rows added, removed and changed since the previous version are metrics."""
    changes = RowChanges(added=100, removed=0, changed=3)
    assert log_run(tracker, make_version(changes=changes)).data.metrics == {
        "rows_added": 100.0,
        "rows_removed": 0.0,
        "rows_changed": 3.0,
    }


def test_unknown_facts_are_not_logged(tracker: Tracker) -> None:
    """Unknown facts, such as the changes of a first version, are not logged."""
    data = log_run(tracker, make_version()).data
    assert (data.metrics, "harness.operation" in data.tags) == ({}, False)


def test_versions_with_the_same_data_are_logged_in_parallel(tracker: Tracker) -> None:
    """Versions with the same data, such as a restored one and its origin, can be logged in parallel."""
    same = make_version().model_copy(update={"fingerprint": "1" * 32})
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: log_run(tracker, same), range(8)))
    inputs = [run.inputs.dataset_inputs if run.inputs else [] for run in runs]
    assert [["1" * 32]] * 8 == [[each.dataset.digest for each in one] for one in inputs]


def test_the_details_have_all_counts(tracker: Tracker, tmp_path: Path) -> None:
    """The details have schema, nulls, distributions and curves; metrics that are None are not logged."""
    version = make_version(
        nulls={"id": 0.25},
        distributions={"heat": (Bin(start=1.5, rows=3),), "kind": (Bin(start="other", rows=0),)},
        roc=(RocPoint(false_positive_rate=0.0, true_positive_rate=0.5),),
        calibration=(CalibrationBin(rows=3, predicted=0.25, observed=1 / 3),),
        metrics={"added_test_roc_auc": None, "added_test_rows": 0.0},
    )
    run_id = tracker.start_version(version)
    tracker.log_version(run_id, version, tmp_path)
    run = MlflowClient().get_run(run_id)
    details = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/details.json")
    names = ("schema", "nulls", "distributions", "roc", "calibration")
    whole = version.model_dump(mode="json", by_alias=True)
    assert {name: details[name] for name in names} == {name: whole[name] for name in names}
    assert run.data.metrics == {"added_test_rows": 0.0}


def test_the_newest_schema_is_that_of_the_installed_mlflow(tracker: Tracker) -> None:
    """The schema that a store must have is the one that the installed MLflow gives a new store."""
    file = _store_of(tracker)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (tracking_store._list_revisions()[0],)
        ]
    require_usable_store(f"sqlite:///{file}", "harness")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE alembic_version SET version_num = 'cc1f77228345'", "has an older schema"),
        ("UPDATE alembic_version SET version_num = 'cccccccccccc'", "a newer one wrote it"),
        ("UPDATE experiments SET lifecycle_stage = 'deleted'", "experiment 'harness' in .* is deleted"),
    ],
)
def test_a_changed_store_is_not_opened(tracker: Tracker, tmp_path: Path, change: str, message: str) -> None:
    """A store of another schema, or whose experiment is deleted, is a missing prerequisite."""
    shutil.copy(_store_of(tracker), tmp_path / "mlflow.db")
    _change(tmp_path / "mlflow.db", change)
    with pytest.raises(PrerequisiteError, match=message):
        Tracker(make_plan(SMALL, tmp_path / "readings.csv", tmp_path))


def test_what_is_deleted_during_a_run_is_reported(tracker: Tracker, tmp_path: Path) -> None:
    """A run, an experiment or a store that is deleted during a run is a missing prerequisite, by name."""
    file = tmp_path / "mlflow.db"
    shutil.copy(_store_of(tracker), file)
    plan = make_plan(SMALL, tmp_path / "readings.csv", tmp_path)
    own = Tracker(plan)
    own.start()
    _change(file, "UPDATE runs SET lifecycle_stage = 'deleted'")
    with pytest.raises(mlflow.MlflowException) as of_run:
        own._log(own.parent_run_id or "", params={"a": 1})
    assert "must be in the 'active' state. Current state is deleted." in _translate(of_run.value, own)
    _change(file, "UPDATE experiments SET lifecycle_stage = 'deleted'")
    with pytest.raises(mlflow.MlflowException) as of_experiment:
        own.start()
    expected = f"MLflow's experiment 'harness' in sqlite:///{file} is deleted."
    assert expected == _translate(of_experiment.value, own)
    file.unlink()
    with pytest.raises(mlflow.MlflowException) as of_store:
        own.start()
    assert f"MLflow's store {file} was deleted during the run." == _translate(of_store.value, own)


def test_open_runs_of_a_killed_job_are_closed(tracker: Tracker) -> None:
    """The runs that a job left open are closed, and no others; finished ones keep their status."""
    home = _store_of(tracker).parent
    plan = make_plan(SMALL, home / "readings.csv", home, "killed")
    uri = plan.environment.tracking_uri
    of_killed = Tracker(plan)
    of_killed.start()
    finished, opened = (of_killed.start_version(make_version()) for _ in range(2))
    client = MlflowClient(uri)
    client.set_terminated(finished, "FINISHED")
    assert [2, 0] == [close_runs(uri, "harness", "killed", "KILLED") for _ in range(2)]
    ids = (of_killed.parent_run_id, opened, finished, tracker.parent_run_id)
    assert ["KILLED", "KILLED", "FINISHED", "RUNNING"] == [
        client.get_run(run_id or "").info.status for run_id in ids
    ]


def test_a_store_without_the_runs_has_nothing_to_close(tmp_path: Path) -> None:
    """A missing store is not created; a server that doesn't answer is reported, without its password."""
    assert 0 == close_runs(f"sqlite:///{tmp_path}/mlflow.db", "harness", "killed", "FAILED")
    assert [] == list(tmp_path.iterdir())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        PrerequisiteError, match=f"^MLflow at http://.*@127.0.0.1:{port} doesn't answer"
    ) as caught:
        close_runs(f"http://me:secret@127.0.0.1:{port}", "harness", "killed", "FAILED")
    assert "secret" not in caught.value.message


def test_other_errors_are_not_taken_for_a_changed_store(tracker: Tracker) -> None:
    """An error of MLflow on a usable store, or of anything else, stays a failed job."""
    assert ["", ""] == [
        _translate(error, tracker) for error in (mlflow.MlflowException("x"), ValueError("x"))
    ]


def _translate(error: Exception, tracker: Tracker) -> str:
    translated = translate_store_error(error, tracker._plan.environment)
    return translated.message if translated else ""


def _store_of(tracker: Tracker) -> Path:
    file = find_store_file(tracker._plan.environment.tracking_uri)
    assert file is not None
    return file


def _change(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(statement)
        database.commit()
