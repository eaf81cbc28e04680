"""The runs that bounds compare with: they must have passed, be comparable, and be unedited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import get_args

from harness.bounds.comparability import Difference, list_differences
from harness.bounds.quantities import measure_quantity, rests_on_weights
from harness.bounds.specs import list_bound_specs
from harness.errors import PrerequisiteError, Problem, ScenarioError, did_you_mean
from harness.metrics import EXPLANATION_METRICS, METRICS
from harness.plan import BaselineRun, BaselineVersion
from harness.result_digest import DigestError, require_digest
from harness.result_formats import UnknownFormatError
from harness.results import MeasuredValue, Result, RunInputs, Verdict, VersionResult
from harness.runs import LATEST, RESULT, RunFolder, list_runs, list_runs_of
from harness.scenario.bound_spec import BoundSpec, Reference
from harness.scenario.expectations import Aspect
from harness.scenario.model import Scenario
from harness.storage.uris import describe_password, find_local_path
from harness.stored_json import parse_json

_MAY_DIFFER: tuple[str, ...] = get_args(Aspect)


@dataclass(frozen=True)
class Baselines:
    """The runs that bounds compare with, by their name in the scenario."""

    numbers: dict[str, dict[str, dict[str, MeasuredValue]]] = field(default_factory=dict)
    """By version, the numbers with which bounds compare, and the counts of rows that these depend on."""
    runs: dict[str, BaselineRun] = field(default_factory=dict)
    """What the report shows about them."""


@dataclass(frozen=True)
class _StoredRun:
    """A run whose result is intact and passed."""

    result: Result
    inputs: RunInputs
    digest: str


class _NoBaselineError(Exception):
    """A missing baseline, with a message for the scenario's author and the key that has the mistake."""

    def __init__(self, message: str, key: str = "from") -> None:
        super().__init__(message)
        self.key = key


def read_baselines(scenario: Scenario, folder: Path, runs: Path) -> Baselines:
    """Return the runs with which bounds compare.

    Args:
        scenario: The scenario that sets the bounds.
        folder: The scenario's folder, to which paths are relative.
        runs: The folder of all runs.

    Raises:
        ScenarioError: A run is missing, can't be read, was edited, didn't pass or isn't comparable, or has no
            such version; with a problem for each bound.
    """
    # Each run is read once, however many bounds compare with it.
    read = cache(partial(_read_run, folder=folder, runs=runs, scenario=scenario.name))
    baselines = Baselines()
    problems: dict[Problem, None] = {}
    for spec in list_bound_specs(scenario):
        reference = spec.reference
        if reference is None or reference.run is None:
            continue
        try:
            stored = read(reference.run)
            differences = _require_comparable(scenario, stored, reference, reference.run)
            version = _require_version(stored.result, reference.version, reference.run)
        except _NoBaselineError as error:
            problems[Problem(str(error), (*spec.location.path[:-1], error.key))] = None
        else:
            numbers = baselines.numbers.setdefault(reference.run, {}).setdefault(version.name, {})
            numbers.update(_collect_numbers(spec, version))
            known = baselines.runs.get(reference.run)
            baselines.runs[reference.run] = _describe_run(stored, version, differences, known)
    if problems:
        raise ScenarioError(tuple(problems))
    return baselines


def _describe_run(
    stored: _StoredRun, version: VersionResult, differences: Iterable[Difference], known: BaselineRun | None
) -> BaselineRun:
    """Describe a run for the report, with one more version than known so far."""
    described = BaselineVersion(version=version.version, fingerprint=version.fingerprint)
    return BaselineRun(
        run_id=stored.result.run_id,
        started=stored.result.started,
        target=stored.result.target,
        harness_version=stored.inputs.harness_version,
        code_sha256=stored.inputs.code_sha256,
        digest=stored.digest,
        differences=tuple(each.text for each in differences),
        versions={**(known.versions if known else {}), version.name: described},
    )


def _collect_numbers(spec: BoundSpec, version: VersionResult) -> dict[str, MeasuredValue]:
    """Return a bounded number and the counts that it depends on, by name."""
    numbers = {spec.metric: measure_quantity(spec.quantity, version)}
    definition = METRICS.get(spec.metric)
    if definition is not None and definition.classes is not None:
        counts = (definition.classes.rows, definition.classes.positives)
        numbers |= {name: version.metrics.get(name) for name in counts}
    if rests_on_weights(spec.quantity):
        numbers |= {name: version.metrics.get(name) for name in EXPLANATION_METRICS}
    return numbers


def _require_comparable(
    scenario: Scenario, stored: _StoredRun, reference: Reference, run: str
) -> tuple[Difference, ...]:
    """Return the differences that the bound allows.

    Raises:
        _NoBaselineError: There are others; the message has each of them.
    """
    differences = list_differences(scenario, stored.result, stored.inputs)
    refused = [each for each in differences if each.aspect not in reference.may_differ]
    if not refused:
        return differences
    message = f"the run {run} isn't comparable: {'; '.join(each.text for each in refused)}."
    aspects = [*reference.may_differ, *dict.fromkeys(each.aspect for each in refused)]
    remedy = "Name a run of the scenario as it is now"
    if set(aspects) <= set(_MAY_DIFFER):
        remedy += f", or add 'may_differ: [{', '.join(aspects)}]' to compare anyway"
    raise _NoBaselineError(f"{message} {remedy}.")


