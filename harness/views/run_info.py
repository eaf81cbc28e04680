"""Facts about a run: its inputs, locations and software."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.loading.sources import list_synthetic_rows
from harness.plan import Plan
from harness.results import Result
from harness.scenario.matrix import describe_parameters
from harness.storage.uris import remove_password
from harness.views import formatting


@dataclass(frozen=True)
class Fact:
    """One named fact about a run."""

    name: str
    value: str
    code: bool = False
    """Whether the value is an address or a digest, which is copied rather than read."""


def list_facts(plan: Plan, result: Result) -> tuple[Fact, ...]:
    """Return the run's inputs and locations in reading order, without unknown ones."""
    entries = (
        Fact("Run", result.run_id, code=True),
        Fact("Target", result.target),
        Fact("Started", f"{result.started:%Y-%m-%d %H:%M:%S %Z}"),
        Fact("Duration", formatting.format_seconds(result.duration_s)),
        Fact("Scenario file", plan.scenario_file, code=True),
        Fact("Scenario SHA-256", plan.scenario_sha256, code=True),
        Fact("Custom pipeline", plan.scenario.pipeline.use or "", code=True),
        Fact("Custom pipeline SHA-256", plan.code_sha256 or "", code=True),
        Fact("Seed", str(plan.scenario.seed)),
        Fact("Parameters", remove_password(describe_parameters(plan.parameters))),
        *_list_sources(plan),
        Fact(_label_table(plan), remove_password(result.table_uri), code=True),
        *(Fact(f"Read: {name}", text) for name, text in list_reads(plan, result)),
        Fact("Model store", remove_password(plan.environment.model_store), code=True),
        Fact("MLflow", remove_password(plan.environment.tracking_uri), code=True),
        Fact("MLflow experiment", plan.environment.experiment),
        Fact("MLflow parent run", result.mlflow_run_id or "", code=True),
        Fact("Harness", plan.harness_version),
    )
    return tuple(fact for fact in entries if fact.value)


def list_reads(plan: Plan, result: Result) -> Iterator[tuple[str, str]]:
    """Yield each version of an existing table that was read by a time, with the version that this is."""
    steps = {version.name: version.read for version in plan.scenario.versions}
    for version in result.versions:
        read = steps.get(version.name)
        if read is None or read.timestamp is None or version.commit is None or version.version is None:
            continue
        # Whether a time before the run is after the newest commit is not recorded.
        is_newest = read.timestamp > result.started
        yield version.name, read.explain(version.version, version.commit.time, is_newest=is_newest)


def _list_sources(plan: Plan) -> Iterator[Fact]:
    """Yield the source files, named by path if there are several, and the synthetic rows."""
    for path, source in plan.sources.items():
        name = f"Source {path}" if len(plan.sources) > 1 else "Source"
        yield Fact(name, remove_password(source.uri), code=True)
        yield Fact(f"{name} SHA-256", source.sha256 or "", code=True)
    for rows in list_synthetic_rows(plan.scenario):
        years = f"{rows.first_year} to {rows.last_year}"
        yield Fact("Synthetic rows", f"{rows.rows:,} {rows.kind}, {years}, seed {rows.seed}")


def _label_table(plan: Plan) -> str:
    """Return the label of the table, which distinguishes an existing table from one that the run built."""
    return "Delta table" if plan.existing_table is None else "Existing Delta table (read-only)"


def list_missing_versions(plan: Plan, result: Result) -> tuple[str, ...]:
    """Return the scenario's versions that the job has not reached."""
    reached = {version.name for version in result.versions}
    return tuple(version.name for version in plan.scenario.versions if version.name not in reached)
