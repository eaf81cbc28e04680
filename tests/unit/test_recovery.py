"""After a wrong value is repaired, only mistakes of the file itself are reported."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.loading import rules
from harness.loading.custom_code import read_code
from harness.loading.document import read_document
from harness.loading.recovery import recover, validate_scenario
from harness.loading.sources import locate_sources

SCENARIOS = Path(__file__).parents[2] / "scenarios"
WRONG: list[Any] = [[[]], {1: 2}, 7.5, "not a name"]


def _locations(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, key)
            yield from _locations(inner, (*at, key))


def _with(values: Any, location: tuple[Any, ...], wrong: object) -> Any:
    changed = copy.deepcopy(values)
    node = changed
    for part in location[:-1]:
        node = node[part]
    node[location[-1]] = wrong
    return changed


def _further_problems(values: Any) -> list[str]:
    """Return what is reported besides the validator's errors; nothing if the values are valid."""
    try:
        validate_scenario(values)
    except ValidationError as error:
        scenario, _, repaired = recover(values, error)
        assert scenario is not None
        found = [
            *rules.check_rules(scenario),
            *locate_sources(scenario, SCENARIOS)[1],
            *read_code(scenario.pipeline, SCENARIOS)[1],
        ]
        return [problem.message for problem in repaired.own_problems(found)]
    return []


@pytest.mark.parametrize("name", ["bad_batch", "late_corrections", "leak", "custom_pipeline", "rollback"])
def test_one_wrong_value_is_the_only_problem_of_a_good_file(name: str) -> None:
    """A wrong value anywhere in a shipped scenario leads to no further message after its repair."""
    values = read_document(SCENARIOS / f"{name}.yaml").values
    further = {
        (location, str(wrong)): found
        for location in _locations(values)
        for wrong in WRONG
        if (found := _further_problems(_with(values, location, wrong)))
    }
    assert further == {}


@pytest.mark.parametrize("name", ["bad_batch", "custom_pipeline", "schema_change"])
def test_a_missing_value_is_the_only_problem_of_a_good_file(name: str) -> None:
    """A missing required key is reported, and nothing that only follows from it."""
    values = read_document(SCENARIOS / f"{name}.yaml").values
    further = {}
    for location in _locations(values):
        changed = copy.deepcopy(values)
        node = changed
        for part in location[:-1]:
            node = node[part]
        del node[location[-1]]
        if found := _further_problems(changed):
            further[location] = found
    assert further == {}
