"""One scenario with several values in some of its places: every combination is a scenario of its own."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from harness.scenario.model import Scenario
from harness.suggestions import did_you_mean

MOST = 64
"""Combinations that one scenario may have."""

_NAME = "name"


class PlaceError(ValueError):
    """A place that the scenario does not have; the message says why."""


@dataclass(frozen=True)
class Combination:
    """One value for each place of a matrix."""

    values: Mapping[str, object]
    """By place; ``None``: nothing is said there."""

    @property
    def parameters(self) -> dict[str, str]:
        """Place to value, as text."""
        return {place: text_of(value) for place, value in self.values.items()}

    @property
    def text(self) -> str:
        """In one line, such as ``seed=1, pipeline.model.max_iter=50``."""
        return words_of(self.parameters)

    def applied_to(self, scenario: Scenario) -> Scenario:
        """The scenario with these values, and without a matrix.

        Raises:
            PlaceError: The scenario has no such place.
            ValidationError: A place can't hold its value, or is not known; the locations are the place's.
        """
        said: object = scenario.model_dump(by_alias=True, exclude_unset=True, exclude={"matrix"})
        # What holds other places comes first, so that it does not undo them.
        for place in sorted(self.values, key=lambda each: each.count(".")):
            said = _put(said, place.split("."), self.values[place], place)
        return Scenario.model_validate(said, by_alias=True, by_name=False)


def words_of(parameters: Mapping[str, str]) -> str:
    """Parameters in one line, such as ``seed=1, pipeline.model.max_iter=50``."""
    return ", ".join(f"{place}={value}" for place, value in parameters.items())


def size_of(matrix: Mapping[str, Sequence[object]]) -> int:
    """How many combinations there are; none where there is no matrix."""
    return math.prod(len(values) for values in matrix.values()) if matrix else 0


def combinations(matrix: Mapping[str, Sequence[object]]) -> Iterator[Combination]:
    """Every combination; the last place changes fastest. Where there is no matrix there is none."""
    if matrix:
        for values in itertools.product(*matrix.values()):
            yield Combination(dict(zip(matrix, values, strict=True)))


def text_of(value: object) -> str:
    """A value as one line, as a person would write it in the file."""
    if isinstance(value, str | date):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _put(said: object, parts: Sequence[str], value: object, place: str) -> object:
    """What is said, with a value at a place, or without one; a mapping that is not there yet is made."""
    if not parts:
        return value
    if said is None or isinstance(said, dict):
        inner = said or {}
        changed = {**inner, parts[0]: _put(inner.get(parts[0]), parts[1:], value, place)}
        return {key: each for key, each in changed.items() if each is not None}
    if isinstance(said, list | tuple):
        items = list(said)
        index, rest = _item(items, parts, place)
        items[index] = _put(items[index], rest, value, place)
        return items
    holder = place.removesuffix("." + ".".join(parts))
    raise PlaceError(f"'{holder}' has no '{parts[0]}' inside it: it is {text_of(said)}.")


def _item(items: list[object], parts: Sequence[str], place: str) -> tuple[int, Sequence[str]]:
    """Which item of a list is meant, by its name or number, and what is left of the place.

    A list of one stands for its item: a bound may be written without its list.
    """
    names = [str(item[_NAME]) for item in items if isinstance(item, dict) and _NAME in item]
    if names and parts[0] in names:
        return names.index(parts[0]), parts[1:]
    if not names and parts[0].isdecimal() and int(parts[0]) < len(items):
        return int(parts[0]), parts[1:]
    if not names and len(items) == 1:
        return 0, parts
    holder = place.removesuffix("." + ".".join(parts))
    known = names or [str(index) for index in range(len(items))]
    raise PlaceError(f"'{holder}' has no '{parts[0]}'.{did_you_mean(parts[0], known)}")
