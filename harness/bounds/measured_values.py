"""The numbers of a version that can be bounded, and whether they prove anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.metrics import METRICS, MIN_POSITIVES
from harness.results import Measured, VersionResult


@dataclass(frozen=True)
class Value:
    """A number, and the reason why it proves nothing; empty if it proves something."""

    number: Measured
    reason: str = ""


def assess_number(metric: str, number: Measured, metrics: Mapping[str, Measured], version: str) -> Value:
    """Check whether a number proves something.

    Args:
        metric: Its name in reports.
        number: The number.
        metrics: The metrics measured with it, including the number of positives.
        version: The version, as reports write it.
    """
    if number is None or not math.isfinite(number):
        return Value(None, f"{metric} could not be measured at {version}")
    definition = METRICS.get(metric)
    if definition is None or definition.positives is None:
        return Value(number)
    positives = metrics.get(definition.positives)
    if positives is None or not math.isfinite(positives):
        return Value(number, f"{definition.positives} could not be measured at {version}")
    if positives < MIN_POSITIVES:
        return Value(number, f"only {positives:.0f} positives at {version}, fewer than {MIN_POSITIVES}")
    return Value(number)


def measure_null_share(version: VersionResult, column: str) -> Measured:
    """Return the share of rows in which a column is null."""
    # Spark ignores the case of column names.
    shares = {name.lower(): share for name, share in version.nulls.items()}
    return shares.get(column.lower())


def measure_reader_version(version: VersionResult, _name: str) -> Measured:
    """Return the Delta protocol version that a reader must know."""
    return None if version.commit is None else float(version.commit.reader)


def measure_writer_version(version: VersionResult, _name: str) -> Measured:
    """Return the Delta protocol version that a writer must know."""
    return None if version.commit is None else float(version.commit.writer)


def measure_coefficient(version: VersionResult, feature: str) -> Measured:
    """Return a feature's coefficient in log odds per unit."""
    measured = version.coefficients.get(feature)
    return None if measured is None else measured.raw


def measure_weight(version: VersionResult, feature: str) -> Measured:
    """Return a feature's mean weight per standard deviation."""
    explained = version.explanations.get(feature)
    return None if explained is None else explained.mean_per_sd


def measure_share(version: VersionResult, feature: str) -> Measured:
    """Return a feature's share of all features' mean absolute weights."""
    explained = version.explanations.get(feature)
    total = math.fsum(each.mean_abs_per_sd for each in version.explanations.values())
    return None if explained is None or not total else explained.mean_abs_per_sd / total
