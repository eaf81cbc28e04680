"""Bounds held against what was measured: pure functions, used by the job and by the command line.

What could not be measured, or can't be compared, is not proven, and that is never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from harness.metrics import METRICS, MIN_POSITIVES
from harness.results import BoundKind, BoundResult, Measured, Verdict, VersionResult
from harness.scenario.model import Bound, Expect, Version

ROWS = "rows"
"""Stands for a version's row count among the metrics."""


def judge_versions(
    expected: Sequence[Version], measured: Sequence[VersionResult]
) -> tuple[VersionResult, ...]:
    """Every measured version with its bounds judged, in order."""
    by_name = {version.name: version for version in measured}
    expectations = {version.name: version.expect for version in expected}
    return tuple(
        version.model_copy(
            update={"bounds": tuple(judge_version(expectations[version.name], version, by_name))}
        )
        for version in measured
    )


def overall(bounds: Iterable[BoundResult]) -> Verdict:
    """The worst of all verdicts; a failed bound outweighs one that is not proven."""
    verdicts = {bound.verdict for bound in bounds}
    for verdict in (Verdict.FAIL, Verdict.NOT_PROVEN):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS


def judge_version(
    expect: Expect, version: VersionResult, versions: Mapping[str, VersionResult]
) -> Iterator[BoundResult]:
    """Every bound of one version; ``versions`` holds those that a change may be measured since."""
    if expect.rows is not None:
        yield from judge_metric(ROWS, expect.rows, version, versions)
    for metric, bound in expect.metrics.items():
        yield from judge_metric(metric, bound, version, versions)


def judge_metric(
    metric: str, bound: Bound, version: VersionResult, versions: Mapping[str, VersionResult]
) -> Iterator[BoundResult]:
    """Each part of one bound by itself."""
    value, reason = _proven(metric, version)
    if bound.min is not None:
        yield _judge(metric, "min", value, bound.min, reason)
    if bound.max is not None:
        yield _judge(metric, "max", value, bound.max, reason)
    if bound.equals is not None:
        yield _judge(metric, "equals", value, bound.equals, reason, tolerance=bound.tolerance or 0.0)
    if bound.change is not None:
        since = bound.change.since
        change, reason = _change(metric, version, versions.get(since), since)
        if bound.change.min is not None:
            yield _judge(metric, "change_min", change, bound.change.min, reason, since=since)
        if bound.change.max is not None:
            yield _judge(metric, "change_max", change, bound.change.max, reason, since=since)


def value_of(metric: str, version: VersionResult) -> Measured:
    """A metric of a version, or its row count."""
    return float(version.rows) if metric == ROWS else version.metrics.get(metric)


def _proven(metric: str, version: VersionResult) -> tuple[Measured, str]:
    """The value, and why it proves nothing where it does not."""
    value = value_of(metric, version)
    if value is None or not math.isfinite(value):
        return None, f"{metric} could not be measured at {version.name}"
    definition = METRICS.get(metric)
    if definition is not None and definition.positives is not None:
        positives = version.metrics.get(definition.positives)
        if positives is None:
            return value, f"{definition.positives} could not be measured at {version.name}"
        if positives < MIN_POSITIVES:
            return value, f"only {positives:.0f} positives, fewer than {MIN_POSITIVES}"
    return value, ""


def _change(
    metric: str, version: VersionResult, earlier: VersionResult | None, since: str
) -> tuple[Measured, str]:
    if earlier is None:
        return None, f"version {since} was not measured"
    now, now_reason = _proven(metric, version)
    before, before_reason = _proven(metric, earlier)
    if now is None or before is None:
        return None, now_reason or before_reason
    return _difference(now, before), now_reason or before_reason


def _judge(
    metric: str,
    kind: BoundKind,
    measured: Measured,
    bound: float,
    reason: str,
    *,
    tolerance: float = 0.0,
    since: str | None = None,
) -> BoundResult:
    distance = None if measured is None else _distance(kind, measured, bound, tolerance)
    if distance is None:
        reason = reason or f"{metric} is too far off to be compared"
    if reason or distance is None:
        verdict = Verdict.NOT_PROVEN
    else:
        verdict = Verdict.PASS if distance >= 0 else Verdict.FAIL
    return BoundResult(
        metric=metric,
        kind=kind,
        measured=measured,
        bound=bound,
        tolerance=tolerance,
        since=since,
        distance=distance,
        verdict=verdict,
        reason=reason,
    )


def _distance(kind: BoundKind, measured: float, bound: float, tolerance: float) -> Measured:
    if kind in ("min", "change_min"):
        return _difference(measured, bound)
    if kind in ("max", "change_max"):
        return _difference(bound, measured)
    apart = _difference(measured, bound)
    return None if apart is None else _difference(tolerance, abs(apart))


def _difference(left: float, right: float) -> Measured:
    """In decimals, as the numbers are written: from 0.8 to 0.7 it is -0.1, and meets a bound of -0.1."""
    difference = float(Decimal(repr(left)) - Decimal(repr(right)))
    return difference if math.isfinite(difference) else None
