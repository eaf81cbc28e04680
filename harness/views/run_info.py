"""Facts about a run: its inputs, locations and software."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.bounds.specs import list_bound_specs
from harness.loading.sources import list_synthetic_rows
from harness.plan import BaselineRun, Plan
from harness.results import Result, VersionResult
from harness.scenario.matrix import describe_parameters
from harness.storage.uris import hide_passwords, remove_password
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
        Fact("Scenario file", plan.scenario_file, code=True),  # None if it was given in Python.
        Fact("Scenario SHA-256", plan.scenario_sha256, code=True),
        Fact("Git commit", plan.git_commit or "", code=True),
        Fact("Custom pipeline", plan.scenario.pipeline.use or "", code=True),
        Fact("Custom pipeline SHA-256", plan.code_sha256 or "", code=True),
        Fact("Seed", str(plan.scenario.seed)),
        Fact("Parameters", remove_password(describe_parameters(plan.parameters))),
        *_list_sources(plan),
        Fact(_label_table(plan), remove_password(result.table_uri), code=True),
        *(Fact(f"Read: {name}", text) for name, text in list_reads(plan, result)),
        Fact("Approved table", hide_passwords(result.approval.text) if result.approval else ""),
        Fact("Model store", remove_password(plan.environment.model_store), code=True),
        Fact("MLflow", remove_password(plan.environment.tracking_uri), code=True),
        Fact("MLflow experiment", plan.environment.experiment),
        Fact("MLflow parent run", result.mlflow_run_id or "", code=True),
        Fact("Harness", plan.harness_version),
        Fact("Work", result.key, code=True),
        Fact("Measured by run", result.reused_from),
        *list_known_models(result),
        *(Fact(f"Baseline {name}", text) for name, text in list_baselines(plan, result)),
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


def list_known_models(result: Result) -> Iterator[Fact]:
    """Yield the versions whose model an earlier run has trained, if this run measured anything itself."""
    for version in result.versions:
        if version.reused_from and version.reused_from != result.reused_from:
            yield Fact(f"Model of {version.name}", f"trained by run {version.reused_from}")


def list_baselines(plan: Plan, result: Result) -> Iterator[tuple[str, str]]:
    """Yield each run that bounds compare with: its name in the scenario, and how it differs from this one."""
    versions = {version.name: version for version in result.versions}
    for name, run in plan.baseline_runs.items():
        pairs = {
            (spec.reference.version, spec.version): None
            for spec in list_bound_specs(plan.scenario)
            if spec.reference is not None and spec.reference.run == name
        }
        data = [
            _compare_data(run, other, versions[own])
            for other, own in pairs
            if own in versions and other in run.versions
        ]
        yield name, "; ".join([*_describe_run(run, plan), *run.differences, *data])


def _describe_run(run: BaselineRun, plan: Plan) -> Iterator[str]:
    """Yield which run a baseline is, and how its code and its target differ."""
    yield run.text
    target = plan.environment.target
    if run.target != target:
        yield f"on {run.target}, not {target}"
    is_same = run.harness_version == plan.harness_version
    yield "the same harness" if is_same else f"harness {run.harness_version}, not {plan.harness_version}"
    if run.code_sha256 != plan.code_sha256:
        yield "other Python code in the pipeline"


def _compare_data(run: BaselineRun, name: str, own: VersionResult) -> str:
    """Return how the data of a run's version differs from that of the version that is compared with it."""
    other = run.versions[name]
    data = "the same data" if other.fingerprint == own.fingerprint else "other data"
    text = f"{name}: Delta version {other.version}"
    if (name, other.version) == (own.name, own.version):
        return f"{text}, {data}"
    same_name = "" if name == own.name else f" of {own.name}"
    return f"{text}, not {own.version}{same_name}, {data}"


def _list_sources(plan: Plan) -> Iterator[Fact]:
    """Yield the source files, named by path if there are several, and the synthetic rows."""
    for path, source in plan.sources.items():
        name = f"Source {path}" if len(plan.sources) > 1 else "Source"
        yield Fact(name, remove_password(source.uri), code=True)
        yield Fact(f"{name} SHA-256", source.content or "", code=True)
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
