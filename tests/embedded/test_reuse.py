"""Models of earlier runs, which are not trained again, and runs that are only judged again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness.errors import ExitCode
from harness.job.main import run
from harness.plan import Plan
from harness.results import Result
from harness.runs import RunFolder
from tests.command import run_command
from tests.embedded.runner import TrackedHome, change_scenario, make_job, make_plan
from tests.embedded.small import SMALL, write_scenario, write_table

pytestmark = pytest.mark.spark

_LONGER = change_scenario(
    SMALL,
    {"versions": [*SMALL.model_dump(exclude_none=True)["versions"], {"name": "third", "delete": "id < 20"}]},
)
_OF_A_RUN = {"run_id", "reused_from", "bundle", "timings", "commit"}


class Runs(TrackedHome):
    """Runs of small scenarios in one home, on the session of the tests."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        super().__init__(spark, home)
        self.source = write_table(home / "data")

    def run(self, run_id: str, **changes: Any) -> Result:
        """Run the longer scenario, or another one, and return the result of a run that passed."""
        plan: Plan = make_plan(_LONGER, self.source, self.home, run_id).model_copy(update=changes)
        result = run(make_job(self.spark, plan))
        assert result.failure is None
        return result

    def list_trained(self, run_id: str) -> list[str]:
        """Return the names of the versions that a run has trained, by its runs in MLflow."""
        found = self.search(run_id, " and tags.`harness.key` LIKE '%'")
        return sorted(each.data.tags["harness.version_name"] for each in found)


@pytest.fixture(name="runs", scope="module")
def _runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    runs = Runs(spark, tmp_path_factory.mktemp("reuse"))
    runs.run("base", scenario=SMALL)
    return runs


def measured(result: Result) -> list[dict[str, Any]]:
    """Return everything that a run has measured."""
    return [version.model_dump(exclude=_OF_A_RUN) for version in result.versions]


def list_origins(result: Result) -> dict[str, str]:
    """Return the run that trained the model of each version; empty for the run itself."""
    return {version.name: version.reused_from for version in result.versions}


def test_one_more_version_costs_one_training(runs: Runs) -> None:
    """Versions that an earlier run has trained are linked; all numbers are those of a fresh run."""
    longer = runs.run("longer")
    assert {"first": "base", "second": "base", "third": ""} == list_origins(longer)
    assert (["first", "second"], ["third"]) == (runs.list_trained("base"), runs.list_trained("longer"))
    parent = runs.client.get_run(longer.mlflow_run_id or "")
    assert longer.versions[0].run_id == parent.data.tags["harness.reused.first"]
    fresh = runs.run("fresh", fresh=True)
    assert {"first": "", "second": "", "third": ""} == list_origins(fresh)
    assert measured(fresh) == measured(longer)
    bundles = [each.bundle for each in longer.versions]
    assert (
        [None, None]
        != bundles[:2]
        == [f"{runs.home}/models/readings/{_name(each)}" for each in longer.versions[:2]]
    )


def _name(version: Any) -> str:
    return f"v{version.version}-{version.run_id}"


def test_a_bound_trains_nothing_and_a_seed_trains_everything(runs: Runs) -> None:
    """Edited bounds are judged on known models; another seed, feature or library makes others."""
    stricter = change_scenario(SMALL, {"every": {"metrics": {"test_roc_auc": {"min": 0.999}}}})
    judged = runs.run("judged", scenario=stricter)
    assert (True, "fail") == (all(list_origins(judged).values()), judged.verdict)
    assert [None, None] == [each.bundle for each in judged.versions]
    reseeded = runs.run("reseeded", scenario=change_scenario(SMALL, {"seed": 4}))
    assert {"first": "", "second": ""} == list_origins(reseeded)


