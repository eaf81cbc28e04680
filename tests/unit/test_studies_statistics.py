"""Statistics of repeated runs: against SciPy, and against simulated runs."""

import math
import random
import statistics

import pytest
from hypothesis import given, strategies as st
from scipy import stats

from harness.studies.calibration.statistics import (
    Limits,
    Sample,
    false_alarm_rate,
    propose,
    smallest_regression,
)

FIVE = Sample.of([0.71, 0.69, 0.72, 0.70, 0.68])
SPREADS = st.tuples(st.integers(3, 40), st.floats(-5, 5), st.floats(1e-3, 10))


def _drawn(chance: random.Random, n: int) -> list[float]:
    return [chance.gauss(0.7, 0.02) for _ in range(n)]


def test_a_sample_is_described_by_mean_and_standard_deviation() -> None:
    """The standard deviation has n - 1 below it."""
    assert 5 == FIVE.n
    assert 0.7 == pytest.approx(FIVE.mean)
    assert 0.0158113883 == pytest.approx(FIVE.sd)


@pytest.mark.parametrize("values", [[], [0.7], [0.7, 0.8]])
def test_fewer_than_three_values_tell_no_spread(values: list[float]) -> None:
    """Two runs that happen to agree would promise what nobody knows."""
    with pytest.raises(ValueError, match="at least 3 values"):
        Sample.of(values)


def test_a_difference_in_the_last_digits_is_no_spread() -> None:
    """Sums that were added up in another order."""
    assert 0.0 == Sample.of([0.7, 0.7 + 1e-16, 0.7]).sd


def test_the_proposed_minimum_is_the_prediction_limit() -> None:
    """Mean - t(0.99; 4) * sd * sqrt(1 + 1/5) = 0.7 - 3.7469 * 0.0158114 * 1.0954 = 0.6351; rounded down."""
    assert Limits(low=0.635) == propose(FIVE, "min", 0.01)


def test_the_proposed_maximum_mirrors_the_minimum() -> None:
    """Rounded up: outwards."""
    assert Limits(high=0.765) == propose(FIVE, "max", 0.01)


def test_a_bound_on_both_sides_shares_its_false_alarms() -> None:
    """t(0.975; 4) = 2.7764 on either side for 5 %."""
    reach = 2.7764451 * FIVE.scale
    found = propose(FIVE, "both", 0.05)
    assert pytest.approx(0.7 - reach, abs=1e-3) == found.low
    assert pytest.approx(0.7 + reach, abs=1e-3) == found.high


@given(SPREADS, st.sampled_from(["min", "max", "both"]), st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_a_proposed_bound_keeps_its_rate(spread: tuple[int, float, float], side: str, rate: float) -> None:
    """Rounding outwards makes it fail less often, never more, and hardly less."""
    sample = Sample(*spread)
    found = false_alarm_rate(sample, propose(sample, side, rate))  # type: ignore[arg-type]
    assert found is not None
    assert 0.5 * rate <= found <= rate * (1 + 1e-9)


@given(SPREADS, st.floats(-20, 20))
def test_the_rate_of_false_alarms_is_scipys(spread: tuple[int, float, float], low: float) -> None:
    """Student's t with n - 1 degrees of freedom, shifted to the mean and scaled."""
    sample = Sample(*spread)
    expected = stats.t(sample.n - 1, loc=sample.mean, scale=sample.sd * math.sqrt(1 + 1 / sample.n)).cdf(low)
    assert expected == pytest.approx(false_alarm_rate(sample, Limits(low=low)), abs=1e-12)


def test_proposed_bounds_fail_as_seldom_as_they_say() -> None:
    """Of 4,000 simulated calibrations from 5 runs, the sixth run breaks the 5 % bound in 5 % of them."""
    chance = random.Random(1)  # noqa: S311 - simulated runs, no secret
    broken = 0
    for _ in range(4000):
        sample = Sample.of(_drawn(chance, 5))
        low = propose(sample, "min", 0.05).low
        assert low is not None
        broken += chance.gauss(0.7, 0.02) < low
    assert 0.05 == pytest.approx(broken / 4000, abs=3 * math.sqrt(0.05 * 0.95 / 4000))


def test_normal_quantiles_would_fail_more_often_than_they_say() -> None:
    """What the prediction limit is for: mean - 1.645 sd of 5 runs breaks in some 12 %, not in 5 %."""
    chance = random.Random(1)  # noqa: S311 - simulated runs, no secret
    broken = 0
    for _ in range(4000):
        values = _drawn(chance, 5)
        broken += chance.gauss(0.7, 0.02) < statistics.fmean(values) - 1.645 * statistics.stdev(values)
    assert broken / 4000 > 0.09


def test_the_smallest_regression_is_seen_with_its_power() -> None:
    """A model that is worse by that much breaks the bound in 80 % of 4,000 simulations."""
    chance = random.Random(2)  # noqa: S311 - simulated runs, no secret
    seen = 0
    for _ in range(4000):
        sample = Sample.of(_drawn(chance, 5))
        limits = propose(sample, "min", 0.05)
        worse = smallest_regression(sample, limits)
        assert limits.low is not None
        assert worse is not None
        seen += chance.gauss(0.7, 0.02) - worse < limits.low
    assert 0.8 == pytest.approx(seen / 4000, abs=3 * math.sqrt(0.8 * 0.2 / 4000))


def test_a_tighter_bound_sees_smaller_regressions() -> None:
    """And fails more often by chance: what a rate of false alarms is chosen between."""
    loose, tight = propose(FIVE, "min", 0.01), propose(FIVE, "min", 0.1)
    assert (smallest_regression(FIVE, loose) or 0) > (smallest_regression(FIVE, tight) or 0)


def test_more_runs_see_smaller_regressions() -> None:
    """With the same spread: less is unknown."""
    few, many = Sample(3, 0.7, 0.02), Sample(30, 0.7, 0.02)
    found = [smallest_regression(each, propose(each, "min", 0.01)) or 0.0 for each in (few, many)]
    assert found[0] > 2 * found[1]


def test_the_larger_regression_counts_where_a_bound_has_two_sides() -> None:
    """A value off the middle has further to go on one side."""
    off = smallest_regression(FIVE, Limits(0.60, 0.75))
    assert smallest_regression(FIVE, Limits(low=0.60)) == off


def test_values_that_do_not_vary_have_no_rates() -> None:
    """The value itself is all that can be said."""
    constant = Sample.of([300.0, 300.0, 300.0])
    assert Limits(low=300.0) == propose(constant, "min", 0.01)
    assert (None, None) == (
        false_alarm_rate(constant, Limits(low=290)),
        smallest_regression(constant, Limits(low=290)),
    )


def test_an_open_limit_sees_nothing() -> None:
    """No limit, no alarm."""
    assert (0.0, None) == (false_alarm_rate(FIVE, Limits()), smallest_regression(FIVE, Limits()))
