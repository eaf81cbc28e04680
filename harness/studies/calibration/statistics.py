"""Predictions of the next value from repeated measurements that are assumed to be normally distributed.

With mean m and standard deviation s of n values, the next value x has

    (x - m) / (s * sqrt(1 + 1/n))  distributed as Student's t with n - 1 degrees of freedom

(the prediction interval of a normal sample, as in Hahn and Meeker, *Statistical Intervals*, 1991, 4.7). It
takes into account that mean and standard deviation are estimates from few values.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from harness.scenario.bound_spec import Side

FEWEST = 3
"""Minimum number of values for an estimate of their spread."""
POWER = 0.8
"""Chance with which a bound must detect a regression."""

_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Limits:
    """Limits of a value; ``None`` for a side without a limit."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Sample:
    """Repeated measurements of one number."""

    n: int
    mean: float
    sd: float
    """Sample standard deviation, with n - 1 in the denominator."""

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Sample:
        """Return the size, the mean and the standard deviation of values.

        Raises:
            ValueError: There are fewer than three values.
        """
        if len(values) < FEWEST:
            raise ValueError(f"a spread needs at least {FEWEST} values, not {len(values)}")
        mean, spread = statistics.fmean(values), statistics.stdev(values)
        # Values that differ only in their last digits are sums of the same numbers in another order.
        varies = spread > _NO_SPREAD * abs(mean)
        return cls(len(values), mean, spread) if varies else cls(len(values), values[0], 0.0)

    @property
    def scale(self) -> float:
        """Scale of the t distribution of the next value's distance from the mean."""
        return self.sd * math.sqrt(1 + 1 / self.n)


def propose_limits(sample: Sample, side: Side, false_alarms: float) -> Limits:
    """Return limits with a false alarm rate, rounded outwards; the value itself if the values don't vary.

    Args:
        sample: The repeated measurements.
        side: Which side the limits are on.
        false_alarms: Chance that an unchanged model crosses the limits, between 0 and 1.
    """
    if not sample.scale:
        return Limits(
            None if side == "max" else sample.mean,
            None if side == "min" else sample.mean,
        )
    # A bound on both sides shares its false alarms between them.
    reach = _compute_reach(sample, false_alarms / 2 if side == "both" else false_alarms)
    return Limits(
        None if side == "max" else _round_to_scale(sample.mean - reach, sample, math.floor),
        None if side == "min" else _round_to_scale(sample.mean + reach, sample, math.ceil),
    )


def compute_false_alarm_rate(sample: Sample, limits: Limits) -> float | None:
    """Return the chance that an unchanged model crosses the limits; ``None`` if the values don't vary."""
    if not sample.scale:
        return None
    below = 0.0 if limits.low is None else _compute_chance_below(sample, limits.low)
    # The distribution is symmetric around the mean.
    above = 0.0 if limits.high is None else _compute_chance_below(sample, 2 * sample.mean - limits.high)
    return below + above


def compute_smallest_regression(sample: Sample, limits: Limits) -> float | None:
    """Return how much worse a model must get to cross a limit with a chance of ``POWER``.

    With limits on both sides, it is the larger of the two regressions. It is negative if the limit is crossed
    that often without any regression, and ``None`` if the values don't vary.
    """
    if not sample.scale:
        return None
    margin = _compute_reach(sample, 1 - POWER)
    regressions = []
    if limits.low is not None:
        regressions.append(sample.mean - limits.low + margin)
    if limits.high is not None:
        regressions.append(limits.high - sample.mean + margin)
    return max(regressions, default=None)


def _compute_chance_below(sample: Sample, value: float) -> float:
    """Return the chance that the next value is below a value."""
    from scipy import stats

    return float(stats.t.cdf((value - sample.mean) / sample.scale, sample.n - 1))


def _compute_reach(sample: Sample, chance: float) -> float:
    """Return the distance above the mean that the next value exceeds with this chance."""
    from scipy import stats

    return float(stats.t.isf(chance, sample.n - 1)) * sample.scale


def _round_to_scale(value: float, sample: Sample, towards: Callable[[Decimal], int]) -> float:
    """Round a value to two digits of the scale; further digits carry no information."""
    unit = Decimal(10) ** (math.floor(math.log10(sample.scale)) - 1)
    return float(towards(Decimal(repr(value)) / unit) * unit)
