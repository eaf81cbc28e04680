"""Which bounds are judged at a version: a change may have nothing there to be compared with."""

from __future__ import annotations

from collections.abc import Iterator

from harness.bounds.quantities import Number, numbers
from harness.bounds.scope import Scope
from harness.errors import Location
from harness.metrics import ADDED
from harness.scenario.expectations import Bound, Expect, Explanations
from harness.scenario.model import Scenario


def judged_at(scenario: Scenario, index: int) -> Iterator[tuple[str, str]]:
    """Every bound that is judged at a version: the name of what is bounded, and the bound's kind.

    Args:
        scenario: Has the versions.
        index: The version's place.
    """
    expect = scenario.expected_of(scenario.versions[index].name)
    scope = Scope(scenario, expect, (), (index,), index)
    for number in numbers(expect):
        for bound in number.bounds:
            if bound.on == "all":
                yield from ((number.name, kind) for kind in _kinds(bound, scope))
            elif scope.index != 0:
                yield from ((f"{ADDED}{number.name}", kind) for kind in _kinds(bound, scope))
    yield from ((name, "is") for name in _texts(expect))
    yield from ((name, "min") for name in _agreements(expect.explanations or Explanations(), scope))


def _kinds(bound: Bound, scope: Scope) -> Iterator[str]:
    yield from (kind for kind in ("min", "max", "equals") if getattr(bound, kind) is not None)
    for said in (bound.change, bound.baseline):
        if said is not None and (said is not bound.change or _is_judged(bound.change.since, scope)):
            yield from (f"change_{part}" for part in ("min", "max") if getattr(said, part) is not None)


def _is_judged(since: str, scope: Scope) -> bool:
    return scope.unknown(since, of_model=False) is None


def _texts(expect: Expect) -> Iterator[str]:
    columns = expect.columns
    said = (
        ("schema", columns and columns.exact),
        ("schema", columns and columns.at_least),
        ("operation", expect.operation),
        ("same_data_as", expect.same_data_as),
    )
    return (name for name, value in said if value is not None)


def _agreements(expect: Explanations, scope: Scope) -> Iterator[str]:
    top = expect.top_k
    if top is not None and _is_judged(top.since, scope):
        yield f"top_{top.k}_overlap"
    for name in ("sign_agreement", "rank_correlation"):
        said = getattr(expect, name)
        if said is not None and _is_judged(said.since, scope):
            yield name


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
