"""Where a scenario file says what must hold of a version: at the version, or at ``every``."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location
from harness.scenario.model import Scenario
from harness.scenario.rules.numbers import Number, numbers

_FIELDS = {"schema": "columns"}
"""Keys of the file that the model calls otherwise."""


def numbers_at(scenario: Scenario, name: str) -> Iterator[tuple[Number, Location]]:
    """Every number that is bounded at a version, and where its bounds stand."""
    index = scenario.index_of(name)
    own = {number.name for number in numbers(scenario.versions[index].expect)}
    for number in numbers(scenario.expected_of(name)):
        yield number, (*_root(index, is_own=number.name in own), *number.at)


def place_of(scenario: Scenario, name: str, *keys: str) -> Location:
    """Where something else than a number is said that a version must hold.

    Args:
        scenario: The scenario.
        name: The version's.
        keys: Its keys below ``expect`` or ``every``, such as ``explanations`` and ``top_k``.
    """
    index = scenario.index_of(name)
    said: object = scenario.versions[index].expect
    for key in keys:
        said = getattr(said, _FIELDS.get(key, key), None)
    return (*_root(index, is_own=said is not None), *keys)


def _root(index: int, *, is_own: bool) -> Location:
    return ("versions", index, "expect") if is_own else ("every",)
