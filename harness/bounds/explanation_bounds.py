"""How far the explanations of two versions agree: pure functions of the features' weights.

Weights are per standard deviation of their feature: as they come, they depend on its unit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from statistics import StatisticsError, correlation

from harness.results import FeatureExplanation, Measured

Weights = Mapping[str, FeatureExplanation]
How = Callable[[Weights, Weights], Measured]
"""From the weights now and before to a share or a correlation; ``None`` where there is none."""

_CLEAR = 1e-9
"""A weight nearer to zero has no sign."""
_FEWEST_TO_RANK = 3


def top_overlap(now: Weights, before: Weights, k: int) -> Measured:
    """Share of the ``k`` features with the most weight that are the same; ``None`` with fewer features."""
    if min(len(now), len(before)) < k:
        return None
    return len(_top(now, k) & _top(before, k)) / k


def sign_agreement(now: Weights, before: Weights) -> Measured:
    """Share of the features with a clear weight in both whose weight has the same sign; ``None`` without."""
    pairs = [(now[name].mean_per_sd, before[name].mean_per_sd) for name in now if name in before]
    clear = [(a, b) for a, b in pairs if min(abs(a), abs(b)) >= _CLEAR]
    return sum((a > 0) == (b > 0) for a, b in clear) / len(clear) if clear else None


def rank_correlation(now: Weights, before: Weights) -> Measured:
    """Spearman's, over the mean absolute weights of the features that both have.

    ``None`` with fewer than three such features, or where all weights of one are the same.
    """
    names = [name for name in now if name in before]
    if len(names) < _FEWEST_TO_RANK:
        return None
    try:
        return correlation(
            _ranks([now[name].mean_abs_per_sd for name in names]),
            _ranks([before[name].mean_abs_per_sd for name in names]),
        )
    except StatisticsError:
        return None


def _top(weights: Weights, k: int) -> set[str]:
    return set(sorted(weights, key=lambda name: (-weights[name].mean_abs_per_sd, name))[:k])


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + 1 + bisect_right(ordered, value)) / 2 for value in values]
