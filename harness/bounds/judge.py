"""Judging of bounds: pure functions, used by the job and by the command line.

A bound on a number that could not be measured or compared is not proven, which is never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.bounds import measured_values
from harness.bounds.drift import DRIFT, measure_drift
from harness.bounds.explanation_bounds import (
    AGREEMENTS,
    explain_bad_fit,
    explain_few_clear,
    explain_weak,
    measure_agreement,
)
from harness.bounds.measured_values import Value, assess_number, explain_other_rows
from harness.bounds.quantities import (
    depends_on_explanations,
    explain_champion,
    explain_missing_number,
    measure_quantity,
    rests_on_weights,
)
from harness.bounds.specs import list_bound_specs, list_label_bounds, make_input_bound
from harness.bounds.text_bounds import TEXTS
from harness.metrics import UNLABELLED_ROWS
from harness.results import BoundResult, MeasuredValue, Verdict, VersionResult
from harness.scenario.bound_spec import BoundSpec, Comparison, Reference
from harness.scenario.model import Scenario
from harness.scenario.proof import Proof

_DEFAULT_PROOF = Proof()
Baselines = Mapping[str, Mapping[str, Mapping[str, MeasuredValue]]]
"""Other runs, as the scenario names them: their versions, and the numbers of each by name."""


def judge_versions(
    scenario: Scenario, measured: Sequence[VersionResult], baselines: Baselines | None = None
) -> tuple[VersionResult, ...]:
    """Return every measured version with its bounds judged, in order.

    Args:
        scenario: The scenario that sets the bounds.
        measured: The measured versions.
        baselines: The numbers of other runs that bounds compare with.
    """
    bounds: dict[str, list[BoundResult]] = {version.name: [] for version in measured}
    for bound in judge(list_bound_specs(scenario), measured, baselines, scenario.proof):
        bounds[bound.spec.version].append(bound)
    # What no scenario has to ask for is only mentioned if it fails.
    for bound in judge(list_label_bounds(scenario), measured):
        if bound.verdict is Verdict.FAIL:
            bounds[bound.spec.version].append(bound)
    for version in measured:
        bounds[version.name] += _judge_input(version)
    return tuple(each.model_copy(update={"bounds": tuple(bounds[each.name])}) for each in measured)


def judge(
    specs: Iterable[BoundSpec],
    measured: Iterable[VersionResult],
    baselines: Baselines | None = None,
    proof: Proof = _DEFAULT_PROOF,
    *,
    on_same_rows: bool = True,
) -> tuple[BoundResult, ...]:
    """Judge bounds, in their order; those of versions that were not measured are left out.

    Args:
        specs: The bounds.
        measured: The measured versions.
        baselines: The numbers of other runs that bounds compare with.
        proof: What the numbers must rest on.
        on_same_rows: Whether metrics of the same version of another run must be measured on as many rows,
            unless the bound allows a difference.
    """
    versions = {version.name: version for version in measured}
    judge_one = _Judge(versions, baselines or {}, proof, on_same_rows)
    return tuple(judge_one(spec, versions[spec.version]) for spec in specs if spec.version in versions)


def decide_verdict(scenario: Scenario, bounds: Iterable[BoundResult]) -> Verdict:
    """Return the verdict on a run or a version of a scenario.

    Args:
        scenario: The scenario.
        bounds: The judged bounds of the run or the version.
    """
    return Verdict.OBSERVED if scenario.observe else combine_verdicts(bounds)


def combine_verdicts(bounds: Iterable[BoundResult]) -> Verdict:
    """Return the worst of all outcomes, of which a failed bound is the worst; no bounds prove nothing."""
    outcomes = {bound.outcome for bound in bounds} or {Verdict.NOT_PROVEN}
    for verdict in (Verdict.FAIL, Verdict.NOT_PROVEN):
        if verdict in outcomes:
            return verdict
    return Verdict.PASS


def all_hold(bounds: Iterable[BoundResult]) -> bool:
    """Return whether there are bounds, and each holds by itself, even one that must fail for a pass."""
    return {bound.verdict for bound in bounds} == {Verdict.PASS}


def allows_publishing(scenario: Scenario, versions: Iterable[VersionResult]) -> bool:
    """Return whether the bundles of judged versions are published.

    A run also passes if a bound fails as expected, but its model is not fit for use.
    """
    holds = all_hold(bound for version in versions for bound in version.bounds)
    return scenario.may_publish and (scenario.publish.when == "always" or holds)


def allows_registration(scenario: Scenario, versions: Iterable[VersionResult]) -> bool:
    """Return whether the model of the last trained version is registered.

    The run must pass, and each bound must hold by itself, even if failed runs publish their bundles.
    """
    bounds = [bound for version in versions for bound in version.bounds]
    passes = decide_verdict(scenario, bounds) is Verdict.PASS and all_hold(bounds)
    return scenario.publish.model is not None and scenario.may_publish and passes


@dataclass(frozen=True)
class _Judge:
    """A judge of bounds, one at a time."""

    versions: Mapping[str, VersionResult]
    """The measured versions by name."""
    baselines: Baselines
    proof: Proof
    on_same_rows: bool

    def __call__(self, spec: BoundSpec, version: VersionResult) -> BoundResult:
        if spec.comparison is None:
            return self._judge_text(spec, version)
        judged = _judge_number(spec, spec.comparison, self._measure(spec, version))
        if spec.quantity.name == UNLABELLED_ROWS and not spec.is_change:
            return judged.model_copy(update={"found": describe_labels(version)})
        return judged

    def _judge_text(self, spec: BoundSpec, version: VersionResult) -> BoundResult:
        finding = TEXTS[spec.quantity.kind].find(spec, version, self.versions)
        verdict = Verdict.PASS if finding.holds else Verdict.FAIL
        return BoundResult(
            spec=spec,
            measured=None,
            found=finding.text,
            distance=None,
            verdict=Verdict.NOT_PROVEN if finding.reason else verdict,
            reason=finding.reason,
        )

    def _measure(self, spec: BoundSpec, version: VersionResult) -> Value:
        """Measure what is compared with the limit: a number, a difference or an agreement."""
        reference = spec.reference
        if reference is None:
            return self._measure_number(spec, version)
        if reference.is_champion:
            return self._measure_against_champion(spec, version)
        if spec.quantity.kind in (DRIFT, *AGREEMENTS):
            earlier = self.versions.get(reference.version)
            if earlier is None:
                return _make_unmeasured_value(reference)
            if spec.quantity.kind == DRIFT:
                return measure_drift(spec.quantity.name, version, earlier)
            return measure_agreement(spec.quantity, version, earlier, self.proof)
        now, before = self._measure_number(spec, version), self._measure_reference(spec, reference, version)
        return (
            measured_values.compute_relative_change(now, before, reference.text)
            if spec.relative
            else measured_values.compute_change(now, before)
        )

    def _measure_against_champion(self, spec: BoundSpec, version: VersionResult) -> Value:
        """Measure the difference between the model that is trained now and the champion."""
        now = self._measure_number(spec, version)
        if now.reason:
            return Value(None, now.reason)
        difference = None if version.champion is None else version.champion.differences.get(spec.metric)
        if difference is None:
            why = explain_champion(version) or f"the champion's {spec.metric} could not be measured"
            return Value(None, f"at {version.name}, {why}")
        if difference.standard_error is None:
            return Value(difference.value, f"the difference has no standard error at {version.name}")
        return Value(difference.value, standard_error=difference.standard_error)

    def _measure_reference(self, spec: BoundSpec, reference: Reference, version: VersionResult) -> Value:
        """Measure the number that a change is compared with."""
        if reference.run is None:
            earlier = self.versions.get(reference.version)
            if earlier is None:
                return _make_unmeasured_value(reference)
            return self._measure_number(spec, earlier)
        run = self.baselines.get(reference.run, {})
        if reference.version not in run:
            return Value(None, f"the run {reference.run} has no version {reference.version}")
        values = run[reference.version]
        if rests_on_weights(spec.quantity) and (why := explain_bad_fit(values, reference.text, self.proof)):
            return Value(values.get(spec.metric), why)
        value = assess_number(spec.metric, values.get(spec.metric), values, reference.text, self.proof)
        if value.reason or not self._needs_same_rows(spec, reference):
            return value
        why = explain_other_rows(spec.metric, version.metrics, values, reference.text)
        return Value(value.number, why)

    def _needs_same_rows(self, spec: BoundSpec, reference: Reference) -> bool:
        """Return whether a number of another run must be on the same rows, as that of the same version."""
        # Another seed holds out other rows.
        has_other_rows = not {"rows", "seed"}.isdisjoint(reference.may_differ)
        return self.on_same_rows and reference.version == spec.version and not has_other_rows

    def _measure_number(self, spec: BoundSpec, version: VersionResult) -> Value:
        if segment := spec.quantity.segment:
            of_segment = version.segments.get(segment, {})
            where = f"{version.name} on {segment}"
            number = of_segment.get(spec.quantity.name)
            return assess_number(spec.quantity.name, number, of_segment, where, self.proof)
        number = measure_quantity(spec.quantity, version)
        if version.explanations_reason and depends_on_explanations(spec.quantity):
            return Value(number, f"at {version.name}, {version.explanations_reason}")
        if number is None and (why := explain_missing_number(spec.quantity, version)):
            return Value(None, f"{spec.metric} could not be measured at {version.name}: {why}")
        if rests_on_weights(spec.quantity) and (why := explain_weak(version, self.proof)):
            return Value(number, why)
        if spec.quantity.kind == "share" and (why := explain_few_clear(version)):
            return Value(number, why)
        return assess_number(spec.metric, number, version.metrics, version.name, self.proof)


def _judge_input(version: VersionResult) -> Iterator[BoundResult]:
    """Yield a failed bound if a version's columns don't fit the champion's input."""
    if version.champion is not None and version.champion.input_problems:
        yield BoundResult(
            spec=make_input_bound(version.name),
            measured=None,
            found="; ".join(version.champion.input_problems),
            distance=None,
            verdict=Verdict.FAIL,
        )


