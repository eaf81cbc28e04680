"""Selection of the combinations of a scenario's matrix to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError, did_you_mean
from harness.loading.custom_code import read_code
from harness.loading.loader import LoadedScenario
from harness.loading.sources import locate_sources
from harness.scenario.matrix import Combination, combinations, format_value


def select_combinations(loaded: LoadedScenario, only: Iterable[str] = ()) -> tuple[LoadedScenario, ...]:
    """Return every selected combination as a scenario; the scenario itself if it has no matrix.

    Args:
        loaded: The scenario of the file.
        only: Values that the combinations must have, each as ``KEY=VALUE``.

    Raises:
        UsageError: ``only`` names a value that the matrix doesn't have.
    """
    wanted = dict(_parse_pairs(loaded, only))
    if not loaded.scenario.matrix:
        return (loaded,)
    return tuple(
        _apply_combination(loaded, each)
        for each in combinations(loaded.scenario.matrix)
        if wanted.items() <= each.parameters.items()
    )


def select_one(loaded: LoadedScenario, only: Iterable[str] = ()) -> LoadedScenario:
    """Return the only selected combination.

    Raises:
        UsageError: There are several, or ``only`` names a value that the matrix doesn't have.
    """
    selected = select_combinations(loaded, only)
    if len(selected) > 1:
        example = " ".join(f"--only {key}={value}" for key, value in selected[0].parameters.items())
        raise UsageError(
            f"The scenario {loaded.scenario.name} has a matrix of {len(selected)} combinations, "
            "and this command runs one.",
            remedy=f"Select one, such as: {example}",
        )
    return selected[0]


def _parse_pairs(loaded: LoadedScenario, only: Iterable[str]) -> Iterator[tuple[str, str]]:
    matrix = loaded.scenario.matrix
    for each in only:
        key, sign, value = each.partition("=")
        if not sign:
            raise UsageError(f"--only {each}: write KEY=VALUE, such as seed=1.")
        if not matrix:
            message = f"--only {each}: the scenario {loaded.scenario.name} has no matrix."
            raise UsageError(message, remedy="Remove --only.")
        if key not in matrix:
            near = did_you_mean(key, matrix)
            raise UsageError(
                f"--only {each}: unknown key '{key}' of the matrix.{near}",
                remedy=f"Keys of the matrix: {', '.join(matrix)}.",
            )
        yield key, _require_known_value(key, value, matrix)


def _require_known_value(key: str, value: str, matrix: Mapping[str, Sequence[object]]) -> str:
    texts = [format_value(each) for each in matrix[key]]
    if value not in texts:
        raise UsageError(
            f"--only {key}={value}: unknown value of the matrix.{did_you_mean(value, texts)}",
            remedy=f"Values of '{key}': {', '.join(texts)}.",
        )
    return value


def _apply_combination(loaded: LoadedScenario, combination: Combination) -> LoadedScenario:
    scenario = combination.apply_to(loaded.scenario)
    parameters = {**loaded.parameters, **combination.parameters}
    # The loader has checked that they all exist.
    folder = Path(loaded.document.file).parent
    sources, _ = locate_sources(scenario, folder)
    code, _ = read_code(scenario.pipeline, folder)
    return replace(loaded, scenario=scenario, sources=sources, parameters=parameters, code=code)
