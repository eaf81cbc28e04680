"""Drift of a feature: how far its distribution at one version is from that at another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.bounds.measured_values import Value
from harness.results import Bin, MeasuredValue, VersionResult

DRIFT = "drift"
"""Kind of the bounded quantity, and its key below ``expect`` or ``every``."""


def compute_stability_index(before: Sequence[int], after: Sequence[int]) -> float:
    """Return the population stability index of two counts over the same bins.

    It is the sum of ``(p - q) * ln(p / q)`` over the bins, where ``q`` and ``p`` are the bin's shares before
    and after. Half a row is added to each bin, so that empty bins have a logarithm. The index is 0 for equal
    shares.
    """
    shares = []
    for counts in (before, after):
        total = sum(counts) + len(counts) / 2
        shares.append([(count + 0.5) / total for count in counts])
    return math.fsum((p - q) * math.log(p / q) for q, p in zip(*shares, strict=True))


def merge_bins(
    before: Sequence[int], after: Sequence[int], share: float
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Merge neighbouring bins until each has at least a share of the rows from before."""
    least = share * sum(before)
    merged: list[list[int]] = [[0, 0]]
    for counts in zip(before, after, strict=True):
        if merged[-1][0] >= least:
            merged.append([0, 0])
        merged[-1] = [one + other for one, other in zip(merged[-1], counts, strict=True)]
    if len(merged) > 1 and merged[-1][0] < least:
        last = merged.pop()
        merged[-1] = [one + other for one, other in zip(merged[-1], last, strict=True)]
    return tuple(each[0] for each in merged), tuple(each[1] for each in merged)


def compare_bins(before: Sequence[Bin], after: Sequence[Bin]) -> MeasuredValue:
    """Return the population stability index of two distributions; None if one has no row with a value."""
    counts = [[each.rows for each in bins] for bins in (before, after)]
    return compute_stability_index(*counts) if all(map(sum, counts)) else None


def measure_drift(feature: str, now: VersionResult, before: VersionResult) -> Value:
    """Measure the drift of a feature between two versions.

    Args:
        feature: Its name.
        now: The later version.
        before: The earlier version.
    """
    for version in (before, now):
        bins = version.distributions.get(feature)
        if bins is None:
            return Value(None, f"version {version.name} has no feature '{feature}'")
        if not sum(each.rows for each in bins):
            return Value(None, f"no row of version {version.name} has a value of '{feature}'")
    return Value(compare_bins(before.distributions[feature], now.distributions[feature]))
