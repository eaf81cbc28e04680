"""Two runs of one scenario held against each other: do they say the same?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, Literal

from pydantic import Field

from harness.errors import ExitCode, worst
from harness.results import Measured, Model, Result, Verdict, VersionResult

TOLERANCE = 1e-6
"""Relative; between two places that run the same job."""
FLOOR = 1e-9
"""Differences of standardised values below this are none."""
CLOUD = "databricks"
"""The target that is not local."""
GAPS = (
    "What the service principal, Unity Catalog and secret scopes permit is seen on the workspace alone.",
    "The runtime has its own builds of Spark (with Photon) and of Delta; a local run has the published ones.",
    "Cluster policies, init scripts and the workspace's network have no local counterpart.",
    "Shuffle and memory of several nodes, at the real data's size, are not those of a small local run.",
    "How long a cluster takes to start, and what it costs, only the cloud can tell.",
)
"""What a local run can't prove of a run on the cloud, however well they agree."""

Kind = Literal["data", "metric", "coefficient", "explanation"]
Tolerance = Annotated[float, Field(ge=0)]


class Tolerances(Model):
    """How far two numbers may be apart and still agree; relative to the larger one."""

    metrics: Tolerance = TOLERANCE
    coefficients: Tolerance = TOLERANCE
    explanations: Tolerance = TOLERANCE

    @classmethod
    def uniform(cls, tolerance: float) -> Tolerances:
        """The same for everything."""
        return cls(metrics=tolerance, coefficients=tolerance, explanations=tolerance)


LOCAL_AGAINST_CLOUD = Tolerances(metrics=1e-6, coefficients=1e-4, explanations=1e-4)
"""Between a local run and one on the cloud, whose libraries are not the very same."""


class Difference(Model):
    """One number or name of a version in two runs."""

    version: str
    kind: Kind
    name: str
    a: Measured | str
    b: Measured | str
    absent: Literal["a", "b"] | None = None
    """The run that does not know it at all, which is not the same as one that could not measure it."""
    difference: Measured = None
    """Relative to the larger of the two; none for what is no number."""
    tolerance: float = 0.0
    """Relative; 0 for what must be the very same."""
    verdict: Verdict


class Library(Model):
    """What the two runs had of one library: for the reader, never a verdict."""

    name: str
    a: str | None
    b: str | None
    differs: bool


class Parity(Model):
    """Everything that two runs were compared by."""

    run_a: str | None
    """None where there was no run to compare with."""
    run_b: str
    targets: tuple[str | None, str]
    """Where they ran, a's first."""
    verdict: Verdict
    reason: str = ""
    """Why nothing could be compared."""
    tolerances: Tolerances
    differences: tuple[Difference, ...] = ()
    libraries: tuple[Library, ...] = ()
    gaps: tuple[str, ...] = ()
    """What one of the two, being local, can't prove of the other."""


def compare(a: Result, b: Result, tolerances: Tolerances | None = None) -> Parity:
    """Compare two runs, version by version.

    Rows, schema, fingerprint and what became of the step must be the very same; metrics, and coefficients
    and explanation weights per standard deviation of their feature, agree where
    ``|a - b| <= tolerance * max(|a|, |b|)``, or where they differ by less than 1e-9. What only one of the
    runs has is not proven, and neither is anything about a run that ended early.

    Args:
        a: One run.
        b: The other.
        tolerances: Those of the two runs' targets where it is ``None``.
    """
    tolerances = tolerances or usual_tolerances(a.target, b.target)
    reason = _why_not(a, b)
    differences = () if reason else tuple(_differences(a, b, tolerances))
    return Parity(
        run_a=a.run_id,
        run_b=b.run_id,
        targets=(a.target, b.target),
        verdict=_overall(differences),
        reason=reason,
        tolerances=tolerances,
        differences=differences,
        libraries=tuple(_libraries(a.libraries, b.libraries)),
        gaps=() if reason or not _is_local_against_cloud(a.target, b.target) else GAPS,
    )


