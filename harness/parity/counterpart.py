"""The local run that a run on the cloud is held against: the newest that was made from the same things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import NotThereError
from harness.loading.loader import FOLDER
from harness.loading.table_override import TABLE_URI
from harness.parity.compare import CLOUD, Parity, Tolerances, compare, not_compared
from harness.plan import Plan, SourceData
from harness.results import Result, short_fingerprint
from harness.runs import RunFolder, list_runs
from harness.scenario.matrix import words_of
from harness.storage.paths import without_password


@dataclass(frozen=True)
class LocalRun:
    """A local run to compare with, or why there is none."""

    result: Result | None
    reason: str = ""


def compare_with_local(
    runs: Path, plan: Plan, result: Result, tolerances: Tolerances | None = None
) -> Parity:
    """Hold a run on the cloud against the newest local run of the same wheel, scenario and rows.

    Args:
        runs: The folder of all runs.
        plan: Of the run on the cloud.
        result: Of the same run; the answer's ``b``.
        tolerances: Those between the two targets where it is ``None``.
    """
    local = newest_local_run(runs, plan)
    if local.result is None:
        return not_compared(result, local.reason)
    return compare(local.result, result, tolerances)


def newest_local_run(runs: Path, plan: Plan) -> LocalRun:
    """The newest local run that a run with this plan can be compared with.

    It was made by the same wheel, from the same scenario file's content with the same parameters, and from
    the same rows or the same table, and it came to its end. Where there is none, the reason tells how the
    newest run of the scenario differs.

    Args:
        runs: The folder of all runs.
        plan: Of the run on the cloud.
    """
    reason = ""
    for folder, local in _local_runs(runs, plan.scenario.name):
        result = _read_result(folder)
        differs = (*_other_inputs(local, plan), *_unfinished(folder, result))
        if not differs:
            return LocalRun(result)
        newest = f"The newest local run of {local.scenario.name}, {local.run_id},"
        reason = reason or f"{newest} {'; it '.join(differs)}."
    reason = reason or f"There is no local run of {plan.scenario.name} in {runs}."
    return LocalRun(None, f"{reason} 'make validate NAME={_name(plan)}' runs both.")


def _local_runs(runs: Path, scenario: str) -> Iterator[tuple[RunFolder, Plan]]:
    """The scenario's runs on this machine, newest first; what another version has planned is none."""
    for folder in reversed(list_runs(runs)):
        try:
            plan = folder.read_plan()
        except NotThereError:
            continue
        if plan.environment.target != CLOUD and plan.scenario.name == scenario:
            yield folder, plan


def _read_result(folder: RunFolder) -> Result | None:
    try:
        return folder.read_result()
    except NotThereError:
        return None


def _other_inputs(local: Plan, plan: Plan) -> Iterator[str]:
    """What a run was made from that another was not, each as the rest of a sentence about it."""
    if local.harness_version != plan.harness_version:
        yield f"was made by another wheel: {local.harness_version}, not {plan.harness_version}"
    if local.scenario_sha256 != plan.scenario_sha256:
        yield "is of another scenario content: " + _digests(local.scenario_sha256, plan.scenario_sha256)
    if local.code_sha256 != plan.code_sha256:
        yield "used other Python code: " + _digests(local.code_sha256, plan.code_sha256)
    if _parameters(local) != _parameters(plan):
        yield f"has other parameters: {_parameters(local)}, not {_parameters(plan)}"
    if local.existing_table != plan.existing_table:
        yield f"was of another table: {_table(local)}, not {_table(plan)}"
    for name in plan.sources:
        if name in local.sources:
            yield from _other_source(name, local.sources[name], plan.sources[name])


def _other_source(name: str, local: SourceData, source: SourceData) -> Iterator[str]:
    if local.sha256 != source.sha256:
        yield f"had other rows in {name}: " + _digests(local.sha256, source.sha256)
    elif source.sha256 is None and _origin(local) != _origin(source):
        # Nothing tells what is in a folder; the same one is taken at its word, and fingerprints decide.
        yield f"had other rows in {name}: {_origin(local)}, not {_origin(source)}"
    if (local.format, local.options) != (source.format, source.options):
        yield f"read {name} in another way: {_reading(local)}, not {_reading(source)}"


def _unfinished(folder: RunFolder, result: Result | None) -> Iterator[str]:
    if result is None:
        yield "is still at work" if folder.under_way else "has no result that can be read"
    elif result.failure is not None:
        yield f"ended early ({result.failure.kind})"


def _parameters(plan: Plan) -> str:
    """Those of the plan without the table's place, which is compared as such."""
    values = {name: value for name, value in plan.parameters.items() if name != TABLE_URI}
    return words_of(values) or "none"


def _table(plan: Plan) -> str:
    return without_password(plan.existing_table) if plan.existing_table is not None else "one of its own"


def _origin(source: SourceData) -> str:
    return without_password(source.copied_from or source.uri)


def _reading(source: SourceData) -> str:
    options = ", ".join(f"{name}={value!r}" for name, value in sorted(source.options.items()))
    return f"{source.format} with {options}" if options else source.format


def _digests(local: str | None, cloud: str | None) -> str:
    first, second = (short_fingerprint(each) if each else "unknown" for each in (local, cloud))
    return f"{first}, not {second}"


def _name(plan: Plan) -> str:
    """As the scenario is named on the command line."""
    file = Path(plan.scenario_file)
    return file.stem if file == FOLDER / f"{file.stem}.yaml" else plan.scenario_file
