"""The numbers of a version that a bound can be held against, by their names, and what they prove."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.metrics import METRICS, MIN_POSITIVES
from harness.results import Measured, VersionResult

LookUp = Callable[[str], Measured]
"""From a number's name to the number; ``None`` where it could not be measured."""

_OF_ONE = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_COUNTS: Mapping[str, Callable[[VersionResult], Measured]] = {
    "rows": lambda version: float(version.rows),
    "null_keys": lambda version: float(version.null_keys),
    "duplicate_keys": lambda version: float(version.duplicate_keys),
    "protocol.reader": lambda version: None if version.commit is None else float(version.commit.reader),
    "protocol.writer": lambda version: None if version.commit is None else float(version.commit.writer),
}


@dataclass(frozen=True)
class Value:
    """A number, and why it proves nothing where it does not."""

    number: Measured
    reason: str = ""


def proven(metric: str, look_up: LookUp, where: str) -> Value:
    """A number, looked at with what it rests on.

    Args:
        metric: Its name.
        look_up: Where it is found.
        where: The version, in words.
    """
    number = look_up(metric)
    if number is None or not math.isfinite(number):
        return Value(None, f"{metric} could not be measured at {where}")
    definition = METRICS.get(metric)
    if definition is None or definition.positives is None:
        return Value(number)
    positives = look_up(definition.positives)
    if positives is None or not math.isfinite(positives):
        return Value(number, f"{definition.positives} could not be measured at {where}")
    if positives < MIN_POSITIVES:
        return Value(number, f"only {positives:.0f} positives at {where}, fewer than {MIN_POSITIVES}")
    return Value(number)


def value_of(metric: str, version: VersionResult) -> Measured:
    """A metric of a version, or another of its numbers; ``None`` where it could not be measured."""
    if metric in _COUNTS:
        return _COUNTS[metric](version)
    found = _OF_ONE.fullmatch(metric)
    if found is not None and found[1] in _OF_NAME:
        return _OF_NAME[found[1]](found[2], version)
    return version.metrics.get(metric)


def _nulls(column: str, version: VersionResult) -> Measured:
    # Spark knows columns whatever their case.
    shares = {name.lower(): share for name, share in version.nulls.items()}
    return shares.get(column.lower())


def _coefficient(feature: str, version: VersionResult) -> Measured:
    coefficient = version.coefficients.get(feature)
    return None if coefficient is None else coefficient.raw


def _weight(feature: str, version: VersionResult) -> Measured:
    explained = version.explanations.get(feature)
    return None if explained is None else explained.mean_per_sd


def _share(feature: str, version: VersionResult) -> Measured:
    explained = version.explanations.get(feature)
    total = math.fsum(each.mean_abs_per_sd for each in version.explanations.values())
    return None if explained is None or not total else explained.mean_abs_per_sd / total


_OF_NAME: Mapping[str, Callable[[str, VersionResult], Measured]] = {
    "nulls": _nulls,
    "coefficient": _coefficient,
    "weight": _weight,
    "share": _share,
}
"""Of one column or feature, such as ``nulls(dti)``."""
