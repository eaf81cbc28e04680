"""What a replay needs from MLflow, what it runs, and what it says about differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.files import sha256_of, write_text
from harness.loading.loader import load_scenario
from harness.prediction_files import write_predictions
from harness.predictions import Prediction, Predictions
from harness.replay import describe_differences, describe_exactness, list_different, write_scenario
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


def track(client: MlflowClient, folder: Path, kind: str = "") -> tuple[str, str]:
    """Track a scenario and one of its versions, with one kind of defect; return both runs' IDs."""
    [experiment] = [each.experiment_id for each in client.search_experiments() if each.name == "harness"]
    parent = client.create_run(experiment, tags={"harness.run_id": TAGS["harness.run_id"]}).info.run_id
    versions = [{"name": "one"}, {"name": "two"}]
    tracked = scenario(versions, every={"rows": 1}, champion="models:/readings@champion")
    values = tracked.model_dump(mode="json", by_alias=True, exclude_none=True)
    client.log_dict(parent, values, "scenario.json")
    for path, text in CODE.items():
        client.log_text(parent, text, f"pipeline/{path}")
    child = client.create_run(experiment, tags={**TAGS, "mlflow.parentRunId": parent}).info.run_id
    rows = tuple(
        Prediction(key, 1.0, 0.5, "test", weights)
        for key, weights in (("7", (0.1, 0.2)), ("8", None), ("9", (0.3, 0.4)))
    )
    file = folder / "predictions.parquet"
    write_predictions(Predictions(rows=rows, features=("heat", "load")), file)
    version = measured("two", test_roc_auc=0.7).model_copy(update={"version": 3})
    values = {} if kind == "old" else version.model_dump(mode="json", by_alias=True)
    record: dict[str, Any] = add_digest({"version": values, "predictions": sha256_of(file)})
    if kind == "edited":
        record["more"] = 1
    if kind == "other rows":
        write_predictions(Predictions(rows=rows[:1], features=("heat", "load")), file)
    client.log_artifact(child, str(file), "training")
    if kind != "no record":
        write_text(folder / "record.json", json.dumps(record))
        client.log_artifact(child, str(folder / "record.json"), "training")
    return parent, child


@pytest.fixture(name="training", scope="module")
def _training(client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> TrackedTraining:
    folder = tmp_path_factory.mktemp("training")
    _, child = track(client, folder)
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
    assert (training.scenario.champion, None) == ("models:/readings@champion", replayed.champion)
    assert (training.scenario.seed, training.scenario.pipeline) == (replayed.seed, replayed.pipeline)


@pytest.mark.parametrize(
    ("kind", "message", "error"),
    [
        ("unknown", "MLflow has no run ffff", PrerequisiteError),
        ("harness run", "'20260301-101500-readings-7f3a' is not the ID of a run in MLflow", UsageError),
        ("parent", "is that of a whole scenario, not of a version", UsageError),
        ("no record", "was not recorded", PrerequisiteError),
        ("edited", "was edited", PrerequisiteError),
        ("other rows", "predictions that MLflow run .* recorded were changed", PrerequisiteError),
        ("old", "incompatible version", PrerequisiteError),
    ],
)
def test_runs_that_cannot_be_replayed(
    client: MlflowClient, tmp_path: Path, kind: str, message: str, error: type[HarnessError]
) -> None:
    """Runs that are unknown, of a whole scenario, without a record or with another one: one message each."""
    parent, child = track(client, tmp_path, kind)
    named = {"unknown": "f" * 32, "harness run": TAGS["harness.run_id"], "parent": parent}
    (tmp_path / "copied").mkdir()
    with pytest.raises(error, match=message):
        read_training(client, named.get(kind, child), tmp_path / "copied")


def test_what_is_not_the_same_is_named(training: TrackedTraining) -> None:
    """Another target, code or set of libraries is named before anything runs."""
    assert [] == describe_differences(training, make_plan())
    environment = make_plan().environment.model_copy(update={"target": "compose", "libraries": "2"})
    other = make_plan(harness_version="0.2.0+c9", environment=environment)
    assert [
        "Differs from the original run: the target is compose, was embedded.",
        "Differs from the original run: the harness is 0.2.0+c9, was 0.1.0+c1.",
        "Differs from the original run: the libraries are other versions.",
    ] == describe_differences(training, other)


def test_numbers_are_compared_bit_for_bit(training: TrackedTraining) -> None:
    """A difference in the last digit is named, although it is within every tolerance."""
    version = training.version
    assert "Version two: all measurements are identical." == describe_exactness(
        "two", list_different(version, version)
    )
    metrics = {**version.metrics, "test_roc_auc": 0.7000000000000001}
    other = version.model_copy(update={"metrics": metrics, "run_id": "x"})
    assert "Version two: not identical in every digit: metrics." == describe_exactness(
        "two", list_different(version, other)
    )
