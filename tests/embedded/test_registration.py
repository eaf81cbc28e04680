"""Registration of the model of a run that has passed: its version, and its alias as the last step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model
from pyspark.sql import SparkSession

from harness.job import main
from harness.job.main import run
from harness.registered_models import roll_back
from harness.results import Result, Verdict, VersionResult
from tests.embedded.faulty_mlflow import FaultyServer
from tests.embedded.runner import TrackedHome, change_scenario, make_job, make_plan
from tests.embedded.small import SMALL, write_table

pytestmark = pytest.mark.spark

NAME = "main.risk.readings"
SCENARIO = change_scenario(SMALL, {"publish": {"model": NAME, "alias": "champion"}})

TOO_STRICT = {"every": {"metrics": {"test_roc_auc": {"min": 0.999}}}}


class Registry(TrackedHome):
    """Runs that register their model in one home, on the session of the tests."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        super().__init__(spark, home)
        self.source = write_table(home / "data")

    def run(self, run_id: str, **changes: Any) -> Result:
        """Run the scenario with changes, and return its result."""
        scenario = change_scenario(SCENARIO, changes)
        return run(make_job(self.spark, make_plan(scenario, self.source, self.home, run_id)))

    @property
    def champion(self) -> ModelVersion:
        """The version that the alias points to."""
        return self.client.get_model_version_by_alias(NAME, "champion")

    @property
    def numbers(self) -> list[int]:
        """Numbers of all versions."""
        return sorted(int(each.version) for each in self.client.search_model_versions(f"name = '{NAME}'"))


@pytest.fixture(scope="module")
def registry(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(spark, tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def first(registry: Registry) -> VersionResult:
    """The last version of a run that has passed and moved the alias."""
    result = registry.run("first")
    assert (None, Verdict.PASS) == (result.failure, result.verdict)
    assert [None, f"models:/{NAME}/1 (champion)"] == [
        each.registered and each.registered.text for each in result.versions
    ]
    return result.versions[-1]


def test_the_last_version_is_registered(registry: Registry, first: VersionResult) -> None:
    """The model of the last trained version gets the alias, with its origin as tags, and MLflow serves it."""
    champion = registry.champion
    assert ("1", first.run_id) == (str(champion.version), champion.run_id)
    manifest = Path(first.bundle or "", "manifest.json").read_bytes()
    assert (
        champion.tags.items()
        >= {
            "harness.data_version": "1",
            "harness.data_fingerprint": first.fingerprint,
            "harness.run_id": "first",
            "harness.bundle": first.bundle,
            "harness.bundle_sha256": hashlib.sha256(manifest).hexdigest(),
        }.items()
    )
    model = mlflow.spark.load_model(f"models:/{NAME}@champion")
    rows = registry.spark.createDataFrame([(25.0, 50.0), (None, 40.0)], "heat double, load double")
    assert all(0 < row["prediction"] < 1 for row in model.transform(rows).collect())


@pytest.mark.parametrize(
    ("run_id", "verdict", "changes"),
    [
        ("failing", Verdict.FAIL, {"publish": {"when": "always"}, **TOO_STRICT}),
        ("unproven", Verdict.NOT_PROVEN, {"proof": {"min_class_rows": 10_000}}),
        ("observed", Verdict.OBSERVED, {"observe": True}),
        ("caught", Verdict.PASS, {**TOO_STRICT, "verdict": "fail"}),
    ],
)
def test_only_a_run_that_passes_registers(
    registry: Registry, first: VersionResult, run_id: str, verdict: Verdict, changes: dict[str, Any]
) -> None:
    """A run that fails, proves nothing, only observes, or passes because a bound fails registers nothing."""
    if run_id == "caught":
        changes = {**changes, "caught_by": ["first.test_roc_auc"]}
    if run_id == "observed":
        versions = [
            {name: value for name, value in each.items() if name != "expect"}
            for each in SMALL.model_dump(exclude_none=True)["versions"]
        ]
        changes = {**changes, "versions": versions}
    result = registry.run(run_id, **changes)
    assert (None, verdict) == (result.failure, result.verdict)
    assert not any(each.registered for each in result.versions)
    assert [1] == registry.numbers
    assert first.run_id == registry.champion.run_id


def test_an_interrupted_run_moves_nothing_and_the_next_one_goes_on(
    registry: Registry, first: VersionResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed before its last step leaves the alias; the next one uses its version."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(main, "point_alias", interrupt)
        killed = registry.run("killed", seed=11)
    assert killed.failure is not None
    assert ([1, 2], first.run_id) == (registry.numbers, registry.champion.run_id)
    again = registry.run("again", seed=11)
    assert (None, "killed") == (again.failure, again.versions[-1].reused_from)
    assert ([1, 2], "2") == (registry.numbers, str(registry.champion.version))
    assert {
        "harness.run_id": "again",
        "harness.before.champion": "1",
    }.items() <= registry.champion.tags.items()


@pytest.mark.usefixtures("first")
def test_what_was_rolled_back_stays_back(registry: Registry) -> None:
    """A run with the model from which the alias was rolled back doesn't move it again, and warns."""
    registry.run("second", seed=12)
    number = registry.champion.version
    roll_back(registry.client, NAME, "champion")
    before = registry.champion.version
    assert before != number
    result = registry.run("third", seed=12)
    assert (None, Verdict.PASS, before) == (result.failure, result.verdict, registry.champion.version)
    assert any(f"rolled back from version {number}" in each for each in result.warnings)
    registered = result.versions[-1].registered
    assert registered is not None
    assert f"models:/{NAME}/{number}" == registered.text


@pytest.mark.usefixtures("first")
def test_a_registered_model_that_differs_fails_the_run(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registered version that predicts other values fails the run, and the alias stays."""
    champion = registry.champion.version
    load = mlflow.spark.load_model
    monkeypatch.setattr(mlflow.spark, "load_model", lambda _uri, **named: load(f"models:/{NAME}/1", **named))
    result = registry.run("other", seed=13)
    assert result.failure is not None
    assert "predicts different values" in result.failure.message
    assert champion == registry.champion.version
    assert not any(each.registered or each.bundle for each in result.versions)


def test_a_server_before_mlflow_3_has_the_same_models(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older server has pipeline and explainer among a run's artifacts, and registers the pipeline."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = FaultyServer(tmp_path / "server")
    server.start()
    server.fault = "before MLflow 3"
    try:
        plan = make_plan(SCENARIO, write_table(tmp_path / "data"), tmp_path)
        environment = plan.environment.model_copy(update={"tracking_uri": server.url, "artifacts": None})
        result = run(make_job(spark, plan.model_copy(update={"environment": environment})))
        assert (None, Verdict.PASS) == (result.failure, result.verdict)
        client, run_id = MlflowClient(server.url), result.versions[-1].run_id or ""
        assert f"runs:/{run_id}/pipeline" == client.get_run(run_id).data.tags["harness.model"]
        assert {"pipeline", "explainer"} <= {each.path for each in client.list_artifacts(run_id)}
        described = Model.load(f"runs:/{run_id}/explainer")
        assert {"harness.depends_on": f"runs:/{run_id}/pipeline"} == described.metadata
        champion = client.get_model_version_by_alias(NAME, "champion")
        assert ("1", run_id) == (str(champion.version), champion.run_id)
    finally:
        server.stop()
