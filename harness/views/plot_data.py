"""The data of each small plot, and its alternative text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from harness.bounds.explanation_bounds import AGREEMENTS
from harness.bounds.quantities import measure_quantity
from harness.metrics import METRICS
from harness.results import (
    BoundResult,
    CalibrationBin,
    ChampionResult,
    MeasuredValue,
    RocPoint,
    Verdict,
    VersionResult,
)
from harness.scenario.bound_spec import BoundSpec, Quantity
from harness.views import formatting
from harness.views.bound_table import VERDICTS_WORST_FIRST, find_standard_error
from harness.views.tables import changes_sign, list_weights, rank_features

MAX_FEATURES = 12
"""Number of features that are plotted; the table has all of them."""
_CHANGES_SHOWN = 3


@dataclass(frozen=True)
class Limit:
    """The limit of a bound on the scale of the metric itself."""

    value: float
    relative: bool
    """Whether it is derived from the number of an earlier version or of another run."""


@dataclass(frozen=True)
class Point:
    """A metric at one version."""

    version: str
    value: MeasuredValue
    standard_error: MeasuredValue
    verdict: Verdict | None
    """The worst outcome of the metric's bounds at this version; None if there is no bound."""
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class MetricPanel:
    """A bounded metric over the versions."""

    metric: str
    meaning: str
    points: tuple[Point, ...]

    @property
    def alternative(self) -> str:
        """The alternative text of the plot."""
        return f"{self.metric} over the versions: {'; '.join(map(describe_point, self.points))}."


@dataclass(frozen=True)
class WeightPanel:
    """A feature's explanation weight over the versions."""

    feature: str
    weights: tuple[MeasuredValue, ...]
    versions: tuple[str, ...]

    @property
    def changes_sign(self) -> bool:
        """Whether the feature raises the probability at one version and lowers it at another."""
        return changes_sign(self.weights)

    @property
    def course(self) -> str:
        """The first weight and the latest one, such as ``+0.0083 → +0.0117``."""
        texts = [formatting.format_signed(weight) for weight in self.weights if weight is not None]
        return " → ".join((texts[0], texts[-1])[: len(texts)]) if texts else formatting.NOT_MEASURED

    @property
    def alternative(self) -> str:
        """The alternative text of the plot."""
        pairs = zip(self.versions, self.weights, strict=True)
        weights = ", ".join(f"{version} {_describe_weight(weight)}" for version, weight in pairs)
        return f"Explanation weight of {self.feature} per standard deviation: {weights}."


@dataclass(frozen=True)
class WeightChange:
    """The change of a feature's weight from one explained version to the next."""

    feature: str
    names: tuple[str, str]
    weights: tuple[float, float]

    @property
    def size(self) -> float:
        """The size of the change, in probability per standard deviation."""
        return abs(self.weights[1] - self.weights[0])

    @property
    def text(self) -> str:
        """The change in words, such as ``int_rate: +0.0083 at january, +0.0102 at february``."""
        weights = (
            f"{formatting.format_signed(weight)} at {name}"
            for name, weight in zip(self.names, self.weights, strict=True)
        )
        return f"{self.feature}: {', '.join(weights)}"


def find_largest_changes(versions: tuple[VersionResult, ...]) -> tuple[WeightChange, ...]:
    """Return the largest changes of weights from one explained version to the next, each feature once."""
    explained = [version for version in versions if version.explanations]
    changes = [
        WeightChange(
            feature,
            (before.name, after.name),
            (before.explanations[feature].mean_per_sd, after.explanations[feature].mean_per_sd),
        )
        for before, after in pairwise(explained)
        for feature in after.explanations
        if feature in before.explanations
    ]
    largest: dict[str, WeightChange] = {}
    for change in sorted(changes, key=lambda change: -change.size):
        largest.setdefault(change.feature, change)
    return tuple(change for change in list(largest.values())[:_CHANGES_SHOWN] if change.size)


def build_metric_panels(versions: tuple[VersionResult, ...]) -> tuple[MetricPanel, ...]:
    """Return a panel for each number that is bounded at some version."""
    bounds = [bound for version in versions for bound in version.bounds]
    bounded = {bound.metric: bound.spec for bound in bounds if bound.spec.comparison is not None}
    return tuple(
        MetricPanel(
            metric,
            METRICS[metric].meaning if metric in METRICS else "",
            tuple(_make_point(spec, version, versions) for version in versions),
        )
        for metric, spec in bounded.items()
    )


def build_weight_panels(versions: tuple[VersionResult, ...]) -> tuple[WeightPanel, ...]:
    """Return a panel for each of the most important features."""
    explained = tuple(version.name for version in versions)
    return tuple(
        WeightPanel(feature, list_weights(feature, versions), explained)
        for feature in rank_features(versions)[:MAX_FEATURES]
    )


