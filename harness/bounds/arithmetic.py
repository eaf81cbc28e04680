"""Differences and distances between numbers: pure arithmetic, in decimals, as the numbers are written.

From 0.8 to 0.7 the change is -0.1, which meets a bound of -0.1.
"""

from __future__ import annotations

import math
from decimal import Decimal

from harness.bounds.measured_values import Value
from harness.results import Measured
from harness.scenario.bound_spec import Comparison


def compute_change(now: Value, before: Value) -> Value:
    """Return the difference between two numbers."""
    reason = now.reason or before.reason
    if now.number is None or before.number is None:
        return Value(None, reason)
    return Value(_finite(_exact(now.number) - _exact(before.number)), reason)


def compute_relative_change(now: Value, before: Value, since: str) -> Value:
    """Return the difference between two numbers as a share of the earlier one.

    Args:
        now: The later number.
        before: The earlier number.
        since: The version of the earlier number, as reports write it.
    """
    reason = now.reason or before.reason
    if now.number is None or before.number is None:
        return Value(None, reason)
    if not before.number:
        return Value(None, reason or f"it was 0 at {since}, so a relative change is undefined")
    difference = _exact(now.number) - _exact(before.number)
    return Value(_finite(difference / abs(_exact(before.number))), reason)


def compute_distance(comparison: Comparison, measured: float, limit: float, tolerance: float) -> Measured:
    """Return how far inside a limit a number is; None if that is too large for a float."""
    return _finite(comparison.distance(_exact(measured), _exact(limit), _exact(tolerance)))


def _exact(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _finite(number: Decimal) -> Measured:
    value = float(number)
    return value if math.isfinite(value) else None
