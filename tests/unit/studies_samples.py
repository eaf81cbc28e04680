"""Scenarios and results for tests of studies, with chosen numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.files import write_text
from harness.loading.loader import LoadedScenario, load_scenario
from harness.plan import Environment, Plan, SourceData
from harness.results import FeatureExplanation, Result, Verdict, VersionResult
from harness.reuse import make_keys
from harness.runs import PLAN, RESULT, RunFolder
from harness.scenario.model import Scenario
from harness.views.yaml_text import format_yaml

DATA = SourceData(uri="file:///data/readings.csv", format="csv", sha256="d" * 64)
RUN = "20260301-101500-readings-7f3a"
ENOUGH = {
    **{f"{part}_rows": 1000.0 for part in ("train", "test", "added_test")},
    **{f"{part}_positives": 100.0 for part in ("train", "test", "added_test")},
}


def values(versions: Sequence[Mapping[str, Any]] = ({"name": "one"},), **changes: Any) -> dict[str, Any]:
    """Return the values of a scenario file."""
    return {
        "name": "readings",
        "seed": 3,
        "table": {"name": "readings", "source": "readings.csv", "key": "id"},
        "pipeline": {
            "label": {"column": "outcome", "positive": ["bad"], "negative": ["good"]},
            "features": ["heat", "load"],
        },
        "versions": [{"append": {"where": f"batch = {n}"}, **each} for n, each in enumerate(versions)],
        **changes,
    }


def scenario(versions: Sequence[Mapping[str, Any]] = ({"name": "one"},), **changes: Any) -> Scenario:
    """Return a validated scenario."""
    return Scenario.model_validate(values(versions, **changes))


def with_versions(count: int, **last: Any) -> Scenario:
    """Return a scenario with versions ``v0`` and so on, and expectations of the last one."""
    versions: list[dict[str, Any]] = [{"name": f"v{number}"} for number in range(count)]
    versions[-1]["expect"] = last
    return scenario(versions)


def loaded(
    folder: Path, versions: Sequence[Mapping[str, Any]] = ({"name": "one"},), **changes: Any
) -> LoadedScenario:
    """Write a scenario and its data to a folder, and load it."""
    (folder / "readings.csv").write_text("id,batch,heat,load,outcome\n1,0,20,50,good\n", encoding="utf-8")
    file = folder / "readings.yaml"
    file.write_text(format_yaml(values(versions, **changes)), encoding="utf-8")
    return load_scenario(str(file))


def measured(name: str, *, heat: float | None = None, **metrics: float | None) -> VersionResult:
    """Return a trained version with these metrics, which are proven unless they say otherwise."""
    return VersionResult(
        name=name,
        version=0,
        rows=300,
        fingerprint="f" * 32,
        data_schema={"id": "int"},
        status="trained",
        metrics={**ENOUGH, **({} if heat is None else {"lime_r2_mean": 0.9}), **metrics},
        explanations={"heat": _explained(0.1 if heat is None else heat), "load": _explained(0.05)},
    )


def result(*versions: VersionResult, run_id: str = "20260301-101500-readings-7f3a") -> Result:
    """Return the result of a finished run."""
    return Result(
        run_id=run_id,
        scenario="readings",
        target="embedded",
        verdict=Verdict.PASS,
        started=datetime(2026, 3, 1, 10, 15, tzinfo=UTC),
        duration_s=20.0,
        timings={},
        versions=versions,
        table_uri="/lake/readings",
    )


def _explained(weight: float) -> FeatureExplanation:
    return FeatureExplanation(
        mean=weight, mean_abs=abs(weight), mean_per_sd=weight, mean_abs_per_sd=abs(weight)
    )


def make_plan(**changes: Any) -> Plan:
    """Return a plan of the scenario."""
    values: dict[str, Any] = {
        "run_id": RUN,
        "harness_version": "0.1.0+c1",
        "scenario": scenario(),
        "scenario_file": "scenarios/readings.yaml",
        "scenario_sha256": "0" * 64,
        "environment": Environment(
            target="embedded",
            lake="/lake",
            model_store="/models",
            tracking_uri="sqlite://",
            experiment="harness",
            spark={"spark.sql.shuffle.partitions": "4", "spark.driver.memory": "2g"},
            libraries="1",
        ),
        "sources": {"readings.csv": DATA},
    }
    return Plan(**{**values, **changes})


def store_run(runs: Path, plan: Plan, made: Result | None = None) -> RunFolder:
    """Store a run as its command does."""
    folder = RunFolder(runs / plan.run_id)
    write_text(folder.path / PLAN, plan.model_dump_json(by_alias=True))
    folder.write_keys(make_keys(plan))
    if made is not None:
        write_text(folder.path / RESULT, made.model_copy(update={"run_id": plan.run_id}).to_json())
    return folder
