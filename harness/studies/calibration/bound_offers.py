"""What repeated runs say of a scenario's bounds: pure functions of their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.bounds.judge import Baselines, judge_versions, overall
from harness.metrics import ADDED, METRICS
from harness.results import BoundKind, BoundResult, Measured, Model, Result, Verdict
from harness.scenario.expectations import Bound, Change, Expect
from harness.scenario.model import Scenario
from harness.studies.calibration.statistics import (
    FEWEST,
    POWER,
    Limits,
    Sample,
    Side,
    false_alarm_rate,
    propose,
    smallest_regression,
)

ASSUMPTION = (
    "Assumed: the values of other seeds are normally distributed. Another seed means other held-out rows, "
    "folds and samples of the same table; what other data would change is not in these numbers."
)
_SIDES: dict[BoundKind, Side] = {
    "min": "min",
    "max": "max",
    "change_min": "min",
    "change_max": "max",
    "equals": "both",
}
_LOWER_IS_BETTER = ("test_log_loss",)
_HIGHER_IS_BETTER = (
    "cv_roc_auc",
    "test_roc_auc",
    "test_pr_auc",
    "test_accuracy",
    "test_f1",
    "lime_r2_mean",
)


class Offer(Model):
    """One bound, as it is or as it is proposed, and what it is worth."""

    value: float
    tolerance: float = 0.0
    """Of a bound that is met by equal values alone."""
    false_alarms: Measured
    """Chance that it fails though nothing has changed; none where no value varied."""
    sees: Measured
    """The smallest regression that it fails at with a chance of ``POWER``; none where no value varied."""


class Calibrated(Model):
    """One bound of one version over the repeated runs."""

    version: str
    metric: str
    kind: BoundKind
    since: str | None
    relative: bool
    must_fail: bool
    values: tuple[float, ...]
    """By run; without those that prove nothing."""
    mean: Measured
    sd: Measured
    now: Offer | None
    """The bound that is there; none where it was looked at without one."""
    proposed: Offer | None
    """None where the values do not vary, are too few, must fail, or vary too much for any bound."""


class Calibration(Model):
    """What a scenario's repeated runs came to."""

    scenario: str
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    """By seed."""
    taken: int
    """How many of the runs were there already."""
    false_alarms: float
    """The rate asked for, of each bound."""
    power: float = POWER
    assumption: str = ASSUMPTION
    passed: int
    """How many of the runs meet the scenario's bounds as they are."""
    bounds: tuple[Calibrated, ...]

    @property
    def together(self) -> float:
        """Most of the runs of an unchanged model in which some proposed bound fails (Bonferroni)."""
        return min(1.0, sum(each.proposed.false_alarms or 0.0 for each in self.bounds if each.proposed))


def calibrate_bounds(
    scenario: Scenario,
    results: Sequence[Result],
    false_alarms: float,
    baselines: Baselines | None = None,
    *,
    every_metric: bool = False,
) -> tuple[Calibrated, ...]:
    """Every bound on a number over repeated runs, in the order of the versions.

    Args:
        scenario: Its bounds are the ones that are looked at.
        results: Of runs that differ in their seed alone.
        false_alarms: Rate of false alarms that a proposed bound may have, between 0 and 1.
        baselines: What other runs have found, where bounds name some.
        every_metric: Also the metrics of quality that the scenario does not bound, and their changes.
    """
    said = _by_bound(scenario, results, baselines)
    bounds = {key: _calibrated(key, each, false_alarms, known=True) for key, each in said.items()}
    if every_metric:
        for key, each in _by_bound(_asking_for_all(scenario), results, None).items():
            if key not in bounds and any(bound.measured is not None for bound in each):
                bounds[key] = _calibrated(key, each, false_alarms, known=False)
    places = {version.name: place for place, version in enumerate(scenario.versions)}
    return tuple(sorted(bounds.values(), key=lambda each: places[each.version]))


def passing(scenario: Scenario, results: Iterable[Result], baselines: Baselines | None = None) -> int:
    """How many runs meet the scenario's bounds."""
    verdicts = [
        overall(
            bound
            for version in judge_versions(scenario, each.versions, baselines)
            for bound in version.bounds
        )
        for each in results
    ]
    return verdicts.count(Verdict.PASS)


