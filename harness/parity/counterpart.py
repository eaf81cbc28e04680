"""The local counterpart of a cloud run: the newest run with the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import PrerequisiteError
from harness.loading.loader import FOLDER
from harness.loading.table_override import TABLE_URI
from harness.parity.compare import Parity, Tolerances, compare, report_not_compared
from harness.plan import Plan, PlannedParity, SourceData
from harness.results import Result, shorten_fingerprint
from harness.runs import RunFolder, list_runs
from harness.scenario.matrix import describe_parameters
from harness.storage.uris import remove_password


@dataclass(frozen=True)
class LocalRun:
    """A local run to compare with, or the reason why there is none."""

    result: Result | None
    reason: str = ""


def compare_with_local(
    runs: Path,
    plan: Plan,
    result: Result,
    tolerances: Tolerances,
    *,
    gaps: Sequence[str],
    is_local: Callable[[str], bool],
    required: bool,
) -> Parity:
    """Compare a cloud run with the newest local run of the same wheel, scenario and rows.

    Args:
        runs: Folder of all runs.
        plan: Plan of the cloud run.
        result: Result of the cloud run, ``b`` of the comparison.
        tolerances: Tolerances between a local and a cloud run.
        gaps: What a local run can't prove about the cloud run.
        is_local: Whether the runs on a target, by its name, are local.
        required: Whether the cloud run must agree with the local one to pass.
    """
    local = find_local_run(runs, plan, is_local)
    parity = (
        report_not_compared(result, local.reason, tolerances)
        if local.result is None
        else compare(local.result, result, tolerances, gaps=gaps)
    )
    return parity.model_copy(update={"required": required})


def plan_parity(
    runs: Path, plan: Plan, tolerances: Tolerances, *, gaps: Sequence[str], is_local: Callable[[str], bool]
) -> PlannedParity:
    """Return what the job of a cloud run compares its numbers with: the newest local run.

    Args:
        runs: Folder of all runs.
        plan: Plan of the cloud run.
        tolerances: Tolerances between a local and a cloud run.
        gaps: What a local run can't prove about the cloud run.
        is_local: Whether the runs on a target, by its name, are local.
    """
    local = find_local_run(runs, plan, is_local)
    return PlannedParity(
        local=local.result, reason=local.reason, tolerances=tolerances.model_dump(), gaps=tuple(gaps)
    )


def find_local_run(runs: Path, plan: Plan, is_local: Callable[[str], bool]) -> LocalRun:
    """Return the newest local run that a run with this plan can be compared with.

    It has the same wheel, the same content of the scenario file, the same parameters, and the same rows or
    the same table, and it has finished. If there is no such run, the reason says how the scenario's newest
    run differs.

    Args:
        runs: Folder of all runs.
        plan: Plan of the cloud run.
        is_local: Whether the runs on a target, by its name, are local.
    """
    reason = ""
    for folder, local in _list_local_runs(runs, plan.scenario.name, is_local):
        result = _read_result(folder)
        differences = (*_find_other_inputs(local, plan), *_find_missing_end(folder, result))
        if not differences:
            return LocalRun(result)
        newest = f"The newest local run of {local.scenario.name}, {local.run_id},"
        reason = reason or f"{newest} {'; it '.join(differences)}."
    reason = reason or f"There is no local run of {plan.scenario.name} in {runs}."
    # Without a file, no command can run the scenario.
    remedy = f" 'make validate NAME={_name_scenario(plan)}' runs both." if plan.scenario_file else ""
    return LocalRun(None, f"{reason}{remedy}")


def _list_local_runs(
    runs: Path, scenario: str, is_local: Callable[[str], bool]
) -> Iterator[tuple[RunFolder, Plan]]:
    """Yield the scenario's local runs, newest first, without those whose plan can't be read."""
    for folder in reversed(list_runs(runs)):
        try:
            plan = folder.read_plan()
        except PrerequisiteError:
            continue
        if is_local(plan.environment.target) and plan.scenario.name == scenario:
            yield folder, plan


def _read_result(folder: RunFolder) -> Result | None:
    try:
        return folder.read_result()
    except PrerequisiteError:
        return None


def _find_other_inputs(local: Plan, plan: Plan) -> Iterator[str]:
    """Yield how the inputs of a local run differ, each as the rest of a sentence about it."""
    if local.harness_version != plan.harness_version:
        yield f"used another wheel: {local.harness_version}, not {plan.harness_version}"
    if local.scenario_sha256 != plan.scenario_sha256:
        yield "used another content of the scenario: " + _format_digests(
            local.scenario_sha256, plan.scenario_sha256
        )
    if local.code_sha256 != plan.code_sha256:
        yield "used different Python code: " + _format_digests(local.code_sha256, plan.code_sha256)
    if _format_parameters(local) != _format_parameters(plan):
        yield f"used different parameters: {_format_parameters(local)}, not {_format_parameters(plan)}"
    if (local.table_name or local.existing_table) != (plan.table_name or plan.existing_table):
        yield f"used another table: {_describe_table(local)}, not {_describe_table(plan)}"
    for name in plan.sources:
        if name in local.sources:
            yield from _find_other_source(name, local.sources[name], plan.sources[name])


def _find_other_source(name: str, local: SourceData, source: SourceData) -> Iterator[str]:
    if local.sha256 != source.sha256:
        yield f"used different rows from {name}: " + _format_digests(local.sha256, source.sha256)
    elif source.sha256 is None and _describe_origin(local) != _describe_origin(source):
        # A folder has no digest: the same folder is assumed to be unchanged, and fingerprints decide.
        yield f"used different rows from {name}: {_describe_origin(local)}, not {_describe_origin(source)}"
    if (local.format, local.options) != (source.format, source.options):
        yield f"read {name} differently: {_describe_reading(local)}, not {_describe_reading(source)}"


def _find_missing_end(folder: RunFolder, result: Result | None) -> Iterator[str]:
    if result is None:
        yield "has no readable result" if folder.has_result else folder.describe_missing_result()
    elif result.failure is not None:
        yield f"ended early ({result.failure.kind})"


def _format_parameters(plan: Plan) -> str:
    """Format a plan's parameters, without the table's URI, which is compared separately."""
    values = {name: value for name, value in plan.parameters.items() if name != TABLE_URI}
    return describe_parameters(values) or "none"


def _describe_table(plan: Plan) -> str:
    return remove_password(plan.existing_table) if plan.existing_table is not None else "one that it built"


def _describe_origin(source: SourceData) -> str:
    return remove_password(source.copied_from or source.uri)


def _describe_reading(source: SourceData) -> str:
    options = ", ".join(f"{name}={value!r}" for name, value in sorted(source.options.items()))
    return f"{source.format} with {options}" if options else source.format


def _format_digests(local: str | None, cloud: str | None) -> str:
    first, second = (shorten_fingerprint(each) if each else "unknown" for each in (local, cloud))
    return f"{first}, not {second}"


def _name_scenario(plan: Plan) -> str:
    """Return the scenario's name as it is given on the command line."""
    file = Path(plan.scenario_file)
    return file.stem if file == FOLDER / f"{file.stem}.yaml" else plan.scenario_file
