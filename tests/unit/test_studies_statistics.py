"""Statistics of repeated runs, compared with SciPy and with simulated runs."""

import math
import random
import statistics

import pytest
from scipy import stats

from harness.studies.calibration.statistics import (
    Limits,
    Sample,
    compute_false_alarm_rate,
    compute_smallest_regression,
    propose_limits,
)
from tests.properties import given, st

FIVE = Sample.from_values([0.71, 0.69, 0.72, 0.70, 0.68])
SPREADS = st.tuples(st.integers(3, 40), st.floats(-5, 5), st.floats(1e-3, 10))


def _drawn(chance: random.Random, n: int) -> list[float]:
    return [chance.gauss(0.7, 0.02) for _ in range(n)]


def test_a_sample_is_described_by_mean_and_standard_deviation() -> None:
    """A sample has its size, its mean, and its standard deviation with n - 1 in the denominator."""
    assert 5 == FIVE.n
    assert 0.7 == pytest.approx(FIVE.mean)
    assert 0.0158113883 == pytest.approx(FIVE.sd)


@pytest.mark.parametrize("values", [[], [0.7], [0.7, 0.8]])
def test_fewer_than_three_values_are_refused(values: list[float]) -> None:
    """Two values that happen to agree are not taken for a small spread."""
    with pytest.raises(ValueError, match="at least 3 values"):
        Sample.from_values(values)


def test_a_difference_in_the_last_digits_is_ignored() -> None:
    """Values that differ only by rounding have no spread."""
    assert 0.0 == Sample.from_values([0.7, 0.7 + 1e-16, 0.7]).sd


def test_the_proposed_minimum_is_the_prediction_limit() -> None:
    """Mean - t(0.99; 4) * sd * sqrt(1 + 1/5) = 0.7 - 3.7469 * 0.0158114 * 1.0954 = 0.6351; rounded down."""
    assert Limits(low=0.635) == propose_limits(FIVE, "min", 0.01)


def test_the_proposed_maximum_mirrors_the_minimum() -> None:
    """The proposed maximum is as far from the mean as the minimum, and rounded up."""
    assert Limits(high=0.765) == propose_limits(FIVE, "max", 0.01)


def test_a_bound_on_both_sides_shares_its_false_alarms() -> None:
    """A two-sided bound with a rate of 5 % uses t(0.975; 4) = 2.7764 on each side."""
    reach = 2.7764451 * FIVE.scale
    actual = propose_limits(FIVE, "both", 0.05)
    assert pytest.approx(0.7 - reach, abs=1e-3) == actual.low
    assert pytest.approx(0.7 + reach, abs=1e-3) == actual.high


@given(SPREADS, st.sampled_from(["min", "max", "both"]), st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_a_proposed_bound_keeps_its_rate(spread: tuple[int, float, float], side: str, rate: float) -> None:
    """Rounding outwards makes a bound fail slightly less often than requested, and never more often."""
    sample = Sample(*spread)
    actual = compute_false_alarm_rate(sample, propose_limits(sample, side, rate))  # type: ignore[arg-type]
    assert actual is not None
    assert 0.5 * rate <= actual <= rate * (1 + 1e-9)


@given(SPREADS, st.floats(-20, 20))
def test_the_false_alarm_rate_agrees_with_scipy(spread: tuple[int, float, float], low: float) -> None:
    """The false alarm rate is that of SciPy's Student's t, shifted to the mean and scaled."""
    sample = Sample(*spread)
    expected = stats.t(sample.n - 1, loc=sample.mean, scale=sample.sd * math.sqrt(1 + 1 / sample.n)).cdf(low)
    assert expected == pytest.approx(compute_false_alarm_rate(sample, Limits(low=low)), abs=1e-12)


def test_proposed_bounds_fail_at_their_rate() -> None:
    """Of 4,000 simulated calibrations from 5 runs, the sixth run breaks the 5 % bound in 5 % of them."""
    chance = random.Random(1)  # noqa: S311 - simulated runs, no secret
    broken = 0
    for _ in range(4000):
        sample = Sample.from_values(_drawn(chance, 5))
        low = propose_limits(sample, "min", 0.05).low
        assert low is not None
        broken += chance.gauss(0.7, 0.02) < low
    assert 0.05 == pytest.approx(broken / 4000, abs=3 * math.sqrt(0.05 * 0.95 / 4000))


def test_normal_quantiles_would_fail_too_often() -> None:
    """The bound mean - 1.645 sd of 5 runs fails in some 12 % of them, not in 5 %."""
    chance = random.Random(1)  # noqa: S311 - simulated runs, no secret
    broken = 0
    for _ in range(4000):
        values = _drawn(chance, 5)
        broken += chance.gauss(0.7, 0.02) < statistics.fmean(values) - 1.645 * statistics.stdev(values)
    assert broken / 4000 > 0.09


def test_the_smallest_regression_is_detected_with_its_power() -> None:
    """A model that is worse by that much breaks the bound in 80 % of 4,000 simulations."""
    chance = random.Random(2)  # noqa: S311 - simulated runs, no secret
    seen = 0
    for _ in range(4000):
        sample = Sample.from_values(_drawn(chance, 5))
        limits = propose_limits(sample, "min", 0.05)
        worse = compute_smallest_regression(sample, limits)
        assert limits.low is not None
        assert worse is not None
        seen += chance.gauss(0.7, 0.02) - worse < limits.low
    assert 0.8 == pytest.approx(seen / 4000, abs=3 * math.sqrt(0.8 * 0.2 / 4000))


def test_a_tighter_bound_detects_smaller_regressions() -> None:
    """A bound with a higher false alarm rate detects smaller regressions."""
    loose, tight = propose_limits(FIVE, "min", 0.01), propose_limits(FIVE, "min", 0.1)
    assert (compute_smallest_regression(FIVE, loose) or 0) > (compute_smallest_regression(FIVE, tight) or 0)


def test_more_runs_detect_smaller_regressions() -> None:
    """With the same spread, a bound from more runs detects smaller regressions."""
    few, many = Sample(3, 0.7, 0.02), Sample(30, 0.7, 0.02)
    actual = [
        compute_smallest_regression(each, propose_limits(each, "min", 0.01)) or 0.0 for each in (few, many)
    ]
    assert actual[0] > 2 * actual[1]


def test_the_larger_regression_counts_for_two_sided_bounds() -> None:
    """The smallest regression of a two-sided bound is that of the side further from the mean."""
    off = compute_smallest_regression(FIVE, Limits(0.60, 0.75))
    assert compute_smallest_regression(FIVE, Limits(low=0.60)) == off


def test_values_that_do_not_vary_have_no_rates() -> None:
    """Constant values lead to limits at the value, without rates."""
    constant = Sample.from_values([300.0, 300.0, 300.0])
    assert Limits(low=300.0) == propose_limits(constant, "min", 0.01)
    assert (None, None) == (
        compute_false_alarm_rate(constant, Limits(low=290)),
        compute_smallest_regression(constant, Limits(low=290)),
    )


def test_open_limits_detect_nothing() -> None:
    """Without limits there are no false alarms, and no regression is detected."""
    assert (0.0, None) == (
        compute_false_alarm_rate(FIVE, Limits()),
        compute_smallest_regression(FIVE, Limits()),
    )
