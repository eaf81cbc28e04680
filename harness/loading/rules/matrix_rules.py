"""What a matrix must obey: each place is there, and can hold each of its values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from harness.errors import Problem
from harness.loading.messages import details_of, problems_of
from harness.scenario.matrix import MOST, Combination, PlaceError, combinations, size_of, text_of
from harness.scenario.model import Scenario

_REFUSED = {
    "name": "every run bears the scenario's name",
    "matrix": "it has none in itself",
    "versions": "name one of them, as in 'versions.NAME.append.where'",
    "table.versions": "name one of them, as in 'versions.NAME.read'",
}


def matrix_problems(scenario: Scenario, rules: Callable[[Scenario], Iterable[Problem]]) -> Iterator[Problem]:
    """Everything that is wrong with a scenario's matrix, and with the scenarios that it leads to.

    Args:
        scenario: Whose own mistakes are told elsewhere.
        rules: Tells what is wrong with a scenario that has no matrix.
    """
    if scenario.matrix:
        wrong = [*_of_matrix(scenario.matrix), *_of_values(scenario)]
        yield from wrong or _of_combinations(scenario, rules)


def _of_matrix(matrix: Mapping[str, Sequence[object]]) -> Iterator[Problem]:
    size = size_of(matrix)
    if size > MOST:
        yield Problem(f"the matrix has {size} combinations; at most {MOST} are run.", ("matrix",))
    for place, values in matrix.items():
        texts = [text_of(value) for value in values]
        for index, text in enumerate(texts):
            if text in texts[:index]:
                yield Problem(f"the matrix has {text} of '{place}' twice.", ("matrix", place, index))


def _of_values(scenario: Scenario) -> Iterator[Problem]:
    """Each value by itself, the first mistake of each place."""
    for place, values in scenario.matrix.items():
        reason = _refused(place)
        if reason is not None:
            yield Problem(f"the matrix can't vary '{place}': {reason}.", ("matrix", place))
            continue
        for index, value in enumerate(values):
            found = _grammar_of(scenario, Combination({place: value}))
            if found:
                yield Problem(f"the matrix can't vary '{place}': {found}", ("matrix", place, index))
                break


def _of_combinations(scenario: Scenario, rules: Callable[[Scenario], Iterable[Problem]]) -> Iterator[Problem]:
    """What is wrong in a combination and not without it; each mistake with the first that has it."""
    told = {problem.message for problem in rules(scenario.model_copy(update={"matrix": {}}))}
    for combination in combinations(scenario.matrix):
        found = _grammar_of(scenario, combination)
        messages = [found] if found else [each.message for each in rules(combination.applied_to(scenario))]
        for message in messages:
            if message not in told:
                told.add(message)
                yield Problem(f"with {combination.text}: {message}", ("matrix",))


def _refused(place: str) -> str | None:
    parts = place.split(".")
    if parts[0] == "versions" and parts[2:] == ["name"]:
        return "versions are told by their names"
    if not all(parts):
        return "a place is made of names, with dots between them"
    return _REFUSED.get(parts[0] if parts[0] == "matrix" else place)


def _grammar_of(scenario: Scenario, combination: Combination) -> str:
    """What the grammar says of a scenario with these values: its first mistake, or nothing."""
    try:
        combination.applied_to(scenario)
    except PlaceError as error:
        return str(error)
    except ValidationError as error:
        return next(iter(problems_of(details_of(error)))).message
    return ""