def make_unbounded_point(metric: str, version: VersionResult) -> Point:
    """Return a metric without a bound at one version."""
    return Point(version.name, version.metrics.get(metric), find_standard_error(metric, version), None, ())


def _make_point(spec: BoundSpec, version: VersionResult, versions: tuple[VersionResult, ...]) -> Point:
    bounds = [bound for bound in version.bounds if bound.metric == spec.metric]
    outcomes = {bound.outcome for bound in bounds}
    return Point(
        version=version.name,
        value=_find_value(spec.quantity, version, bounds),
        standard_error=find_standard_error(spec.metric, version),
        verdict=next((verdict for verdict in VERDICTS_WORST_FIRST if verdict in outcomes), None),
        limits=tuple(limit for bound in bounds for limit in _list_limits(bound, version, versions)),
    )


def _find_value(quantity: Quantity, version: VersionResult, bounds: list[BoundResult]) -> MeasuredValue:
    """Return the quantity at a version; the agreement of explanations is only measured by their bounds."""
    if quantity.kind in AGREEMENTS:
        return next((bound.measured for bound in bounds), None)
    return measure_quantity(quantity, version)


def _list_limits(
    bound: BoundResult, version: VersionResult, versions: tuple[VersionResult, ...]
) -> tuple[Limit, ...]:
    """Return the limits of a bound on the scale of the quantity itself."""
    spec = bound.spec
    if spec.comparison is None or spec.limit is None:
        return ()
    if not spec.is_change:
        ends = {end for end in spec.comparison.interval(spec.limit, spec.tolerance) if isfinite(end)}
        return tuple(Limit(end, relative=False) for end in sorted(ends))
    before = _find_reference(bound, version, versions)
    if before is None:
        return ()
    room = spec.limit * abs(before) if spec.relative else spec.limit
    return (Limit(before + room, relative=True),)


def _find_reference(
    bound: BoundResult, version: VersionResult, versions: tuple[VersionResult, ...]
) -> MeasuredValue:
    """Return the number from which a change is measured."""
    reference = bound.spec.reference
    if reference is None or reference.run is not None:
        return _infer_reference(bound, version)
    earlier = next((each for each in versions if each.name == reference.version), None)
    return None if earlier is None else measure_quantity(bound.spec.quantity, earlier)


def _infer_reference(bound: BoundResult, version: VersionResult) -> MeasuredValue:
    """Return the number in another run, which is not available: the current number without the change."""
    value, change = measure_quantity(bound.spec.quantity, version), bound.measured
    if value is None or change is None:
        return None
    if not bound.spec.relative:
        return value - change
    # A share of the size of the earlier number: a change of -1 and more has several possible starts.
    return value / (1 + change) if change > -1 and value > 0 else None


def describe_point(point: Point) -> str:
    """Describe a metric at one version, such as ``march 0.6558 ± 0.037, pass``."""
    value = formatting.format_with_error(point.value, point.standard_error)
    return f"{point.version} {value}" + (f", {point.verdict.value}" if point.verdict else "")


def _describe_weight(weight: MeasuredValue) -> str:
    return formatting.ABSENT if weight is None else formatting.format_signed(weight)


def find_weight_span(panels: Sequence[WeightPanel]) -> tuple[float, float]:
    """Return the common scale of all features, which includes every weight and zero."""
    weights = [weight for panel in panels for weight in panel.weights if weight is not None]
    low, high = min([0.0, *weights]), max([0.0, *weights])
    margin = 0.12 * (high - low) or 1.0
    return low - margin, high + margin


def list_roc_curves(versions: Sequence[VersionResult]) -> dict[str, tuple[RocPoint, ...]]:
    """Return the ROC curve of each version, and of the champion on the last one that it is measured on."""
    curves = {each.name: each.roc for each in versions}
    latest = _find_scored(versions)
    return curves if latest is None else {**curves, f"champion on {latest[0]}": latest[1].roc}


def list_calibrations(versions: Sequence[VersionResult]) -> dict[str, tuple[CalibrationBin, ...]]:
    """Return the calibration of each version, and of the champion on the last one that it is measured on."""
    curves = {each.name: each.calibration for each in versions}
    latest = _find_scored(versions)
    return curves if latest is None else {**curves, f"champion on {latest[0]}": latest[1].calibration}


def _find_scored(versions: Sequence[VersionResult]) -> tuple[str, ChampionResult] | None:
    scored = [(each.name, each.champion) for each in versions if each.champion and each.champion.calibration]
    return scored[-1] if scored else None
