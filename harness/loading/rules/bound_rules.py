"""Rules on the bounds of one number: they set a limit, and some numbers meet them, but not all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from harness.bounds.quantities import Number
from harness.errors import Location, Problem
from harness.metrics import Domain
from harness.scenario.bound_spec import (
    CHANGE_COMPARISONS,
    COMPARISONS,
    LIMITS_OF_CHANGES,
    LIMITS_OF_VALUES,
    VALUE_COMPARISONS,
    Comparison,
)
from harness.scenario.expectations import AgainstChampion, Baseline, Bound, Change

_Difference = Change | Baseline | AgainstChampion
_DIFFERENCES: dict[type[_Difference], str] = {
    Change: "change of",
    Baseline: "difference from another run's",
    AgainstChampion: "difference from the champion's",
}
_Limit = tuple[Comparison, float, float]
"""How a number is compared, with which limit, and with which tolerance."""


def check_bounds(number: Number, at: Location) -> Iterator[Problem]:
    """Yield every problem with the bounds on a number, except with the versions that they compare with."""
    for index, bound in enumerate(number.bounds):
        yield from _check_bound(number, bound, (*at, index))
    yield from _check_combined(number, at)


def excludes(number: Number, value: float) -> bool:
    """Return whether the bounds on a number can be met, but not by this value."""
    low, high = _find_interval(_limits_of(number.bounds), number.domain)
    return low <= high and not low <= value <= high


def _check_bound(number: Number, bound: Bound, at: Location) -> Iterator[Problem]:
    name, limits = number.name, _limits_of([bound])
    if bound.tolerance is not None and bound.equals is None:
        yield Problem(
            f"the bound on '{name}' has a 'tolerance' but no 'equals'; add 'equals', or remove 'tolerance'.",
            (*at, "tolerance"),
        )
    elif not limits and bound.change is None and bound.baseline is None and bound.champion is None:
        message = f"the bound on '{name}' has no limit; add {LIMITS_OF_VALUES}, change, baseline or champion."
        yield Problem(message, at)
    else:
        yield from _check_empty_keys(name, bound, at)
    if not _is_possible(limits, number.domain):
        yield Problem(f"no number can meet the bound on '{name}' ({_format_limits(limits)}).", at)
    else:
        yield from _check_can_fail(f"value of '{name}'", limits, number.domain, at)
    if bound.change is not None:
        yield from _check_difference(f"the change of '{name}'", bound.change, number, (*at, "change"))
    if bound.baseline is not None:
        what = f"the bound on '{name}' against another run"
        yield from _check_difference(what, bound.baseline, number, (*at, "baseline"))
        if not bound.baseline.source.strip():
            yield Problem(
                f"{what} names no run; add its ID, or the path of its result.", (*at, "baseline", "from")
            )

    if bound.champion is not None:
        what = f"the bound on '{name}' against the champion's"
        yield from _check_difference(what, bound.champion, number, (*at, "champion"))


def _check_difference(what: str, difference: _Difference, number: Number, at: Location) -> Iterator[Problem]:
    limits = [*_limits(difference, CHANGE_COMPARISONS)]
    if not limits:
        yield Problem(f"{what} has no limit; add {LIMITS_OF_CHANGES}.", at)
    else:
        yield from _check_empty_keys(number.name, difference, at)
    is_relative = not isinstance(difference, AgainstChampion) and difference.relative
    domain = number.domain.relative_change_domain if is_relative else number.domain.change_domain
    kind = _DIFFERENCES[type(difference)]
    if not _is_possible(limits, domain):
        yield Problem(f"no {kind} '{number.name}' can meet its bounds ({_format_limits(limits)}).", at)
    else:
        yield from _check_can_fail(f"{kind} '{number.name}'", limits, domain, at)


def check_agreement(name: str, limit: float, domain: Domain, at: Location) -> Iterator[Problem]:
    """Yield a problem if every value of an agreement between explanations meets its bound."""
    yield from _check_can_fail(f"value of '{name}'", [(COMPARISONS["min"], limit, 0.0)], domain, at)


def _check_can_fail(what: str, limits: list[_Limit], domain: Domain, at: Location) -> Iterator[Problem]:
    """Yield a problem with limits that every number of a domain meets.

    A limit at the edge of the domain may complete a range whose other limit can be missed.
    """
    useless = [limit for limit in limits if _is_met_by_all(limit, domain)]
    beyond = [limit for limit in useless if _is_beyond(limit, domain)]
    if beyond or (useless and len(useless) == len(limits)):
        listed = _format_limits(beyond or useless)
        yield Problem(f"every {what} meets its bound ({listed}); set a limit that it can miss.", at)


def _is_met_by_all(limit: _Limit, domain: Domain) -> bool:
    comparison, value, tolerance = limit
    lowest, highest = comparison.interval(value, tolerance)
    return lowest <= domain.low and domain.high <= highest


def _is_beyond(limit: _Limit, domain: Domain) -> bool:
    """Return whether a limit that every number meets is not even a number of the domain."""
    comparison, value, _ = limit
    return comparison.side == "both" or not domain.low <= value <= domain.high


def _check_empty_keys(metric: str, bound: Bound | _Difference, at: Location) -> Iterator[Problem]:
    for name in sorted(bound.model_fields_set):
        if getattr(bound, name) is None:
            message = f"'{name}' of the bound on '{metric}' is empty; add a number, or remove it."
            yield Problem(message, (*at, name))


def _check_combined(number: Number, at: Location) -> Iterator[Problem]:
    """Yield a problem with bounds each of which can be met by itself, but not all of them together."""
    for on in dict.fromkeys(bound.on for bound in number.bounds):
        bounds = [bound for bound in number.bounds if bound.on == on]
        limits = _limits_of(bounds)
        each_is_possible = len(bounds) > 1 and all(
            _is_possible(_limits_of([bound]), number.domain) for bound in bounds
        )
        if each_is_possible and not _is_possible(limits, number.domain):
            yield Problem(f"no number can meet all bounds on '{number.name}' ({_format_limits(limits)}).", at)


def _limits_of(bounds: Iterable[Bound]) -> list[_Limit]:
    return [limit for bound in bounds for limit in _limits(bound, VALUE_COMPARISONS)]


def _limits(bound: Bound | _Difference, comparisons: Iterable[Comparison]) -> Iterator[_Limit]:
    tolerance = (bound.tolerance or 0.0) if isinstance(bound, Bound) else 0.0
    for comparison in comparisons:
        limit: float | None = getattr(bound, comparison.key)
        if limit is not None:
            yield comparison, limit, tolerance


def _format_limits(limits: Iterable[_Limit]) -> str:
    return ", ".join(
        f"{comparison.key} {limit:g}" + (f" ± {tolerance:g}" if tolerance else "")
        for comparison, limit, tolerance in limits
    )


def _is_possible(limits: Iterable[_Limit], domain: Domain) -> bool:
    low, high = _find_interval(limits, domain)
    if domain.is_whole:
        low = math.ceil(low) if math.isfinite(low) else low
        high = math.floor(high) if math.isfinite(high) else high
    return low <= high


def _find_interval(limits: Iterable[_Limit], domain: Domain) -> tuple[float, float]:
    """Return the smallest and the largest number in the domain that meet all limits."""
    low, high = domain.low, domain.high
    for comparison, limit, tolerance in limits:
        lowest, highest = comparison.interval(limit, tolerance)
        low, high = max(low, lowest), min(high, highest)
    return low, high