def _require_version(result: Result, name: str, run: str) -> VersionResult:
    versions = {version.name: version for version in result.versions}
    if name not in versions:
        hint = did_you_mean(name, versions) or f" It has {', '.join(versions) or 'none'}."
        raise _NoBaselineError(f"the run {run} has no version '{name}'.{hint}", "version")
    # A run also passes if a bound fails as expected, but such numbers are not worth comparing with.
    failed = [bound for bound in versions[name].bounds if bound.verdict is not Verdict.PASS]
    if failed:
        broken = f"{failed[0].metric} {failed[0].text}"
        message = (
            f"'{name}' of the run {run} can't be a baseline: its bound '{broken}' failed there, as expected."
        )
        raise _NoBaselineError(f"{message} Name another version.", "version")
    return versions[name]


def _read_run(source: str, folder: Path, runs: Path, scenario: str) -> _StoredRun:
    """Read a run that passed, and whose result is intact."""
    file = _find_file(source, folder, runs, scenario)
    try:
        text = file.read_text(encoding="utf-8")
        result = Result.from_json(text)
        digest = require_digest(parse_json(text))
    except OSError as error:
        raise _NoBaselineError(f"can't read the run {source}: {file}: {error.strerror}.") from error
    except UnknownFormatError as error:
        raise _NoBaselineError(f"can't read the run {source}: {file}: {error} {error.remedy}") from error
    except DigestError as error:
        remedy = f"Run the scenario again, and name the new run{_suggest_passing(runs, scenario, source)}."
        raise _NoBaselineError(f"the run {source} {error}. {remedy}") from error
    except ValueError as error:
        raise _NoBaselineError(f"{file} is not the result of a run of the harness.") from error
    if result.failure is not None or result.verdict is not Verdict.PASS or result.inputs is None:
        end = f"ended early ({result.failure.kind})" if result.failure else f"ended with '{result.verdict}'"
        remedy = f"Name a run that passed{_suggest_passing(runs, scenario, source)}."
        raise _NoBaselineError(f"the run {source} {end}, so it can't be a baseline. {remedy}")
    return _StoredRun(result, result.inputs, digest)


def _suggest_passing(runs: Path, scenario: str, source: str) -> str:
    """Return the newest run of a scenario that passed, for the end of a sentence; empty if there is none."""
    for run in list_runs_of(runs, scenario):
        if run.path.name == source:
            continue
        try:
            result = run.read_result()
        except PrerequisiteError:
            continue
        is_current = result.inputs is not None and result.scenario == scenario
        if is_current and result.failure is None and result.verdict is Verdict.PASS:
            return f", such as {run.path.name}"
    return ""


def _find_file(source: str, folder: Path, runs: Path, scenario: str) -> Path:
    """Return the result file of a stored run, or the file at a path."""
    if _is_latest(source, folder):
        raise _NoBaselineError(
            f"'{source}' can't be a baseline: it moves with every run, so a small loss in each would go "
            f"unnoticed. Name a run by its ID{_suggest_passing(runs, scenario, source)}, or a copy of its "
            f"{RESULT}."
        )
    if Path(source).name == source and (runs / source).is_dir():
        run = RunFolder(runs / source)
        if not run.has_result:
            raise _NoBaselineError(
                f"the run {source} {run.describe_missing_result()}, so it can't be a baseline."
            )
        return run.path / RESULT
    try:
        file = find_local_path(source, folder)
        if file is not None and file.is_file():
            return file
        is_folder = file is not None and file.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise _NoBaselineError(f"can't look for the run {source!r}: {error}.") from error
    if file is None:
        location = "its URI" if describe_password(source) else source
        raise _NoBaselineError(f"a baseline must be a file on this machine: {location} isn't one.")
    if is_folder:
        raise _NoBaselineError(f"{source} is a folder; name the {RESULT} in it.")
    known = [run.path.name for run in list_runs(runs)]
    near = [str(Path(source).parent / each.name) for each in sorted(file.parent.glob("*.json"))]
    raise _NoBaselineError(
        f"there is no run '{source}' in {runs}, and no file {file}.{did_you_mean(source, [*known, *near])}"
    )


def _is_latest(source: str, folder: Path) -> bool:
    """Return whether a run is named by the link to the newest one."""
    if source == LATEST:
        return True
    if Path(source).parent.name != LATEST:
        return False
    try:
        file = find_local_path(source, folder)
    except (OSError, ValueError, RuntimeError):
        return False  # Reported when the file is searched for.
    return file is not None and file.parent.name != LATEST
