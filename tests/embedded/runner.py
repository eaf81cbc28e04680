"""A runner of the job in the process of the tests, on their shared session."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import Future
from itertools import chain
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from pyspark.sql import SparkSession

from harness.content_digests import ContentDigests
from harness.events import Event
from harness.job.clock import Clock
from harness.job.main import run
from harness.job.mlflow_tracker import Tracker
from harness.job.running_job import Job
from harness.loading.loader import load_scenario
from harness.plan import Environment, Plan, SourceData
from harness.resolve import describe_source
from harness.results import Result, Verdict
from harness.scenario.model import Scenario

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "scenarios"
LOANS = SCENARIOS / "data" / "lc_loan_2018q1.csv"


def load(name: str) -> Scenario:
    """Load a shipped scenario."""
    return load_scenario(str(SCENARIOS / f"{name}.yaml")).scenario


def change_scenario(scenario: Scenario, changes: Mapping[str, Any]) -> Scenario:
    """Return the scenario with some values changed; mappings are merged."""
    return Scenario.model_validate(_merge(scenario.model_dump(exclude_none=True), changes))


def load_with_fewer_fits() -> Scenario:
    """Return the shipped scenario on its own loans, with fewer fits and explained rows."""
    fewer = {
        "table": {"source": str(LOANS)},
        "pipeline": {"model": {"grid": {"reg_param": [0, 0.01]}}, "explainer": {"rows": 20}},
    }
    return change_scenario(load("three_versions"), fewer)


def keep_last_version(scenario: Scenario) -> Scenario:
    """Return the scenario's last version, built in one step, with all bounds except those on changes."""
    last = scenario.model_dump(exclude_none=True)["versions"][-1]
    for bound in chain.from_iterable(last["expect"]["metrics"].values()):
        bound.pop("change", None)
    # Faults are injected into the rows that a version adds to an earlier one.
    return change_scenario(scenario, {"versions": [last | {"append": {}}], "prove": {"require": []}})


def make_plan(scenario: Scenario, source: Path, home: Path, run_id: str = "run") -> Plan:
    """Return a plan that keeps all of its files below one folder."""
    environment = Environment(
        target="embedded",
        lake=str(home / "lake"),
        model_store=str(home / "models"),
        tracking_uri=f"sqlite:///{home}/mlflow.db",
        experiment="harness",
        artifacts=str(home / "artifacts"),
    )
    data = SourceData(uri=str(source), format=source.suffix.removeprefix("."))
    return Plan(
        run_id=run_id,
        harness_version="0",
        scenario=scenario,
        scenario_file=f"{scenario.name}.yaml",
        scenario_sha256="0" * 64,
        environment=environment,
        champion=scenario.champion,
        sources={scenario.table.source.path: data} if scenario.table.source else {},
    )


def make_job(spark: SparkSession, plan: Plan, events: list[Event] | None = None) -> Job:
    """Return a job that is ready to run, with an existing tracking store."""
    tracker: Future[Tracker] = Future()
    tracker.set_result(Tracker(plan))
    scratch = Path(plan.environment.lake).parent / f"scratch-{plan.run_id}"
    shutil.rmtree(scratch, ignore_errors=True)
    listener = (lambda _event: None) if events is None else events.append
    return Job(plan, Clock(listener), spark, tracker, scratch)


def run_job(spark: SparkSession, scenario: Scenario, source: Path, home: Path, run_id: str = "run") -> Result:
    """Run a scenario and return its result."""
    return run(make_job(spark, make_plan(scenario, source, home, run_id)))


def run_shipped(spark: SparkSession, name: str, home: Path, scenario: Scenario | None = None) -> Result:
    """Run a shipped scenario, or a modification of it, on its own data."""
    loaded = load_scenario(str(SCENARIOS / f"{name}.yaml"))
    digests = ContentDigests(home)
    sources = {path: describe_source(source, digests) for path, source in loaded.sources.items()}
    code = dict(loaded.code.files) if loaded.code else {}
    plan = make_plan(scenario or loaded.scenario, LOANS, home)
    plan = plan.model_copy(update={"sources": sources, "code": code})
    return run(make_job(spark, plan))


def list_failed_bounds(result: Result) -> set[str]:
    """Return the failed bounds by version and metric."""
    return {
        f"{version.name}.{bound.metric}"
        for version in result.versions
        for bound in version.bounds
        if bound.verdict is Verdict.FAIL
    }


def _merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, value in changes.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = _merge(dict(old or {}), value) if both else value
    return merged


class TrackedHome:
    """A home with runs of jobs on the session of the tests, and MLflow's store with what they tracked."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        self.spark = spark
        self.home = home
        self.client = MlflowClient(f"sqlite:///{home}/mlflow.db")

    def search(self, run_id: str, condition: str = "") -> list[Run]:
        """Return the runs that MLflow has of a run, and that meet a further condition."""
        [experiment] = [each for each in self.client.search_experiments() if each.name == "harness"]
        return list(
            self.client.search_runs(
                [experiment.experiment_id], f"tags.`harness.run_id` = '{run_id}'{condition}"
            )
        )
