"""The numbers of a version that can be bounded, their differences, and whether they prove anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from harness.metrics import ADDED, CHAMPION, EXPLANATION_METRICS, HELD_OUT_METRICS, METRICS, Classes
from harness.results import MeasuredValue, VersionResult
from harness.scenario.bound_spec import Comparison
from harness.scenario.proof import Proof

NO_ADDED_ROWS = "there is no earlier version with the same key, so no row counts as added"
"""Why nothing is known of the rows that a version added."""


@dataclass(frozen=True)
class Value:
    """A number, and the reason why it proves nothing; empty if it proves something."""

    number: MeasuredValue
    reason: str = ""
    standard_error: float = 0.0
    """If it is larger than the distance to a limit, the number proves nothing about the limit."""


def assess_number(
    metric: str, number: MeasuredValue, metrics: Mapping[str, MeasuredValue], version: str, proof: Proof
) -> Value:
    """Check whether a number proves something.

    Args:
        metric: Its name in reports.
        number: The number.
        metrics: The metrics measured with it, including the numbers of rows and positives.
        version: The version, as reports write it.
        proof: What the number must rest on.
    """
    if number is None or not math.isfinite(number):
        why = explain_missing(metric, metrics)
        return Value(None, f"{metric} could not be measured at {version}{f': {why}' if why else ''}")
    definition = METRICS.get(metric)
    if definition is None or definition.classes is None:
        return Value(number)
    return Value(number, _explain_few_rows(definition.classes, metrics, version, proof.min_class_rows))


def _explain_few_rows(
    classes: Classes, metrics: Mapping[str, MeasuredValue], version: str, fewest: int
) -> str:
    """Explain that one of the classes has too few rows; empty if both have enough."""
    rows, positives = metrics.get(classes.rows), metrics.get(classes.positives)
    for name, count in ((classes.positives, positives), (classes.rows, rows)):
        if count is None or not math.isfinite(count):
            return f"{name} could not be measured at {version}"
    assert rows is not None and positives is not None  # noqa: S101, PT018 - checked above
    for count, noun in ((positives, "positives"), (rows - positives, "negatives")):
        if count < fewest:
            return f"only {count:.0f} {noun} at {version}, fewer than {fewest}"
    return ""


def explain_other_rows(
    metric: str, here: Mapping[str, MeasuredValue], there: Mapping[str, MeasuredValue], version: str
) -> str:
    """Explain that a metric of another run was measured on other rows; empty if the counts agree.

    Args:
        metric: Its name in reports.
        here: The metrics of this run's version.
        there: The metrics of the other run's version.
        version: The other run's version, as reports write it.
    """
    definition = METRICS.get(metric)
    if definition is None or definition.classes is None:
        return ""
    for name in (definition.classes.rows, definition.classes.positives):
        count, other = here.get(name), there.get(name)
        if count is not None and other is not None and count != other:
            return (
                f"it was measured on different rows: {name} was {other:,.0f} at {version}, and is "
                f"{count:,.0f} now; 'may_differ: [rows]' allows this"
            )
    return ""


def explain_missing(metric: str, metrics: Mapping[str, MeasuredValue]) -> str:
    """Return why a number of a version could not be measured; empty if that is not known.

    Args:
        metric: Its name in reports.
        metrics: The metrics of the version.
    """
    owner = CHAMPION if metric.startswith(CHAMPION) else ""
    if metric.removeprefix(owner).removeprefix(ADDED) in HELD_OUT_METRICS:
        return _explain_missing_on_held_out(metric, metrics, owner)
    if metric == "cv_roc_auc" and metrics.get("train_positives") is not None:
        return "a fold has rows of one class only, or a score that is not a number"
    if metric in EXPLANATION_METRICS:
        return "the prediction is the same for all samples around a row, or no row was explained"
    return ""


def _explain_missing_on_held_out(metric: str, metrics: Mapping[str, MeasuredValue], owner: str) -> str:
    prefix = ADDED if metric.removeprefix(owner).startswith(ADDED) else ""
    rows, positives = (metrics.get(f"{owner}{prefix}{each}") for each in ("test_rows", "test_positives"))
    if rows is None:
        is_first = prefix and metrics
        return NO_ADDED_ROWS if is_first else ""
    if not rows:
        return "no added row is held out" if prefix else "no row is held out"
    if not positives or positives == rows:
        return f"all {rows:.0f} held-out rows are {'positive' if positives else 'negative'}"
    return "a score is not a number"


def measure_null_share(version: VersionResult, column: str) -> MeasuredValue:
    """Return the share of rows in which a column is null."""
    # Spark ignores the case of column names.
    shares = {name.lower(): share for name, share in version.nulls.items()}
    return shares.get(column.lower())


def measure_positives(version: VersionResult, _name: str) -> MeasuredValue:
    """Return the share of positives among the labelled rows that a version added."""
    added = None if version.added is None else version.added.added
    return added.positives / added.labelled if added is not None and added.labelled else None


def measure_new_values(version: VersionResult, feature: str) -> MeasuredValue:
    """Return the share of added rows that have a value of a feature that no earlier row has."""
    if version.added is None or not version.added.added.rows:
        return None
    return sum(version.added.new_values.get(feature, {}).values()) / version.added.added.rows


def measure_repeated_rows(version: VersionResult, _name: str) -> MeasuredValue:
    """Return the share of added rows that have the same features and label as another row."""
    added = None if version.added is None else version.added.added
    return added.repeated / added.rows if added is not None and added.rows else None


def measure_reader_version(version: VersionResult, _name: str) -> MeasuredValue:
    """Return the Delta protocol version that a reader must know."""
    return None if version.commit is None else float(version.commit.reader)


def measure_writer_version(version: VersionResult, _name: str) -> MeasuredValue:
    """Return the Delta protocol version that a writer must know."""
    return None if version.commit is None else float(version.commit.writer)


def measure_coefficient(version: VersionResult, feature: str) -> MeasuredValue:
    """Return a feature's coefficient in log odds per unit."""
    measured = version.coefficients.get(feature)
    return None if measured is None else measured.raw


