"""The same job in Compose and embedded: the same numbers, complete models, and no exposed secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession
from ruamel.yaml import YAML

from harness.parity.compare import compare
from harness.results import Result, Verdict
from harness.runs import read_result
from harness.scenario.model import Scenario
from harness.storage.blobs import Blobs
from harness.storage.uris import StorageUri
from harness.targets.compose.compose_target import MODELS, Compose
from tests.compose.conftest import RunningStack
from tests.embedded.runner import LOANS, change_scenario, keep_last_version, load_with_fewer_fits, run_job

pytestmark = [pytest.mark.spark, pytest.mark.compose]

PARTITIONS = 3


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Return all loans, trained on in three partitions, with fewer fits than the shipped scenario."""
    return keep_last_version(
        change_scenario(load_with_fewer_fits(), {"pipeline": {"model": {"partitions": PARTITIONS}}})
    )


@pytest.fixture(scope="module")
def file(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "loans.yaml"
    YAML(typ="safe").dump(scenario.model_dump(mode="json", by_alias=True, exclude_none=True), path)
    return path


@pytest.fixture(scope="module")
def embedded(spark: SparkSession, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run_job(spark, scenario, LOANS, tmp_path_factory.mktemp("embedded"))


def run(stack: RunningStack, file: Path) -> Result:
    done = stack.run("scenario", str(file))
    assert 0 == done.returncode, done.stdout + done.stderr
    return read_result(stack.home / "runs", "latest")


@pytest.fixture(scope="module")
def three_workers(stack: RunningStack, file: Path) -> Result:
    assert 0 == stack.run("up", "--workers", "3").returncode
    return run(stack, file)


def test_the_numbers_are_those_of_the_embedded_target(embedded: Result, three_workers: Result) -> None:
    """Compose gives the numbers of the embedded target, to a relative 1e-6, on three workers."""
    parity = compare(embedded, three_workers)
    assert Verdict.PASS == parity.verdict, [each for each in parity.differences if each.difference]


def test_an_unchanged_run_is_not_repeated(stack: RunningStack, file: Path, three_workers: Result) -> None:
    """The command finds the runs in MLflow and the bundles in Azurite, and judges the numbers again."""
    again = run(stack, file)
    assert three_workers.run_id == again.reused_from
    assert [each.bundle for each in three_workers.versions] == [each.bundle for each in again.versions]


def test_several_executors_are_used(three_workers: Result) -> None:
    """Three partitions are trained on by at least two executors."""
    assert len(three_workers.executors) >= 2


def test_the_bundle_is_complete(stack: RunningStack, three_workers: Result) -> None:
    """Every file of the manifest is in the second account, including parts written by executors."""
    [version] = three_workers.versions
    assert version.bundle is not None
    root = StorageUri.parse(MODELS)
    blobs = Blobs(root, Compose(stack.settings)._accounts(inside=False)[1])
    path = version.bundle.removeprefix(f"{MODELS}/")
    manifest = json.loads(blobs.read(f"{path}/manifest.json") or "{}")
    assert (version.fingerprint, version.run_id) == (manifest["fingerprint"], manifest["mlflow_run_id"])
    assert all(blobs.exists(f"{path}/{name}") for name in manifest["files"])
    assert any("/data/part-" in name for name in manifest["files"])


def test_a_run_is_published_afterwards(stack: RunningStack, three_workers: Result) -> None:
    """A bundle that was lost is copied from MLflow to the second account again, and read back."""
    [version] = three_workers.versions
    root = StorageUri.parse(MODELS)
    blobs = Blobs(root, Compose(stack.settings)._accounts(inside=False)[1])
    path = str(version.bundle).removeprefix(f"{MODELS}/")
    before = blobs.read(f"{path}/manifest.json")
    blobs.remove_all(path)
    done = stack.run("publish", three_workers.run_id, "--to", "models")
    assert (0, f"bundle  {version.name}  {version.bundle}") == (done.returncode, done.stdout.strip())
    assert before == blobs.read(f"{path}/manifest.json")


def test_mlflow_keeps_version_zero_and_the_models(stack: RunningStack, three_workers: Result) -> None:
    """The server has the dataset with version 0, and serves models and plots from Azurite."""
    [version] = three_workers.versions
    client = MlflowClient(f"http://127.0.0.1:{stack.variables['HARNESS_MLFLOW_PORT']}")
    run = client.get_run(version.run_id or "")
    assert run.inputs is not None
    [used] = run.inputs.dataset_inputs
    assert "0" == json.loads(used.dataset.source)["delta_table_version"]
    listed = {each.path for each in client.list_artifacts(run.info.run_id, "models")}
    assert {"models/featurizer", "models/classifier", "models/explainer"} == listed
    drawn = {each.path for each in client.list_artifacts(three_workers.mlflow_run_id or "", "pictures")}
    assert {"pictures/metrics", "pictures/explanations", "pictures/curves"} <= drawn


def test_no_secret_is_exposed(stack: RunningStack, three_workers: Result) -> None:
    """No secret appears in a run's files, in the engine's description of containers, or in logs."""
    folder = stack.home / "runs" / three_workers.run_id
    seen = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for container in stack.containers():
        seen += json.dumps(container.attrs).encode() + container.logs()
    for name in ("lake_key", "models_key", "postgres_password", "tls_key"):
        value = stack.stack.files.secret(name).read_bytes().strip()
        assert value not in seen, name
