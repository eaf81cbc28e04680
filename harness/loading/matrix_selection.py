"""Which combinations of a scenario's matrix are to be run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.loading.custom_code import read_code
from harness.loading.loader import LoadedScenario
from harness.loading.sources import locate_sources
from harness.scenario.matrix import Combination, combinations, text_of
from harness.suggestions import did_you_mean


def chosen(loaded: LoadedScenario, only: Iterable[str] = ()) -> tuple[LoadedScenario, ...]:
    """Every combination as a scenario to run; the scenario itself where it has no matrix.

    Args:
        loaded: As the file says it.
        only: ``PLACE=VALUE`` each: combinations without one of them are left out.

    Raises:
        UsageError: ``only`` names what the matrix does not have.
    """
    wanted = dict(_pairs(loaded, only))
    if not loaded.scenario.matrix:
        return (loaded,)
    return tuple(
        _applied(loaded, each)
        for each in combinations(loaded.scenario.matrix)
        if wanted.items() <= each.parameters.items()
    )


def single(loaded: LoadedScenario, only: Iterable[str] = ()) -> LoadedScenario:
    """The one combination to run.

    Raises:
        UsageError: There are several, or ``only`` names what the matrix does not have.
    """
    found = chosen(loaded, only)
    if len(found) > 1:
        example = " ".join(f"--only {place}={value}" for place, value in found[0].parameters.items())
        raise UsageError(
            f"The scenario {loaded.scenario.name} has a matrix of {len(found)} combinations; this takes one.",
            remedy=f"Say which, such as {example}.",
        )
    return found[0]


def _pairs(loaded: LoadedScenario, only: Iterable[str]) -> Iterator[tuple[str, str]]:
    matrix = loaded.scenario.matrix
    for each in only:
        place, sign, value = each.partition("=")
        if not sign:
            raise UsageError(f"--only takes PLACE=VALUE, such as seed=1; it was given '{each}'.")
        if not matrix:
            raise UsageError(f"--only {each}: the scenario {loaded.scenario.name} has no matrix.")
        if place not in matrix:
            near = did_you_mean(place, matrix)
            raise UsageError(
                f"--only {each}: the matrix does not vary '{place}'.{near}",
                remedy=f"It varies {', '.join(matrix)}.",
            )
        yield place, _known_value(place, value, matrix)


def _known_value(place: str, value: str, matrix: Mapping[str, Sequence[object]]) -> str:
    texts = [text_of(each) for each in matrix[place]]
    if value not in texts:
        raise UsageError(
            f"--only {place}={value}: the matrix has no such value.{did_you_mean(value, texts)}",
            remedy=f"It has {', '.join(texts)}.",
        )
    return value


def _applied(loaded: LoadedScenario, combination: Combination) -> LoadedScenario:
    scenario = combination.applied_to(loaded.scenario)
    parameters = {**loaded.parameters, **combination.parameters}
    # The loader has seen that they are all there.
    folder = Path(loaded.document.file).parent
    sources, _ = locate_sources(scenario, folder)
    code, _ = read_code(scenario.pipeline, folder)
    return replace(loaded, scenario=scenario, sources=sources, parameters=parameters, code=code)
