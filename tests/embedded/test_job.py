"""The whole job on a small table: successful runs, and the state after failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness import bundles
from harness.errors import ExitCode
from harness.files import sha256_of
from harness.job import bundle
from harness.job.main import run
from harness.job.running_job import Job
from harness.results import Result, Verdict
from harness.retention.pins import list_pins
from harness.scenario.sensitive import hide_value
from harness.storage.model_store import FolderStore
from harness.views import plots
from tests.embedded.runner import change_scenario, make_job, make_plan, run_job
from tests.embedded.small import ONE_VERSION, SMALL, Row, write_table

pytestmark = pytest.mark.spark

SEGMENTED = change_scenario(SMALL, {"segments": {"hot": "heat > 20", "heavy": "load > 50"}})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a successful run."""
    return tmp_path_factory.mktemp("small")


@pytest.fixture(scope="module")
def job(spark: SparkSession, home: Path) -> Job:
    return make_job(spark, make_plan(SEGMENTED, write_table(home), home))


@pytest.fixture(scope="module")
def good(job: Job) -> Result:
    """Return the result of a successful run."""
    return run(job)


@pytest.fixture(scope="module")
def hidden_job(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("hidden")
    changes = {"publish": {"when": "never"}, "table": {"sensitive": ["ID", "load"]}}
    return make_job(spark, make_plan(change_scenario(SEGMENTED, changes), write_table(folder), folder))


@pytest.fixture(scope="module")
def hidden(hidden_job: Job) -> Result:
    """Return the result of a run with a sensitive key and a sensitive feature, which publishes nothing."""
    return run(hidden_job)


def list_measurements(result: Result) -> list[dict[str, Any]]:
    """Return everything that was measured, without the ids of the run."""
    keep = {"fingerprint", "rows", "metrics", "grid", "intercept", "coefficients", "explanations"}
    return [version.model_dump(include=keep) for version in result.versions]


def read_files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the content and the time of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def run_changed(spark: SparkSession, tmp_path: Path, **changes: Any) -> Result:
    """Run the small scenario with changes."""
    return run_job(spark, change_scenario(SMALL, changes), write_table(tmp_path), tmp_path)


def test_a_good_run_passes(good: Result) -> None:
    """A run whose bounds all hold passes."""
    assert (Verdict.PASS, None) == (good.verdict, good.failure)


def test_the_same_scenario_gives_the_same_numbers(good: Result, hidden: Result) -> None:
    """A second run measures exactly the same as the first, also with sensitive columns."""
    assert list_measurements(good) == list_measurements(hidden)


def test_predictions_of_held_out_rows_are_kept(job: Job, good: Result) -> None:
    """Each version has a file with all held-out rows, sorted by key, with the weights of explained ones."""
    for version in good.versions:
        stored = version.predictions
        assert stored is not None
        assert (stored.rows, stored.sha256) == (stored.held_out, sha256_of(job.files[stored.file]))
        table = pq.read_table(job.files[stored.file])
        of_rows = ["key", "label", "score", "split", "segments"]
        assert [*of_rows, "weight_heat", "weight_load"] == table.column_names
        rows = table.to_pylist()
        assert version.metrics["test_rows"] == len(rows)
        assert version.metrics["test_positives"] == sum(row["label"] for row in rows)
        assert version.metrics.get("added_test_rows", 0) == sum(row["split"] == "added" for row in rows)
        for name, measured in version.segments.items():
            assert measured["test_rows"] == sum(name in row["segments"] for row in rows)
        assert sorted(row["key"] for row in rows) == [row["key"] for row in rows]
        explained = [row for row in rows if row["weight_heat"] is not None]
        assert 5 <= len(explained) < len(rows)
        # A probe row's weight is part of the mean; the moved rows are explained in addition.
        assert version.explanations["heat"].mean in means_of_five([row["weight_heat"] for row in explained])


def means_of_five(values: list[float]) -> Iterator[object]:
    """Return an approximate mean of each five of the values."""
    return (pytest.approx(fmean(five)) for five in combinations(values, 5))


def test_moved_rows_are_explained_at_both_versions(job: Job, good: Result) -> None:
    """The rows that moved most have the scores of both files, and their own weights at both versions."""
    first, second = good.versions
    assert (None, "first") == (first.moved, second.moved and second.moved.since)
    scores = []
    for version in good.versions:
        stored = version.predictions
        assert stored is not None
        rows = pq.read_table(job.files[stored.file]).to_pylist()
        scores.append({row["key"]: row["score"] for row in rows})
    before, after = scores
    common = before.keys() & after.keys()
    expected = sorted(common, key=lambda key: (-abs(after[key] - before[key]), key))[:10]
    assert second.moved is not None
    assert (expected, len(common)) == ([row.key for row in second.moved.rows], second.moved.compared)
    for row in second.moved.rows:
        assert (before[row.key], after[row.key]) == (row.before, row.after)
        assert {"heat", "load"} == {each.feature for each in row.weights}
        assert all(None not in (each.before, each.after) for each in row.weights)


def test_predictions_are_in_mlflow(job: Job, good: Result, home: Path) -> None:
    """The run of each version in MLflow has the file with its predictions."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    for version in good.versions:
        name = version.predictions.file if version.predictions else ""
        downloaded = Path(client.download_artifacts(version.run_id or "", name))
        assert job.files[name].read_bytes() == downloaded.read_bytes()


def test_sensitive_columns_are_in_no_file(job: Job, good: Result, hidden_job: Job, hidden: Result) -> None:
    """With a sensitive key and feature, the files have digests as keys and no weights of the feature."""
    for version, other in zip(good.versions, hidden.versions, strict=True):
        assert version.predictions is not None
        [rows, shown] = [
            pq.read_table(each.files[version.predictions.file]).to_pylist() for each in (hidden_job, job)
        ]
        assert {hide_value(row["key"]): row["score"] for row in shown} == {
            row["key"]: row["score"] for row in rows
        }
        assert {"key", "label", "score", "split", "segments", "weight_heat"} == rows[0].keys()
        assert {"hot"} == {name for row in rows for name in row["segments"]}
        assert {"hot", "heavy"} == {name for row in shown for name in row["segments"]}
        starts = [each.start for each in other.distributions["load"]]
        assert [float(at) for at in range(len(starts))] == starts
        assert version.distributions["heat"] == other.distributions["heat"]
    moved = hidden.versions[1].moved
    assert moved is not None
    assert [row.key for row in moved.rows] == [row.key for row in moved.rows if row.key.startswith("#")] != []
    assert {"heat"} == {each.feature for row in moved.rows for each in row.weights}


def test_a_result_survives_its_file(good: Result) -> None:
    """A result is the same after writing and reading its file."""
    assert good == Result.model_validate_json(good.model_dump_json(by_alias=True))


def test_the_pictures_of_the_report_are_in_mlflow(good: Result, home: Path) -> None:
    """The parent run in MLflow has the report's plots and the lineage diagram."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    run_id = good.mlflow_run_id or ""
    folders = {each.path for each in client.list_artifacts(run_id, "pictures")}
    assert {
        f"pictures/{name}" for name in ("metrics", "explanations", "data", "curves", "lineage.svg")
    } == folders
    lineage = Path(client.download_artifacts(run_id, "pictures/lineage.svg")).read_text()
    assert len(good.versions) == lineage.count(">published</text>")
    drawn = {each.path for each in client.list_artifacts(run_id, "pictures/curves")}
    assert {"pictures/curves/roc.svg", "pictures/curves/calibration.svg"} == drawn


def test_a_picture_that_cannot_be_drawn_does_not_fail_the_run(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a plot can't be drawn, the run still has its verdict and publishes its bundle."""
    monkeypatch.setattr(plots, "draw_pictures", _fail_to_draw)
    result = run_job(spark, ONE_VERSION, write_table(tmp_path), tmp_path)
    assert (None, Verdict.PASS) == (result.failure, result.verdict)
    assert result.versions[0].bundle is not None


def _fail_to_draw(_result: Result) -> dict[str, str]:
    """Raise the error of a plot that can't be drawn."""
    raise RuntimeError("no such font")


def test_publishing_twice_changes_nothing(job: Job, good: Result, home: Path) -> None:
    """Publishing a bundle again changes no file."""
    before = read_files(home / "models")
    store = FolderStore(home / "models")
    version = good.versions[0]
    uri = bundles.publish(store, job.scratch / version.name, version, job.plan, lambda _uri: None)
    assert (version.bundle, before) == (uri, read_files(home / "models"))


def test_published_versions_and_registered_models_are_pinned(good: Result, home: Path) -> None:
    """Bundles and registered models pin versions; of a store that can't be listed, MLflow is believed."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.create_experiment("pins")

    def track(version: int, **tags: str) -> str:
        data = {"data_path": good.table_uri, "data_version": str(version), "table": "small"}
        values = {f"harness.{name}": value for name, value in {**data, **tags}.items()}
        return str(client.create_run(experiment, tags=values).info.run_id)

    elsewhere = "abfss://models@account.dfs.core.windows.net/small/v1-x"
    registered = track(0)
    track(1, bundle=elsewhere)
    track(1, bundle=f"{home}/models/small/v1-removed")
    track(2)
    client.create_run(experiment)
    client.create_registered_model("credit")
    client.create_model_version("credit", f"runs:/{registered}/models/classifier", registered)
    client.create_model_version("credit", "s3://somewhere/else")
    published = [(each.version, "bundle", each.bundle) for each in good.versions]
    others = [(0, "registered model", "models:/credit/1"), (1, "bundle", elsewhere)]
    found = list_pins([FolderStore(home / "models")], client, "pins", good.table_uri)
    assert sorted([*published, *others], key=str) == sorted(
        ((pin.version, pin.kind, pin.uri) for pin in found), key=str
    )
    assert {True} == {pin.is_of_built_table for pin in found if pin.uri in {uri for *_, uri in published}}
    assert [] == list_pins([FolderStore(home / "models")], client, "pins", "/another/table")


def test_an_interrupted_copy_is_completed(job: Job, good: Result, tmp_path: Path) -> None:
    """An interrupted copy is completed; its manifest is written after it has been verified."""
    version = good.versions[0]
    store = FolderStore(tmp_path)
    uri = Path(bundles.publish(store, job.scratch / version.name, version, job.plan, lambda _uri: None))
    (uri / "manifest.json").unlink()
    (uri / "classifier" / "MLmodel").write_text("half")
    seen = []
    bundles.publish(
        store,
        job.scratch / version.name,
        version,
        job.plan,
        lambda _uri: seen.append(store.list_bundles()),
    )
    assert [[]] == seen, "the copy is a bundle before it is verified"
    manifest = json.loads((uri / "manifest.json").read_text())
    assert manifest["files"] == {
        path.relative_to(uri).as_posix(): sha256_of(path)
        for path in uri.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def test_a_copy_with_another_model_is_withdrawn(good: Result, spark: SparkSession, tmp_path: Path) -> None:
    """A copy that predicts differently from the trained model is removed, and never becomes a bundle."""
    job = make_job(spark, make_plan(ONE_VERSION, write_table(tmp_path), tmp_path))
    verify = bundle.verify

    def swap(uri: str, *arguments: Any) -> None:
        """Replace the classifier in a copy by one trained on fewer rows, then verify it."""
        other = Path(good.versions[0].bundle or "") / "classifier" / "sparkml"
        for path in (path for path in other.rglob("*") if path.is_file()):
            target = Path(uri) / "classifier" / "sparkml" / path.relative_to(other)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        assert not (Path(uri) / "manifest.json").exists()
        verify(uri, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "verify", swap)
        result = run(job)
    assert result.failure is not None
    assert "copied classifier predicts" in result.failure.message
    assert (ExitCode.JOB_FAILED, []) == (result.exit_code, list((tmp_path / "models" / "readings").iterdir()))


def test_a_failed_bound_publishes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """If publishing requires a pass, one failed bound keeps all bundles from being published."""
    versions = ONE_VERSION.model_dump(exclude_none=True)["versions"]
    versions[0]["expect"]["rows"] = {"equals": 301}
    result = run_changed(spark, tmp_path, versions=versions)
    assert (Verdict.FAIL, ExitCode.BOUND_FAILED) == (result.verdict, result.exit_code)
    assert not (tmp_path / "models").exists()


def test_held_out_rows_without_positives_are_not_proven(spark: SparkSession, tmp_path: Path) -> None:
    """A run whose held-out rows have no positives is not proven."""

    def keep_trained_positives(row: Row) -> Row:
        return row | {"outcome": "bad" if row["id"] in trained else "good"}

    job = make_job(spark, make_plan(SMALL, write_table(tmp_path / "all"), tmp_path / "all"))
    from harness.job.prepare import HELD_OUT, format_key, hash_to_unit_interval
    from harness.job.source_reader import read_source

    held_out = hash_to_unit_interval(format_key(SMALL), "split", SMALL.seed) < SMALL.pipeline.split.test
    assert job.plan.source is not None
    sides = read_source(spark, job.plan.source, job.plan.scenario.table).withColumn(HELD_OUT, held_out)
    trained = {row["id"] for row in sides.where(f"not {HELD_OUT} and heat > 20").collect()}
    result = run_job(spark, ONE_VERSION, write_table(tmp_path, keep_trained_positives), tmp_path)
    assert (Verdict.NOT_PROVEN, ExitCode.NOT_PROVEN) == (result.verdict, result.exit_code)
    assert result.versions[0].metrics["test_roc_auc"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": {"key": ["batch"]}}, "key 'batch' is not unique in version 'first'"),
        (
            {"pipeline": {"label": {"positive": ["awful"]}}},
            "label 'outcome' has only one class in version 'first'",
        ),
        (
            {"pipeline": {"features": ["heat", "outcome"]}},
            "feature 'outcome' is of type string, not a number",
        ),
        ({"pipeline": {"derive": {"x": "heet + 1"}}}, "'x' can't be derived"),
        ({"pipeline": {"filter": "heat >"}}, "the filter can't be applied"),
    ],
)
def test_a_mistake_leaves_nothing_behind(
    spark: SparkSession, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """An invalid scenario or table is reported in one message, and leaves no table, run or bundle."""
    result = run_changed(spark, tmp_path, **changes)
    assert result.failure is not None
    assert (ExitCode.WRONG_INPUT, ()) == (result.exit_code, result.versions)
    assert message in result.failure.message
    assert not list((tmp_path / "lake").rglob("*.parquet"))
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("harness")
    assert experiment is not None
    assert not client.search_runs([experiment.experiment_id])


def test_a_condition_without_matches_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A step that creates no version is reported at its location in the file."""
    versions = SMALL.model_dump(exclude_none=True)["versions"]
    versions[1]["append"]["where"] = "batch = 99"
    result = run_changed(spark, tmp_path, versions=versions)
    assert result.failure is not None
    assert "version 'second'" in result.failure.message
    assert ("versions", 1) == result.failure.problems[0].location[:2]


def test_an_unwritable_model_store_fails_the_run(spark: SparkSession, tmp_path: Path) -> None:
    """If the model store can't be written, versions stay, runs are marked failed, nothing is published."""
    (tmp_path / "models").write_text("a file instead of the folder")
    result = run_job(spark, ONE_VERSION, write_table(tmp_path), tmp_path)
    assert (ExitCode.PREREQUISITE_MISSING, ["failed"]) == (
        result.exit_code,
        [version.status for version in result.versions],
    )
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    for version in result.versions:
        assert version.bundle is None
        assert version.run_id is not None
        assert client.get_run(version.run_id).info.status == "FAILED"


def test_an_unwritable_artifact_folder_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """If MLflow's artifacts can't be written, the message names the folder and the exit code is 3."""
    (tmp_path / "artifacts").write_text("a file instead of the folder")
    result = run_job(spark, ONE_VERSION, write_table(tmp_path), tmp_path)
    assert result.failure is not None
    assert ExitCode.PREREQUISITE_MISSING == result.exit_code
    assert str(tmp_path / "artifacts") in result.failure.message


def test_a_store_that_is_deleted_during_the_run_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """If MLflow's store is deleted after a run has opened it, the message names it; the exit code is 3."""
    job = make_job(spark, make_plan(ONE_VERSION, write_table(tmp_path), tmp_path))
    job.tracker.result()
    (tmp_path / "mlflow.db").unlink()
    result = run(job)
    assert result.failure is not None
    assert ExitCode.PREREQUISITE_MISSING == result.exit_code
    assert f"MLflow's store {tmp_path}/mlflow.db was deleted during the run." == result.failure.message


def test_an_error_while_publishing_withdraws_every_bundle(spark: SparkSession, tmp_path: Path) -> None:
    """After an unexpected error in the second copy, the first copy is withdrawn and the exit code is 5."""
    verify = bundle.verify

    def break_second(uri: str, *arguments: Any) -> None:
        verify(uri, *arguments)
        if "/v1-" in uri:
            raise RuntimeError("an unexpected error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "verify", break_second)
        result = run_changed(spark, tmp_path)
    assert result.failure is not None
    assert (ExitCode.JOB_FAILED, [None, None]) == (
        result.exit_code,
        [each.bundle for each in result.versions],
    )
    assert "an unexpected error" in result.failure.message
    assert [] == list((tmp_path / "models" / "readings").iterdir())


def test_a_malformed_row_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    """A malformed CSV row is reported as a mistake of the source, and nothing is left behind."""
    source = write_table(tmp_path)
    source.write_text(source.read_text() + "300,2\n")
    result = run_job(spark, SMALL, source, tmp_path)
    assert result.failure is not None
    assert ExitCode.WRONG_INPUT == result.exit_code
    assert f"can't read {source} as csv" in result.failure.message
    assert not list((tmp_path / "lake").rglob("*.parquet"))
