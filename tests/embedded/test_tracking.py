"""The records of an existing version in MLflow, without training it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness.job.mlflow_tracker import Tracker
from harness.results import Bin, CalibrationBin, Commit, RocPoint, RowChanges, VersionResult
from tests.embedded.runner import make_plan
from tests.embedded.small import SMALL

COMMIT = Commit(operation="MERGE", time=datetime(2018, 3, 1, 12, tzinfo=UTC), reader=1, writer=2)


def version(**known: Any) -> VersionResult:
    return VersionResult(
        name="second", version=1, rows=300, fingerprint="0" * 32, data_schema={"id": "int"}, **known
    )


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    home = tmp_path_factory.mktemp("tracked")
    tracker = Tracker(make_plan(SMALL, home / "readings.csv", home))
    tracker.start()
    return tracker


def run_of(tracker: Tracker, found: VersionResult) -> Run:
    return MlflowClient().get_run(tracker.start_version(found))


def test_the_commit_is_among_the_tags(tracker: Tracker) -> None:
    """The tags have the commit's operation, time and protocol from Delta's log."""
    tags = run_of(tracker, version(commit=COMMIT)).data.tags
    assert {name: tags[f"harness.{name}"] for name in ("operation", "commit_time")} == {
        "operation": "MERGE",
        "commit_time": "2018-03-01T12:00:00+00:00",
    }
    assert (tags["harness.protocol_reader"], tags["harness.protocol_writer"]) == ("1", "2")


def test_row_changes_are_metrics(tracker: Tracker) -> None:
    """Rows added, removed and changed since the previous version are metrics."""
    changes = RowChanges(added=100, removed=0, changed=3)
    assert run_of(tracker, version(changes=changes)).data.metrics == {
        "rows_added": 100.0,
        "rows_removed": 0.0,
        "rows_changed": 3.0,
    }


def test_unknown_facts_are_not_logged(tracker: Tracker) -> None:
    """Unknown facts, such as changes of a first version, are not logged."""
    data = run_of(tracker, version()).data
    assert (data.metrics, "harness.operation" in data.tags) == ({}, False)


def test_versions_with_the_same_data_are_tracked_at_once(tracker: Tracker) -> None:
    """A restored version and its origin, which have the same data, can be logged in parallel."""
    same = version().model_copy(update={"fingerprint": "1" * 32})
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: run_of(tracker, same), range(8)))
    inputs = [run.inputs.dataset_inputs if run.inputs else [] for run in runs]
    assert [["1" * 32]] * 8 == [[each.dataset.digest for each in one] for one in inputs]


def test_the_details_have_all_counts(tracker: Tracker, tmp_path: Path) -> None:
    """The details have schema, nulls, distributions and curves of the result, without undefined metrics."""
    found = version(
        nulls={"id": 0.25},
        distributions={"heat": (Bin(start=1.5, rows=3),), "kind": (Bin(start="other", rows=0),)},
        roc=(RocPoint(false_positive_rate=0.0, true_positive_rate=0.5),),
        calibration=(CalibrationBin(rows=3, predicted=0.25, observed=1 / 3),),
        metrics={"added_test_roc_auc": None, "added_test_rows": 0.0},
    )
    run_id = tracker.start_version(found)
    tracker.log_version(run_id, found, tmp_path)
    run = MlflowClient().get_run(run_id)
    details = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/details.json")
    told = ("schema", "nulls", "distributions", "roc", "calibration")
    whole = found.model_dump(mode="json", by_alias=True)
    assert {name: details[name] for name in told} == {name: whole[name] for name in told}
    assert run.data.metrics == {"added_test_rows": 0.0}