_Key = tuple[str, str, BoundKind, str | None, bool]


def _by_bound(
    scenario: Scenario, results: Iterable[Result], baselines: Baselines | None
) -> dict[_Key, list[BoundResult]]:
    """Every bound on a number, as each run meets it; of two on the same number and side the first."""
    bounds: dict[_Key, list[BoundResult]] = {}
    for result in results:
        of_run: dict[_Key, BoundResult] = {}
        for version in judge_versions(scenario, result.versions, baselines):
            for bound in version.bounds:
                key = (version.name, bound.metric, bound.kind, bound.since, bound.relative)
                of_run.setdefault(key, bound)
        for key, bound in of_run.items():
            if bound.kind in _SIDES:
                bounds.setdefault(key, []).append(bound)
    return bounds


def _calibrated(key: _Key, found: Sequence[BoundResult], rate: float, *, known: bool) -> Calibrated:
    version, metric, kind, since, relative = key
    values = tuple(
        each.measured
        for each in found
        if each.measured is not None and each.verdict is not Verdict.NOT_PROVEN
    )
    sample = Sample.of(values) if len(values) >= FEWEST else None
    first = found[0]
    is_proposed = sample is not None and sample.sd and not first.must_fail
    return Calibrated(
        version=version,
        metric=metric,
        kind=kind,
        since=since,
        relative=relative,
        must_fail=first.must_fail,
        values=values,
        mean=None if sample is None else sample.mean,
        sd=None if sample is None else sample.sd,
        now=_now(first, sample) if known else None,
        proposed=_proposed(sample, kind, rate, _most(first)) if sample and is_proposed else None,
    )


def _now(bound: BoundResult, sample: Sample | None) -> Offer | None:
    if bound.bound is None:
        return None
    return _offer(sample, _SIDES[bound.kind], bound.bound, bound.tolerance)


def _proposed(sample: Sample, kind: BoundKind, rate: float, most: Limits) -> Offer | None:
    """None where only a bound that every value meets would fail as seldom."""
    side = _SIDES[kind]
    limits = propose(sample, side, rate)
    if limits.low is not None and limits.high is not None:
        return _offer(sample, side, (limits.low + limits.high) / 2, (limits.high - limits.low) / 2)
    if limits.low is not None:
        says = most.low is None or limits.low > most.low
        return _offer(sample, side, limits.low) if says else None
    if limits.high is not None:
        says = most.high is None or limits.high < most.high
        return _offer(sample, side, limits.high) if says else None
    return None


def _most(bound: BoundResult) -> Limits:
    """Between what a metric always lies: a bound there or beyond says nothing."""
    definition = METRICS.get(bound.metric)
    if bound.since is not None or definition is None or not definition.unit_interval:
        return Limits()
    return Limits(0.0, 1.0)


def _offer(sample: Sample | None, side: Side, value: float, tolerance: float = 0.0) -> Offer:
    limits = Limits(
        None if side == "max" else value - tolerance,
        None if side == "min" else value + tolerance,
    )
    return Offer(
        value=value,
        tolerance=tolerance,
        false_alarms=None if sample is None else false_alarm_rate(sample, limits),
        sees=None if sample is None else smallest_regression(sample, limits),
    )


def _asking_for_all(scenario: Scenario) -> Scenario:
    """The scenario with nothing but a bound on every metric of quality, and on its change."""
    metrics = {
        f"{prefix}{name}": (
            Bound(max=0, change=Change(max=0)) if low else Bound(min=0, change=Change(min=0)),
        )
        for names, low in ((_HIGHER_IS_BETTER, False), (_LOWER_IS_BETTER, True))
        for name in names
        for prefix in (("", ADDED) if name.startswith("test_") else ("",))
    }
    return scenario.model_copy(
        update={
            "every": Expect(metrics=metrics),
            "versions": tuple(each.model_copy(update={"expect": Expect()}) for each in scenario.versions),
            "caught_by": (),
        }
    )
