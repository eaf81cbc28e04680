"""A number held against a bound: pure arithmetic, in decimals, as the numbers are written.

From 0.8 to 0.7 the change is -0.1, and meets a bound of -0.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from harness.bounds.measured_values import Value
from harness.results import BoundKind, BoundResult, Measured, Verdict
from harness.scenario.expectations import Baseline, Bound, Change


def values(metric: str, bound: Bound, value: Value) -> Iterator[BoundResult]:
    """What a bound says of the number itself, each part by itself."""
    if bound.min is not None:
        yield at_least(metric, value, bound.min)
    if bound.max is not None:
        yield _judged(metric, "max", value, bound.max)
    if bound.equals is not None:
        yield _judged(metric, "equals", value, bound.equals, tolerance=bound.tolerance or 0.0)


def changes(
    metric: str, said: Change | Baseline, now: Value, before: Value, since: str
) -> Iterator[BoundResult]:
    """What a bound says of the way from one number to another, each part by itself."""
    change = _relative(now, before, since) if said.relative else _absolute(now, before)
    if said.min is not None:
        yield _judged(metric, "change_min", change, said.min, since=since, relative=said.relative)
    if said.max is not None:
        yield _judged(metric, "change_max", change, said.max, since=since, relative=said.relative)


def at_least(metric: str, value: Value, bound: float, since: str | None = None) -> BoundResult:
    """Whether a number is not below a bound.

    Args:
        metric: Its name.
        value: The number.
        bound: What it must reach.
        since: The version that the number compares with, where it does.
    """
    return _judged(metric, "min", value, bound, since=since)


def _absolute(now: Value, before: Value) -> Value:
    reason = now.reason or before.reason
    if now.number is None or before.number is None:
        return Value(None, reason)
    return Value(_difference(now.number, before.number), reason)


def _relative(now: Value, before: Value, since: str) -> Value:
    """The change as a share of the earlier number."""
    reason = now.reason or before.reason
    if now.number is None or before.number is None:
        return Value(None, reason)
    if not before.number:
        return Value(None, reason or f"it was 0 at {since}, and no change is a share of 0")
    change = _exact(now.number) - _exact(before.number)
    return Value(_finite(change / abs(_exact(before.number))), reason)


def _judged(
    metric: str,
    kind: BoundKind,
    value: Value,
    bound: float,
    *,
    tolerance: float = 0.0,
    since: str | None = None,
    relative: bool = False,
) -> BoundResult:
    distance = None if value.number is None else _distance(kind, value.number, bound, tolerance)
    reason = value.reason
    if distance is None:
        reason = reason or f"{metric} is too far off to be compared"
    verdict = Verdict.NOT_PROVEN
    if distance is not None and not reason:
        verdict = Verdict.PASS if distance >= 0 else Verdict.FAIL
    return BoundResult(
        metric=metric,
        kind=kind,
        measured=value.number,
        bound=bound,
        tolerance=tolerance,
        since=since,
        relative=relative,
        distance=distance,
        verdict=verdict,
        reason=reason,
    )


def _distance(kind: BoundKind, measured: float, bound: float, tolerance: float) -> Measured:
    if kind in ("min", "change_min"):
        return _difference(measured, bound)
    if kind in ("max", "change_max"):
        return _difference(bound, measured)
    return _finite(_exact(tolerance) - abs(_exact(measured) - _exact(bound)))


def _difference(left: float, right: float) -> Measured:
    return _finite(_exact(left) - _exact(right))


def _exact(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _finite(number: Decimal) -> Measured:
    """As a float; ``None`` where it is too large for one."""
    value = float(number)
    return value if math.isfinite(value) else None