def describe_labels(version: VersionResult) -> str:
    """Return the unexpected values of the label with their numbers of rows; empty if there are none."""
    counts = version.unlabelled.items()
    return ", ".join(f"{value} ({count:,} row{'s' if count != 1 else ''})" for value, count in counts)


def _make_unmeasured_value(reference: Reference) -> Value:
    return Value(None, f"version {reference.version} was not measured")


def _judge_number(spec: BoundSpec, comparison: Comparison, value: Value) -> BoundResult:
    """Compare a number with the limit of a bound."""
    distance = None
    if value.number is not None and spec.limit is not None:
        distance = measured_values.compute_distance(comparison, value.number, spec.limit, spec.tolerance)
    reason = value.reason
    if distance is None:
        reason = reason or f"{spec.metric} is too far from the limit to be compared"
    elif not reason and abs(distance) < value.standard_error:
        reason = (
            f"the standard error of the difference is {value.standard_error:.2g}, more than the "
            f"{abs(distance):.2g} between it and the limit"
        )
    verdict = Verdict.NOT_PROVEN
    if distance is not None and not reason:
        verdict = Verdict.PASS if distance >= 0 else Verdict.FAIL
    return BoundResult(spec=spec, measured=value.number, distance=distance, verdict=verdict, reason=reason)
