"""What other runs have found, where the bounds of a scenario name some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from harness.bounds.measured_values import value_of
from harness.bounds.specs import numbers_at
from harness.errors import Location, Problem, ScenarioError
from harness.metrics import ADDED, METRICS
from harness.results import Measured, Result, VersionResult
from harness.runs import RESULT, list_runs
from harness.scenario.model import Scenario
from harness.storage.paths import has_password, local_path
from harness.suggestions import did_you_mean

Baselines = dict[str, dict[str, dict[str, Measured]]]


@dataclass(frozen=True)
class _Wanted:
    """A number of another run that a bound asks for."""

    source: str
    version: str
    metric: str
    at: Location
    """The bound's ``baseline``."""


class _NoBaselineError(Exception):
    """There is nothing to compare with; the message is for the author, and the key is what it is about."""

    def __init__(self, message: str, key: str = "from") -> None:
        super().__init__(message)
        self.key = key


def read_baselines(scenario: Scenario, folder: Path, runs: Path) -> Baselines:
    """The numbers of other runs that bounds ask for.

    Args:
        scenario: What must hold.
        folder: The scenario's own, which paths are relative to.
        runs: Where the folders of runs are.

    Returns:
        For each run, as the scenario names it, its versions and the numbers of each by name: those that are
        asked for, and the positives that these rest on.

    Raises:
        ScenarioError: A run or a version is not there or can't be read; a problem for each bound.
    """
    # Each is read once, however many bounds ask for it.
    versions_of = cache(partial(_versions_of, folder=folder, runs=runs))
    found: Baselines = {}
    problems: dict[Problem, None] = {}
    for wanted in _wanted(scenario):
        try:
            version = _pick(versions_of(wanted.source), wanted)
        except _NoBaselineError as error:
            problems[Problem(str(error), (*wanted.at, error.key))] = None
        else:
            numbers = found.setdefault(wanted.source, {}).setdefault(wanted.version, {})
            numbers |= {name: value_of(name, version) for name in _with_positives(wanted.metric)}
    if problems:
        raise ScenarioError(tuple(problems))
    return found


def _wanted(scenario: Scenario) -> Iterator[_Wanted]:
    for index, version in enumerate(scenario.versions):
        for number, at in numbers_at(scenario, version.name):
            for place, bound in enumerate(number.bounds):
                is_judged = bound.on == "all" or index > 0
                if bound.baseline is not None and is_judged:
                    yield _Wanted(
                        source=bound.baseline.source,
                        version=bound.baseline.version or version.name,
                        metric=number.name if bound.on == "all" else ADDED + number.name,
                        at=(*at, place, "baseline"),
                    )


def _with_positives(metric: str) -> tuple[str, ...]:
    definition = METRICS.get(metric)
    positives = None if definition is None else definition.positives
    return (metric,) if positives is None else (metric, positives)


def _pick(versions: dict[str, VersionResult], wanted: _Wanted) -> VersionResult:
    if wanted.version not in versions:
        hint = did_you_mean(wanted.version, versions) or f" It has {', '.join(versions) or 'none'}."
        message = f"the run {wanted.source} has no version '{wanted.version}'.{hint}"
        raise _NoBaselineError(message, "version")
    return versions[wanted.version]


def _versions_of(source: str, folder: Path, runs: Path) -> dict[str, VersionResult]:
    file = _file_of(source, folder, runs)
    try:
        result = Result.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _NoBaselineError(f"can't read the run {source}: {file}: {error.strerror}.") from error
    except ValueError as error:
        message = f"{file} is no result of a run of this version of the harness."
        raise _NoBaselineError(message) from error
    if result.failure is not None:
        message = f"the run {source} ended early ({result.failure.kind}), and what it left proves nothing."
        raise _NoBaselineError(message)
    return {version.name: version for version in result.versions}


def _file_of(source: str, folder: Path, runs: Path) -> Path:
    """The result that is meant: of a run that is kept here, or a file of its own."""
    if Path(source).name == source and (runs / source).is_dir():
        return runs / source / RESULT
    try:
        file = local_path(source, folder)
        if file is not None and file.is_file():
            return file
        is_folder = file is not None and file.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise _NoBaselineError(f"can't look for the run {source!r}: {error}.") from error
    if file is None:
        where = "its URI" if has_password(source) else source
        raise _NoBaselineError(f"a run is read from a file of this machine, and {where} lies elsewhere.")
    if is_folder:
        raise _NoBaselineError(f"{source} is a folder; name the {RESULT} in it.")
    known = [run.path.name for run in list_runs(runs)]
    near = [str(Path(source).parent / each.name) for each in sorted(file.parent.glob("*.json"))]
    raise _NoBaselineError(
        f"there is no run '{source}' in {runs}, and no file {file}.{did_you_mean(source, [*known, *near])}"
    )
