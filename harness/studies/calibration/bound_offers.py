"""Calibration of a scenario's bounds: pure functions of the results of repeated runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from harness.bounds.judge import Baselines, combine_verdicts, judge
from harness.bounds.specs import list_bound_specs
from harness.metrics import METRICS, QUALITY_METRICS, SHARES
from harness.results import BoundRecord, BoundResult, MeasuredValue, Record, Result, Verdict
from harness.scenario.bound_spec import BoundKind, BoundSpec, Side
from harness.scenario.expectations import Bound, Change, Expect
from harness.scenario.model import Scenario
from harness.scenario.proof import Proof
from harness.studies.calibration.statistics import (
    FEWEST,
    POWER,
    Limits,
    Sample,
    compute_false_alarm_rate,
    compute_smallest_regression,
    propose_limits,
)

ASSUMPTION = (
    "Assumption: the values of different seeds are normally distributed. A seed changes the held-out rows, "
    "the folds and the samples of the same table. These numbers say nothing about other data."
)


class Offer(Record):
    """A limit, existing or proposed, with its false alarm rate and the regression that it detects."""

    value: float
    tolerance: float = 0.0
    """Allowed distance from a limit that the value must equal."""
    false_alarms: MeasuredValue
    """The chance that it fails although nothing has changed; None if the values don't vary."""
    sees: MeasuredValue
    """The smallest regression that it detects with a chance of ``POWER``; None if the values don't vary."""

    def apply_to(self, spec: BoundSpec) -> BoundSpec:
        """Return a bound with the offered limit."""
        return spec.model_copy(update={"limit": self.value, "tolerance": self.tolerance})


class CalibratedBound(BoundRecord):
    """A bound on one number, calibrated over the repeated runs."""

    derived: ClassVar[tuple[str, ...]] = ("version", *BoundRecord.derived)

    values: tuple[float, ...]
    """The measured values, a run each; values that prove nothing are left out."""
    mean: MeasuredValue
    sd: MeasuredValue
    now: Offer | None
    """The bound that the scenario sets; None if it doesn't bound this number."""
    proposed: Offer | None
    """None if the values are too few, don't vary or vary too much for a bound, or if the bound must fail."""

    @property
    def version(self) -> str:
        """The version of the bound."""
        return self.spec.version


class Calibration(Record):
    """The outcome of a scenario's repeated runs."""

    scenario: str
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    """In the order of the seeds."""
    taken: int
    """Number of stored runs that were reused."""
    false_alarms: float
    """The requested rate of false alarms of each bound."""
    power: float = POWER
    assumption: str = ASSUMPTION
    passed: int
    """Number of runs that meet the scenario's current bounds."""
    bounds: tuple[CalibratedBound, ...]

    @property
    def together(self) -> float:
        """Upper limit of the share of runs in which any proposed bound fails by chance (Bonferroni)."""
        return min(1.0, sum(each.proposed.false_alarms or 0.0 for each in self.bounds if each.proposed))


def calibrate_bounds(
    scenario: Scenario,
    results: Sequence[Result],
    false_alarms: float,
    baselines: Baselines | None = None,
    *,
    every_metric: bool = False,
) -> tuple[CalibratedBound, ...]:
    """Calibrate every bound on a number from repeated runs, in the order of the versions.

    Args:
        scenario: The scenario that sets the bounds.
        results: The results of runs that differ only in their seed.
        false_alarms: The rate of false alarms that a proposed bound may have, between 0 and 1.
        baselines: The numbers of other runs that bounds compare with.
        every_metric: Whether to include quality metrics that the scenario doesn't bound, and their changes.
    """
    specs = _select_numeric(list_bound_specs(scenario))
    bounds = {
        key: _calibrate_bound(found, false_alarms, is_set=True)
        for key, found in _judge_by_key(specs, results, baselines, scenario.proof).items()
    }
    if every_metric:
        specs = _select_numeric(list_bound_specs(_bound_all_metrics(scenario)))
        for key, found in _judge_by_key(specs, results, None, scenario.proof).items():
            if key not in bounds and any(bound.measured is not None for bound in found):
                bounds[key] = _calibrate_bound(found, false_alarms, is_set=False)
    order = {version.name: position for position, version in enumerate(scenario.versions)}
    return tuple(sorted(bounds.values(), key=lambda each: order[each.version]))


