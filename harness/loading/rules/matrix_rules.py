"""Rules of a matrix: each key exists, and each of its values is valid for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from harness.errors import Problem
from harness.loading.messages import list_problems, select_details
from harness.scenario.matrix import (
    MAX_COMBINATIONS,
    Combination,
    MatrixKeyError,
    combinations,
    count_combinations,
    format_value,
)
from harness.scenario.model import Scenario

_REFUSALS = {
    "name": "every run has the scenario's name",
    "matrix": "a matrix can't contain another one",
    "versions": "specify one of them, as in 'versions.NAME.append.where'",
    "table.versions": "specify one of them, as in 'versions.NAME.read'",
}


def check_matrix(scenario: Scenario, rules: Callable[[Scenario], Iterable[Problem]]) -> Iterator[Problem]:
    """Yield everything that is wrong with a scenario's matrix, and with its combinations.

    Args:
        scenario: The scenario; its own problems are reported elsewhere.
        rules: Returns the problems of a scenario without a matrix.
    """
    if scenario.matrix:
        wrong = [*_check_size_and_repeats(scenario.matrix), *_check_values(scenario)]
        yield from wrong or _check_combinations(scenario, rules)


def _check_size_and_repeats(matrix: Mapping[str, Sequence[object]]) -> Iterator[Problem]:
    size = count_combinations(matrix)
    if size > MAX_COMBINATIONS:
        yield Problem(f"the matrix has {size} combinations; the maximum is {MAX_COMBINATIONS}.", ("matrix",))
    for key, values in matrix.items():
        texts = [format_value(value) for value in values]
        for index, text in enumerate(texts):
            if text in texts[:index]:
                yield Problem(f"the matrix lists {key}={text} twice.", ("matrix", key, index))


def _check_values(scenario: Scenario) -> Iterator[Problem]:
    """Check each value by itself; yield the first problem of each key."""
    for key, values in scenario.matrix.items():
        reason = _explain_refusal(key)
        if reason is not None:
            yield Problem(f"the matrix can't vary '{key}': {reason}.", ("matrix", key))
            continue
        for index, value in enumerate(values):
            problem = _find_type_problem(scenario, Combination({key: value}))
            if problem:
                yield Problem(f"the matrix can't vary '{key}': {problem}", ("matrix", key, index))
                break


def _check_combinations(
    scenario: Scenario, rules: Callable[[Scenario], Iterable[Problem]]
) -> Iterator[Problem]:
    """Yield the problems that only combinations have, each once."""
    reported = {problem.message for problem in rules(scenario.model_copy(update={"matrix": {}}))}
    for combination in combinations(scenario.matrix):
        problem = _find_type_problem(scenario, combination)
        messages = [problem] if problem else [each.message for each in rules(combination.apply_to(scenario))]
        for message in messages:
            if message not in reported:
                reported.add(message)
                yield Problem(f"with {combination.text}: {message}", ("matrix",))


def _explain_refusal(key: str) -> str | None:
    parts = key.split(".")
    if parts[0] == "versions" and parts[2:] == ["name"]:
        return "versions are identified by their names"
    if not all(parts):
        return "a key consists of names, separated by dots"
    return _REFUSALS.get(parts[0] if parts[0] == "matrix" else key)


def _find_type_problem(scenario: Scenario, combination: Combination) -> str:
    """Return the first problem with the types of these values; empty if there is none."""
    try:
        combination.apply_to(scenario)
    except MatrixKeyError as error:
        return str(error)
    except ValidationError as error:
        return next(iter(list_problems(select_details(error)))).message
    return ""