def measure_weight(version: VersionResult, feature: str) -> MeasuredValue:
    """Return a feature's mean weight per standard deviation."""
    explained = version.explanations.get(feature)
    return None if explained is None else explained.mean_per_sd


def measure_share(version: VersionResult, feature: str) -> MeasuredValue:
    """Return a feature's share of all features' mean absolute weights."""
    explained = version.explanations.get(feature)
    total = math.fsum(each.mean_abs_per_sd for each in version.explanations.values())
    return None if explained is None or not total else explained.mean_abs_per_sd / total


def compute_change(now: Value, before: Value) -> Value:
    """Return the difference between two numbers."""
    reason = now.reason or before.reason
    if now.number is None or before.number is None:
        return Value(None, reason)
    return Value(_to_finite_float(_to_decimal(now.number) - _to_decimal(before.number)), reason)


def compute_relative_change(now: Value, before: Value, since: str) -> Value:
    """Return the difference between two numbers as a share of the earlier one.

    Args:
        now: The later number.
        before: The earlier number.
        since: The version of the earlier number, as reports write it.
    """
    reason = now.reason or before.reason
    if now.number is None or before.number is None:
        return Value(None, reason)
    if not before.number:
        return Value(None, reason or f"it was 0 at {since}, so a relative change is undefined")
    difference = _to_decimal(now.number) - _to_decimal(before.number)
    return Value(_to_finite_float(difference / abs(_to_decimal(before.number))), reason)


def compute_distance(
    comparison: Comparison, measured: float, limit: float, tolerance: float
) -> MeasuredValue:
    """Return how far inside a limit a number is; None if that is too large for a float."""
    return _to_finite_float(
        comparison.distance(_to_decimal(measured), _to_decimal(limit), _to_decimal(tolerance))
    )


def _to_decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _to_finite_float(number: Decimal) -> MeasuredValue:
    value = float(number)
    return value if math.isfinite(value) else None
