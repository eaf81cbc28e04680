"""Two runs of one scenario held against each other: do they say the same?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain

from harness.results import Measured, Model, Result, Verdict, VersionResult

TOLERANCE = 1e-6
"""Relative; between two places that run the same job."""
FLOOR = 1e-9
"""Differences of standardised values below this are none."""


class Difference(Model):
    """One number or name of a version in two runs."""

    version: str
    kind: str
    """``data``, ``metric``, ``coefficient`` or ``explanation``."""
    name: str
    a: Measured | str
    b: Measured | str
    difference: Measured = None
    """Relative to the larger of the two; none for what is no number."""
    tolerance: float = 0.0
    """Relative; 0 for what must be the very same."""
    verdict: Verdict


class Parity(Model):
    """Everything that two runs were compared by."""

    run_a: str
    run_b: str
    verdict: Verdict
    differences: tuple[Difference, ...]


def compare(a: Result, b: Result, tolerance: float = TOLERANCE) -> Parity:
    """Compare two runs, version by version.

    Rows, schema and fingerprint must be the very same; metrics, and coefficients and explanation weights
    per standard deviation of their feature, agree where ``|a - b| <= tolerance * max(|a|, |b|)``, or where
    they differ by less than 1e-9. What only one of the runs has is not proven.

    Args:
        a: One run.
        b: The other.
        tolerance: Relative.
    """
    versions_b = {version.name: version for version in b.versions}
    names = list(dict.fromkeys(version.name for version in chain(a.versions, b.versions)))
    versions_a = {version.name: version for version in a.versions}
    differences = tuple(
        difference
        for name in names
        for difference in _of_version(name, versions_a.get(name), versions_b.get(name), tolerance)
    )
    return Parity(run_a=a.run_id, run_b=b.run_id, verdict=_overall(differences), differences=differences)


def _of_version(
    name: str, a: VersionResult | None, b: VersionResult | None, tolerance: float
) -> Iterator[Difference]:
    if a is None or b is None:
        there = ("yes", "no") if b is None else ("no", "yes")
        yield Difference(
            version=name, kind="data", name="built", a=there[0], b=there[1], verdict=Verdict.NOT_PROVEN
        )
        return
    for field, left, right in (
        ("version", str(a.version), str(b.version)),
        ("rows", str(a.rows), str(b.rows)),
        ("fingerprint", a.fingerprint, b.fingerprint),
        ("schema", _schema(a), _schema(b)),
    ):
        verdict = Verdict.PASS if left == right else Verdict.FAIL
        yield Difference(version=name, kind="data", name=field, a=left, b=right, verdict=verdict)
    for kind, left_values, right_values in (
        ("metric", a.metrics, b.metrics),
        ("coefficient", _coefficients(a), _coefficients(b)),
        ("explanation", _explanations(a), _explanations(b)),
    ):
        for key in dict.fromkeys((*left_values, *right_values)):
            yield _number(name, kind, key, left_values, right_values, tolerance)


def _number(
    version: str,
    kind: str,
    name: str,
    left: Mapping[str, Measured],
    right: Mapping[str, Measured],
    tolerance: float,
) -> Difference:
    a, b = left.get(name), right.get(name)
    difference: float | None = None
    if a is None and b is None and name in left and name in right:
        verdict = Verdict.PASS  # Neither run could measure it, which is the same.
    elif a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        verdict = Verdict.NOT_PROVEN
    else:
        difference = abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0
        same = abs(a - b) <= max(tolerance * max(abs(a), abs(b)), FLOOR)
        verdict = Verdict.PASS if same else Verdict.FAIL
    return Difference(
        version=version,
        kind=kind,
        name=name,
        a=a,
        b=b,
        difference=difference,
        tolerance=tolerance,
        verdict=verdict,
    )


def _schema(version: VersionResult) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in version.data_schema.items())


def _coefficients(version: VersionResult) -> dict[str, Measured]:
    return {
        "intercept": version.intercept,
        **{name: each.per_sd for name, each in version.coefficients.items()},
    }


def _explanations(version: VersionResult) -> dict[str, Measured]:
    return {name: each.mean_per_sd for name, each in version.explanations.items()}


def _overall(differences: tuple[Difference, ...]) -> Verdict:
    verdicts = {each.verdict for each in differences}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.NOT_PROVEN if Verdict.NOT_PROVEN in verdicts or not differences else Verdict.PASS