def not_compared(b: Result, reason: str) -> Parity:
    """What is known of a run where there is none to compare it with: nothing is proven.

    Args:
        b: The run.
        reason: Why there is no other, as a sentence.
    """
    return Parity(
        run_a=None,
        run_b=b.run_id,
        targets=(None, b.target),
        verdict=Verdict.NOT_PROVEN,
        reason=reason,
        tolerances=LOCAL_AGAINST_CLOUD if b.target == CLOUD else Tolerances(),
    )


def usual_tolerances(target_a: str, target_b: str) -> Tolerances:
    """What two targets are held to: a local one and the cloud to less than two of one kind."""
    return LOCAL_AGAINST_CLOUD if _is_local_against_cloud(target_a, target_b) else Tolerances()


def exit_code(result: Result, parity: Parity | None) -> ExitCode:
    """The worse of the run's own exit code and that of what it was compared with, where it was."""
    return worst(result.exit_code, parity.verdict.exit_code) if parity else result.exit_code


def _is_local_against_cloud(target_a: str, target_b: str) -> bool:
    return (target_a == CLOUD) != (target_b == CLOUD)


def _why_not(a: Result, b: Result) -> str:
    for run in (a, b):
        if run.failure is not None:
            kind = run.failure.kind
            return f"Run {run.run_id} on {run.target} ended early ({kind}), and what it left proves nothing."
    return "" if a.versions or b.versions else "Neither of the two runs has built a version."


def _differences(a: Result, b: Result, tolerances: Tolerances) -> Iterator[Difference]:
    versions_a = {version.name: version for version in a.versions}
    versions_b = {version.name: version for version in b.versions}
    for name in dict.fromkeys(version.name for version in chain(a.versions, b.versions)):
        yield from _of_version(name, versions_a.get(name), versions_b.get(name), tolerances)


def _of_version(
    name: str, a: VersionResult | None, b: VersionResult | None, tolerances: Tolerances
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
        ("step", _step(a), _step(b)),
    ):
        verdict = Verdict.PASS if left == right else Verdict.FAIL
        yield Difference(version=name, kind="data", name=field, a=left, b=right, verdict=verdict)
    yield from _numbers(name, "metric", a.metrics, b.metrics, tolerances.metrics)
    yield from _numbers(name, "coefficient", _coefficients(a), _coefficients(b), tolerances.coefficients)
    yield from _numbers(name, "explanation", _explanations(a), _explanations(b), tolerances.explanations)


def _numbers(
    version: str, kind: Kind, a: Mapping[str, Measured], b: Mapping[str, Measured], tolerance: float
) -> Iterator[Difference]:
    for name in dict.fromkeys((*a, *b)):
        left, right = a.get(name), b.get(name)
        absent: Literal["a", "b"] | None = None
        if name not in a or name not in b:
            absent = "b" if name in a else "a"
        difference, verdict = _held(left, right, tolerance)
        yield Difference(
            version=version,
            kind=kind,
            name=name,
            a=left,
            b=right,
            absent=absent,
            difference=difference,
            tolerance=tolerance,
            verdict=Verdict.NOT_PROVEN if absent else verdict,
        )


def _held(a: Measured, b: Measured, tolerance: float) -> tuple[Measured, Verdict]:
    """The relative difference of two numbers, and whether they agree."""
    if a is None and b is None:
        return None, Verdict.PASS  # Neither run could measure it, which is the same.
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return None, Verdict.NOT_PROVEN
    larger = max(abs(a), abs(b))
    same = abs(a - b) <= max(tolerance * larger, FLOOR)
    return abs(a - b) / larger if a != b else 0.0, Verdict.PASS if same else Verdict.FAIL


def _libraries(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Library]:
    for name in dict.fromkeys((*a, *b)):
        yield Library(name=name, a=a.get(name), b=b.get(name), differs=a.get(name) != b.get(name))


def _schema(version: VersionResult) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in version.data_schema.items())


def _step(version: VersionResult) -> str:
    return version.status if version.error is None else f"refused with {version.error}"


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
