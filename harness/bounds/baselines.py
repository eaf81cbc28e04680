"""The numbers of other runs with which the bounds of a scenario compare."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from harness.bounds.quantities import measure_quantity, rests_on_weights
from harness.bounds.specs import list_bound_specs
from harness.errors import Problem, ScenarioError, did_you_mean
from harness.metrics import EXPLANATION_METRICS, METRICS
from harness.result_formats import UnknownFormatError
from harness.results import MeasuredValue, Result, VersionResult
from harness.runs import RESULT, list_runs
from harness.scenario.bound_spec import BoundSpec
from harness.scenario.model import Scenario
from harness.storage.uris import find_local_path, has_password

Baselines = dict[str, dict[str, dict[str, MeasuredValue]]]


class _NoBaselineError(Exception):
    """A missing baseline, with a message for the scenario's author and the key that has the mistake."""

    def __init__(self, message: str, key: str = "from") -> None:
        super().__init__(message)
        self.key = key


def read_baselines(scenario: Scenario, folder: Path, runs: Path) -> Baselines:
    """Return the numbers of other runs with which bounds compare.

    Args:
        scenario: The scenario that sets the bounds.
        folder: The scenario's folder, to which paths are relative.
        runs: The folder of all runs.

    Returns:
        For each run, as the scenario names it, its versions and the numbers of each by name: those with which
        bounds compare, and the counts of rows that these depend on.

    Raises:
        ScenarioError: A run or a version is missing or can't be read; with a problem for each bound.
    """
    # Each run is read once, however many bounds compare with it.
    versions_of = cache(partial(_read_versions, folder=folder, runs=runs))
    baselines: Baselines = {}
    problems: dict[Problem, None] = {}
    for spec in list_bound_specs(scenario):
        run = None if spec.reference is None else spec.reference.run
        if spec.reference is None or run is None:
            continue
        try:
            version = _require_version(versions_of(run), spec.reference.version, run)
        except _NoBaselineError as error:
            problems[Problem(str(error), (*spec.location.path[:-1], error.key))] = None
        else:
            baselines.setdefault(run, {}).setdefault(version.name, {}).update(_collect_numbers(spec, version))
    if problems:
        raise ScenarioError(tuple(problems))
    return baselines


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


def _require_version(versions: dict[str, VersionResult], name: str, run: str) -> VersionResult:
    if name not in versions:
        hint = did_you_mean(name, versions) or f" It has {', '.join(versions) or 'none'}."
        raise _NoBaselineError(f"the run {run} has no version '{name}'.{hint}", "version")
    return versions[name]


def _read_versions(source: str, folder: Path, runs: Path) -> dict[str, VersionResult]:
    file = _find_file(source, folder, runs)
    try:
        result = Result.from_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _NoBaselineError(f"can't read the run {source}: {file}: {error.strerror}.") from error
    except UnknownFormatError as error:
        raise _NoBaselineError(f"can't read the run {source}: {file}: {error} {error.remedy}") from error
    except ValueError as error:
        raise _NoBaselineError(f"{file} is not the result of a run of the harness.") from error
    if result.failure is not None:
        message = f"the run {source} ended early ({result.failure.kind}), so it can't be a baseline."
        raise _NoBaselineError(message)
    return {version.name: version for version in result.versions}


def _find_file(source: str, folder: Path, runs: Path) -> Path:
    """Return the result file of a stored run, or the file at a path."""
    if Path(source).name == source and (runs / source).is_dir():
        return runs / source / RESULT
    try:
        file = find_local_path(source, folder)
        if file is not None and file.is_file():
            return file
        is_folder = file is not None and file.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise _NoBaselineError(f"can't look for the run {source!r}: {error}.") from error
    if file is None:
        location = "its URI" if has_password(source) else source
        raise _NoBaselineError(f"a baseline must be a file on this machine: {location} isn't one.")
    if is_folder:
        raise _NoBaselineError(f"{source} is a folder; name the {RESULT} in it.")
    known = [run.path.name for run in list_runs(runs)]
    near = [str(Path(source).parent / each.name) for each in sorted(file.parent.glob("*.json"))]
    raise _NoBaselineError(
        f"there is no run '{source}' in {runs}, and no file {file}.{did_you_mean(source, [*known, *near])}"
    )
