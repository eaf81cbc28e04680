"""The numbers of a version that can be bounded, and which values they can take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import Location
from harness.metrics import ADDED, METRICS
from harness.scenario.expectations import Bounds, Expect

_WHOLE = ("_rows", "_positives")
"""Ends of the names of metrics that are counts."""
_NEVER_NEGATIVE = ("test_log_loss", f"{ADDED}test_log_loss")


@dataclass(frozen=True)
class Domain:
    """The values that a number can take."""

    low: float = -math.inf
    high: float = math.inf
    is_whole: bool = False

    @property
    def of_changes(self) -> Domain:
        """Of the difference of two such numbers."""
        spread = self.high - self.low
        return Domain(-spread, spread, self.is_whole)

    @property
    def of_relative_changes(self) -> Domain:
        """Of the difference as a share of the earlier number."""
        return Domain(-1.0 if self.low >= 0 else -math.inf)


_SHARES = Domain(0.0, 1.0)
_COUNTS = Domain(0.0, is_whole=True)
_PROTOCOLS = Domain(1.0, is_whole=True)


@dataclass(frozen=True)
class Number:
    """One number that is bounded."""

    name: str
    """By which reports call it."""
    bounds: Bounds
    at: Location
    """The place of its bounds, below ``expect`` or ``every``."""
    domain: Domain
    of_model: bool = False
    """Whether only a version that is trained has it."""


def numbers(expect: Expect) -> Iterator[Number]:
    """Every number that is bounded."""
    yield from _of_data(expect)
    for name, bounds in expect.metrics.items():
        yield Number(name, bounds, ("metrics", name), _domain(name), of_model=True)
    for name, bounds in expect.coefficients.items():
        yield Number(f"coefficient({name})", bounds, ("coefficients", name), Domain(), of_model=True)
    if expect.explanations is not None:
        for name, bounds in expect.explanations.weight.items():
            at: Location = ("explanations", "weight", name)
            yield Number(f"weight({name})", bounds, at, Domain(), of_model=True)
        for name, bounds in expect.explanations.share.items():
            yield Number(f"share({name})", bounds, ("explanations", "share", name), _SHARES, of_model=True)


def _of_data(expect: Expect) -> Iterator[Number]:
    for name in ("rows", "null_keys", "duplicate_keys"):
        bounds: Bounds | None = getattr(expect, name)
        if bounds is not None:
            yield Number(name, bounds, (name,), _COUNTS)
    for name, of_column in expect.nulls.items():
        yield Number(f"nulls({name})", of_column, ("nulls", name), _SHARES)
    if expect.protocol is not None:
        for name in ("reader", "writer"):
            bounds = getattr(expect.protocol, name)
            if bounds is not None:
                yield Number(f"protocol.{name}", bounds, ("protocol", name), _PROTOCOLS)


def _domain(metric: str) -> Domain:
    definition = METRICS.get(metric)
    if metric.endswith(_WHOLE):
        return _COUNTS
    if metric in _NEVER_NEGATIVE:
        return Domain(0.0)
    return _SHARES if definition is not None and definition.unit_interval else Domain()