def test_a_damaged_record_is_not_used(runs: Runs) -> None:
    """After an edited record, edited predictions or a deleted run, a version is trained again."""
    one = change_scenario(SMALL, {"seed": 5})
    first = runs.run("whole", scenario=one)
    before, after = (each.run_id or "" for each in first.versions)
    [record] = (runs.home / "artifacts").rglob(f"{before}/artifacts/training/record.json")
    record.write_text(record.read_text().replace('"rows": 200', '"rows": 201'))
    runs.client.delete_run(after)
    again = runs.run("again", scenario=one)
    assert {"first": "", "second": ""} == list_origins(again)
    before, after = (each.run_id or "" for each in again.versions)
    [predictions] = (runs.home / "artifacts").rglob(f"{before}/artifacts/training/predictions.parquet")
    predictions.write_bytes(predictions.read_bytes()[:-1])
    [model] = (runs.home / "artifacts").rglob(f"{after}/artifacts/models/classifier/MLmodel")
    model.write_text(model.read_text() + "# edited\n")
    unpublished = runs.home / "elsewhere"
    environment = make_plan(one, runs.source, runs.home).environment
    plan = make_plan(one, runs.source, runs.home, "edited").model_copy(
        update={"environment": environment.model_copy(update={"model_store": str(unpublished)})}
    )
    failed = run(make_job(runs.spark, plan))
    assert failed.failure is not None
    assert "were changed after they were trained" in failed.failure.message
    assert {"first": "", "second": "again"} == list_origins(failed)


def test_sensitive_rows_are_not_kept_for_later_runs(runs: Runs) -> None:
    """A record would show the keys of the rows, so versions with sensitive columns are always trained."""
    hidden = change_scenario(SMALL, {"table": {"sensitive": ["id"]}, "publish": {"when": "never"}})
    runs.run("hidden", scenario=hidden)
    assert [] == runs.list_trained("hidden")


@dataclass(frozen=True)
class Commands:
    """Commands in one home, in which a run of the small scenario has passed."""

    folder: Path
    first: Result

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.folder / "home"

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call the command on the embedded target."""
        return call(self.folder, *arguments)


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command in a folder's home."""
    variables = {"HARNESS_HOME": str(folder / "home"), "HARNESS_TARGET": "embedded"}
    return run_command(arguments, {**os.environ, **variables, "PYTHONPROFILEIMPORTTIME": "1"}, 600)


@pytest.fixture(name="commands", scope="module")
def _commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    folder = tmp_path_factory.mktemp("commands")
    done = call(folder, "scenario", write_scenario(folder, SMALL))
    assert ExitCode.PASS == done.returncode, done.stdout + done.stderr
    return Commands(folder, RunFolder((folder / "home" / "runs" / "latest").resolve()).read_result())


def test_an_unchanged_scenario_is_answered_without_spark(commands: Commands) -> None:
    """The command neither imports Spark nor MLflow; an edited bound is judged on the stored numbers."""
    file, first = str(commands.folder / "small.yaml"), commands.first
    answered = commands.call("scenario", file)
    assert (ExitCode.PASS, True) == (answered.returncode, f"since the run {first.run_id}" in answered.stdout)
    imported = {line.rpartition("|")[2].strip() for line in answered.stderr.splitlines()}
    assert {"pyspark", "mlflow", "matplotlib", "pandas"}.isdisjoint(imported)
    stricter = {"every": {"metrics": {"test_roc_auc": {"min": 1}}}}
    write_scenario(commands.folder, change_scenario(SMALL, stricter))
    assert ExitCode.BOUND_FAILED == commands.call("scenario", file).returncode
    judged = json.loads((commands.home / "runs" / "latest" / "result.json").read_text())
    assert (first.run_id, "fail") == (judged["reused_from"], judged["verdict"])


def test_a_version_is_replayed_bit_for_bit(commands: Commands) -> None:
    """From its run in MLflow alone, a version is trained again; the numbers are the same."""
    bundles = sorted((commands.home / "models" / "readings").iterdir())
    run_id = commands.first.versions[1].run_id or ""
    replayed = commands.call("replay", run_id)
    assert ExitCode.PASS == replayed.returncode, replayed.stdout + replayed.stderr
    assert "Version second: all measurements are identical." in replayed.stdout
    assert "Differs from the original run" not in replayed.stdout
    assert bundles == sorted((commands.home / "models" / "readings").iterdir())
    client = MlflowClient(f"sqlite:///{commands.home}/mlflow.db")
    assert {"Default", "harness", "harness-replays"} == {each.name for each in client.search_experiments()}
    shutil.rmtree(commands.first.table_uri)
    refused = commands.call("replay", run_id)
    assert (ExitCode.WRONG_INPUT, True) == (refused.returncode, "doesn't exist" in refused.stderr)