def count_passing(scenario: Scenario, results: Iterable[Result], baselines: Baselines | None = None) -> int:
    """Return how many runs meet the scenario's bounds."""
    specs = list_bound_specs(scenario)
    # Another seed holds out other rows.
    verdicts = [
        combine_verdicts(judge(specs, each.versions, baselines, scenario.proof, on_same_rows=False))
        for each in results
    ]
    return verdicts.count(Verdict.PASS)


_Key = tuple[str, str, BoundKind, str | None, bool]
"""Identity of a bound whatever its limit: version, metric, kind, reference, whether it is relative."""


def _make_key(spec: BoundSpec) -> _Key:
    return spec.version, spec.metric, spec.kind, spec.since, spec.relative


def _select_numeric(specs: Iterable[BoundSpec]) -> tuple[BoundSpec, ...]:
    """Select the bounds on numbers; only the first of several on the same number and side."""
    first: dict[_Key, BoundSpec] = {}
    for spec in specs:
        if spec.comparison is not None:
            first.setdefault(_make_key(spec), spec)
    return tuple(first.values())


def _judge_by_key(
    specs: Sequence[BoundSpec], results: Iterable[Result], baselines: Baselines | None, proof: Proof
) -> dict[_Key, list[BoundResult]]:
    """Judge each bound in each run, and collect the outcomes by bound."""
    found: dict[_Key, list[BoundResult]] = {}
    for result in results:
        for bound in judge(specs, result.versions, baselines, proof, on_same_rows=False):
            found.setdefault(_make_key(bound.spec), []).append(bound)
    return found


def _calibrate_bound(found: Sequence[BoundResult], rate: float, *, is_set: bool) -> CalibratedBound:
    spec = found[0].spec
    values = tuple(
        each.measured
        for each in found
        if each.measured is not None and each.verdict is not Verdict.NOT_PROVEN
    )
    sample = Sample.from_values(values) if len(values) >= FEWEST else None
    is_proposed = sample is not None and sample.sd and not spec.must_fail
    return CalibratedBound(
        spec=spec,
        values=values,
        mean=None if sample is None else sample.mean,
        sd=None if sample is None else sample.sd,
        now=_assess_current_limit(spec, sample) if is_set else None,
        proposed=_propose_offer(sample, spec, rate) if sample and is_proposed else None,
    )


def _assess_current_limit(spec: BoundSpec, sample: Sample | None) -> Offer | None:
    if spec.comparison is None or spec.limit is None:
        return None
    return _make_offer(sample, spec.comparison.side, spec.limit, spec.tolerance)


def _propose_offer(sample: Sample, spec: BoundSpec, rate: float) -> Offer | None:
    """Propose a limit with this false alarm rate; None if only a limit that can't fail would have it."""
    if spec.comparison is None:
        return None
    side, most = spec.comparison.side, _find_range(spec)
    limits = propose_limits(sample, side, rate)
    if limits.low is not None and limits.high is not None:
        return _make_offer(sample, side, (limits.low + limits.high) / 2, (limits.high - limits.low) / 2)
    if limits.low is not None:
        is_strict = most.low is None or limits.low > most.low
        return _make_offer(sample, side, limits.low) if is_strict else None
    if limits.high is not None:
        is_strict = most.high is None or limits.high < most.high
        return _make_offer(sample, side, limits.high) if is_strict else None
    return None


def _find_range(spec: BoundSpec) -> Limits:
    """Return the range of a metric, at whose ends a limit can't fail."""
    definition = METRICS.get(spec.metric)
    if spec.reference is not None or definition is None or definition.domain != SHARES:
        return Limits()
    return Limits(SHARES.low, SHARES.high)


def _make_offer(sample: Sample | None, side: Side, value: float, tolerance: float = 0.0) -> Offer:
    limits = Limits(
        None if side == "max" else value - tolerance,
        None if side == "min" else value + tolerance,
    )
    return Offer(
        value=value,
        tolerance=tolerance,
        false_alarms=None if sample is None else compute_false_alarm_rate(sample, limits),
        sees=None if sample is None else compute_smallest_regression(sample, limits),
    )


def _bound_all_metrics(scenario: Scenario) -> Scenario:
    """Return the scenario with bounds only on every quality metric and its change."""
    metrics = {
        name: (
            Bound(max=0, change=Change(max=0))
            if METRICS[name].better == "lower"
            else Bound(min=0, change=Change(min=0)),
        )
        for name in QUALITY_METRICS
    }
    return scenario.model_copy(
        update={
            "every": Expect(metrics=metrics),
            "versions": tuple(each.model_copy(update={"expect": Expect()}) for each in scenario.versions),
            "caught_by": (),
        }
    )
