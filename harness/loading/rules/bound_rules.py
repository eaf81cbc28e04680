"""What holds of the bounds on one number: they say something, and a number can meet them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from harness.bounds.quantities import Domain, Number
from harness.errors import Location, Problem
from harness.scenario.expectations import Baseline, Bound, Change

_PARTS = ("min", "max", "equals")


def bounds_problems(number: Number, at: Location) -> Iterator[Problem]:
    """Everything that is wrong with the bounds on a number, but for the versions that they speak of."""
    for index, bound in enumerate(number.bounds):
        yield from _bound(number, bound, (*at, index))
    yield from _together(number, at)


def excludes(number: Number, value: float) -> bool:
    """Whether the bounds on a number can be met, but not by this value."""
    low, high = _interval(number.bounds, number.domain)
    return low <= high and not low <= value <= high


def _bound(number: Number, bound: Bound, at: Location) -> Iterator[Problem]:
    name = number.name
    parts = (bound.min, bound.max, bound.equals, bound.change, bound.baseline)
    if bound.tolerance is not None and bound.equals is None:
        yield Problem(f"the bound on '{name}' has a tolerance, but no equals.", (*at, "tolerance"))
    elif all(part is None for part in parts):
        yield Problem(f"the bound on '{name}' says nothing; give min, max, equals, change or baseline.", at)
    else:
        yield from _empty(name, bound, at)
    if not _is_possible([bound], number.domain):
        yield Problem(f"no number can meet the bound on '{name}' ({_said([bound])}).", at)
    if bound.change is not None:
        yield from _difference(f"the change of '{name}'", bound.change, number, (*at, "change"))
    if bound.baseline is not None:
        what = f"the bound on '{name}' against another run"
        yield from _difference(what, bound.baseline, number, (*at, "baseline"))
        if not bound.baseline.source.strip():
            yield Problem(f"{what} names none.", (*at, "baseline", "from"))


def _difference(what: str, said: Change | Baseline, number: Number, at: Location) -> Iterator[Problem]:
    if said.min is None and said.max is None:
        yield Problem(f"{what} says nothing; give min or max.", at)
    else:
        yield from _empty(number.name, said, at)
    domain = number.domain.of_relative_changes if said.relative else number.domain.of_changes
    if not _is_possible([Bound(min=said.min, max=said.max)], domain):
        parts = ", ".join(
            f"{name} {value:g}" for name in ("min", "max") if (value := getattr(said, name)) is not None
        )
        yield Problem(f"no number can meet {what} ({parts}).", at)


def _empty(metric: str, said: Bound | Change | Baseline, at: Location) -> Iterator[Problem]:
    for name in sorted(said.model_fields_set):
        if getattr(said, name) is None:
            message = f"'{name}' of the bound on '{metric}' is empty; give a number, or leave it out."
            yield Problem(message, (*at, name))


def _together(number: Number, at: Location) -> Iterator[Problem]:
    """Several bounds on a number, each of which could be met by itself."""
    for on in ("all", "added"):
        bounds = [bound for bound in number.bounds if bound.on == on]
        is_apart = len(bounds) > 1 and all(_is_possible([bound], number.domain) for bound in bounds)
        if is_apart and not _is_possible(bounds, number.domain):
            yield Problem(f"no number can meet all bounds on '{number.name}' ({_said(bounds)}).", at)


def _said(bounds: Iterable[Bound]) -> str:
    return ", ".join(
        f"{name} {value:g}"
        for bound in bounds
        for name in _PARTS
        if (value := getattr(bound, name)) is not None
    )


def _is_possible(bounds: Iterable[Bound], domain: Domain) -> bool:
    low, high = _interval(bounds, domain)
    if domain.is_whole:
        low = math.ceil(low) if math.isfinite(low) else low
        high = math.floor(high) if math.isfinite(high) else high
    return low <= high


def _interval(bounds: Iterable[Bound], domain: Domain) -> tuple[float, float]:
    """What all parts of all bounds leave."""
    low, high = domain.low, domain.high
    for bound in bounds:
        if bound.min is not None:
            low = max(low, bound.min)
        if bound.max is not None:
            high = min(high, bound.max)
        if bound.equals is not None:
            low = max(low, bound.equals - (bound.tolerance or 0.0))
            high = min(high, bound.equals + (bound.tolerance or 0.0))
    return low, high
