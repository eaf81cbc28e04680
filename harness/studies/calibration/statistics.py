"""What repeated measurements say of the next one: pure functions, on the assumption that they are normal.

With mean m and standard deviation s of n values, the next value x has

    (x - m) / (s * sqrt(1 + 1/n))  distributed as Student's t with n - 1 degrees of freedom

(the prediction interval of a normal sample, as in Hahn and Meeker, *Statistical Intervals*, 1991, 4.7). It
allows for mean and standard deviation being estimated from few values themselves.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from harness.scenario.bound_spec import Side

FEWEST = 3
"""Values from which a spread is told."""
POWER = 0.8
"""Chance with which a regression must be seen to count as one that can be."""

_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class Limits:
    """What a value must lie between; none on a side that is open."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Sample:
    """Repeated measurements of one number."""

    n: int
    mean: float
    sd: float
    """Standard deviation, with n - 1."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        """What the values say.

        Raises:
            ValueError: There are fewer than three.
        """
        if len(values) < FEWEST:
            raise ValueError(f"a spread needs at least {FEWEST} values, not {len(values)}")
        mean, spread = statistics.fmean(values), statistics.stdev(values)
        # What differs in its last digits alone has been added up in another order.
        varies = spread > _NO_SPREAD * abs(mean)
        return cls(len(values), mean, spread) if varies else cls(len(values), values[0], 0.0)

    @property
    def scale(self) -> float:
        """Of the next value's distance to the mean."""
        return self.sd * math.sqrt(1 + 1 / self.n)


def propose(sample: Sample, side: Side, false_alarms: float) -> Limits:
    """Limits that the next value crosses this seldom, rounded outwards; the value itself where none varies.

    Args:
        sample: What was measured.
        side: On which side of the values the bound lies.
        false_alarms: Chance that an unchanged model crosses the limits, between 0 and 1.
    """
    if not sample.scale:
        return Limits(
            None if side == "max" else sample.mean,
            None if side == "min" else sample.mean,
        )
    # A bound on both sides shares its false alarms between them.
    reach = _reach(sample, false_alarms / 2 if side == "both" else false_alarms)
    return Limits(
        None if side == "max" else _round_to_scale(sample.mean - reach, sample, math.floor),
        None if side == "min" else _round_to_scale(sample.mean + reach, sample, math.ceil),
    )


def false_alarm_rate(sample: Sample, limits: Limits) -> float | None:
    """Chance that the next value of an unchanged model crosses the limits; ``None`` where none varies."""
    if not sample.scale:
        return None
    below = 0.0 if limits.low is None else _chance_below(sample, limits.low)
    # The distribution is symmetric: so far above is as rare as so far below.
    above = 0.0 if limits.high is None else _chance_below(sample, 2 * sample.mean - limits.high)
    return below + above


def smallest_regression(sample: Sample, limits: Limits, power: float = POWER) -> float | None:
    """By how much a model must get worse for its next value to cross a limit with a chance of ``power``.

    With a limit on both sides, the larger of both. Negative where the limit is crossed so often without any
    regression; ``None`` where no value varies.
    """
    if not sample.scale:
        return None
    margin = _reach(sample, 1 - power)
    found = []
    if limits.low is not None:
        found.append(sample.mean - limits.low + margin)
    if limits.high is not None:
        found.append(limits.high - sample.mean + margin)
    return max(found, default=None)


def _chance_below(sample: Sample, value: float) -> float:
    """Chance that the next value lies below this one."""
    from scipy import stats

    return float(stats.t.cdf((value - sample.mean) / sample.scale, sample.n - 1))


def _reach(sample: Sample, chance: float) -> float:
    """How far above the mean the next value lies with no more than this chance."""
    from scipy import stats

    return float(stats.t.isf(chance, sample.n - 1)) * sample.scale


def _round_to_scale(value: float, sample: Sample, towards: Callable[[Decimal], int]) -> float:
    """To two digits of the scale: more of them say nothing."""
    unit = Decimal(10) ** (math.floor(math.log10(sample.scale)) - 1)
    return float(towards(Decimal(repr(value)) / unit) * unit)
