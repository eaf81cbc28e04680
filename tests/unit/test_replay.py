"""What a replay needs from MLflow, what it runs, and what it says about differences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.files import write_text
from harness.loading.loader import load_scenario
from harness.prediction_files import write_predictions
from harness.predictions import Prediction, Predictions
from harness.replay import describe_differences, describe_exactness, write_scenario
from harness.result_digest import add_digest
from harness.tracking.tracked_trainings import TrackedTraining, read_training
from tests.unit.studies_samples import make_plan, measured, scenario

CODE = {"pipelines.py": "class Good:\n    pass\n", "parts/more.py": "X = 1\n"}
TAGS = {
    "harness.data_path": "/lake/readings",
    "harness.data_version": "3",
    "harness.data_version_before": "2",
    "harness.run_id": "20260301-101500-readings-7f3a",
    "harness.target": "embedded",
    "harness.code": "0.1.0+c1",
    "harness.libraries": "1",
}


@pytest.fixture(name="client", scope="module")
def _client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    folder = tmp_path_factory.mktemp("mlflow")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    client.create_experiment("harness", str(folder / "artifacts"))
    return client


def track(client: MlflowClient, folder: Path, *, record: dict[str, Any] | None) -> tuple[str, str]:
    """Track a scenario and one of its versions; return both runs' IDs."""
    [experiment] = [each.experiment_id for each in client.search_experiments() if each.name == "harness"]
    parent = client.create_run(experiment, tags={"harness.run_id": TAGS["harness.run_id"]}).info.run_id
    values = scenario([{"name": "one"}, {"name": "two"}], every={"rows": 1}).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    client.log_dict(parent, values, "scenario.json")
    for path, text in CODE.items():
        client.log_text(parent, text, f"pipeline/{path}")
    child = client.create_run(experiment, tags={**TAGS, "mlflow.parentRunId": parent}).info.run_id
    rows = tuple(
        Prediction(key, 1.0, 0.5, "test", weights)
        for key, weights in (("7", (0.1, 0.2)), ("8", None), ("9", (0.3, 0.4)))
    )
    write_predictions(Predictions(rows=rows, features=("heat", "load")), folder / "predictions.parquet")
    client.log_artifact(child, str(folder / "predictions.parquet"), "training")
    if record is not None:
        write_text(folder / "record.json", json.dumps(record))
        client.log_artifact(child, str(folder / "record.json"), "training")
    return parent, child


def make_record(**changes: Any) -> dict[str, Any]:
    """Return the record of a training."""
    version = measured("two", test_roc_auc=0.7).model_copy(update={"version": 3})
    return add_digest({"version": version.model_dump(mode="json", by_alias=True), **changes})


@pytest.fixture(name="training", scope="module")
def _training(client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> TrackedTraining:
    folder = tmp_path_factory.mktemp("training")
    _, child = track(client, folder, record=make_record())
    return read_training(client, child, folder)


def test_everything_is_read_from_the_runs(training: TrackedTraining) -> None:
    """MLflow has the scenario, the code, what was measured, and which rows were explained."""
    assert ("readings", CODE) == (training.scenario.name, training.code)
    assert ("two", 0.7, ("7", "9")) == (
        training.version.name,
        training.version.metrics["test_roc_auc"],
        training.explained,
    )


def test_a_replay_reads_the_version_and_the_one_before(training: TrackedTraining, tmp_path: Path) -> None:
    """The scenario reads both from the run's table, trains only the version, and judges nothing."""
    file = write_scenario(training, tmp_path)
    assert set(CODE) == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")}
    text = file.read_text(encoding="utf-8").replace(
        "/lake/readings", "abfss://lake@account.dfs.core.windows.net/readings"
    )
    file.write_text(text, encoding="utf-8")
    replayed = load_scenario(str(file)).scenario
    reads = [(each.name, each.read.version, each.is_trained) for each in replayed.versions if each.read]
    assert [("before_two", 2, False), ("two", 3, True)] == reads
    assert (True, "never", False) == (replayed.observe, replayed.publish.when, replayed.sets_expectations)
    assert (training.scenario.seed, training.scenario.pipeline) == (replayed.seed, replayed.pipeline)


@pytest.mark.parametrize(
    ("kind", "message", "error"),
    [
        ("unknown", "MLflow has no run 'abc'", PrerequisiteError),
        ("parent", "is not that of a version", UsageError),
        ("no record", "was not recorded", PrerequisiteError),
        ("edited", "was edited", PrerequisiteError),
        ("old", "can't replay", PrerequisiteError),
    ],
)
def test_runs_that_cannot_be_replayed(
    client: MlflowClient, tmp_path: Path, kind: str, message: str, error: type[HarnessError]
) -> None:
    """Runs that are unknown, of a whole scenario, without a record or with another one: one message each."""
    record = {"no record": None, "edited": {**make_record(), "more": 1}, "old": add_digest({"version": {}})}
    parent, child = track(client, tmp_path, record=record.get(kind, make_record()))
    (tmp_path / "copied").mkdir()
    with pytest.raises(error, match=message):
        read_training(client, {"unknown": "abc", "parent": parent}.get(kind, child), tmp_path / "copied")
    shutil.rmtree(tmp_path / "copied")


def test_what_is_not_the_same_is_named(training: TrackedTraining) -> None:
    """Another target, code or set of libraries is named before anything runs."""
    assert [] == describe_differences(training, make_plan())
    environment = make_plan().environment.model_copy(update={"target": "compose", "libraries": "2"})
    other = make_plan(harness_version="0.2.0+c9", environment=environment)
    assert [
        "Not the same as in the run: target compose, then embedded.",
        "Not the same as in the run: harness 0.2.0+c9, then 0.1.0+c1.",
        "Not the same as in the run: libraries 2, then 1.",
    ] == describe_differences(training, other)


def test_numbers_are_compared_bit_for_bit(training: TrackedTraining) -> None:
    """A difference in the last digit is named, although it is within every tolerance."""
    version = training.version
    assert "is the same, bit for bit" in describe_exactness(version, version)
    metrics = {**version.metrics, "test_roc_auc": 0.7000000000000001}
    other = version.model_copy(update={"metrics": metrics, "run_id": "x"})
    assert "Version two: not the same bit for bit: metrics." == describe_exactness(version, other)
