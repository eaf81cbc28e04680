"""Comparison of two runs of one scenario: do their versions, metrics and explanations agree?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness.errors import RUN_AGAIN, ExitCode, PrerequisiteError, select_worst
from harness.plan import PlannedParity
from harness.results import MeasuredValue, MovedRows, Record, Result, Verdict, VersionResult

TOLERANCE = 1e-6
"""Relative tolerance between two targets that run the same job."""
FLOOR = 1e-9
"""Standardized values that differ by less than this are equal."""
Kind = Literal["data", "metric", "coefficient", "explanation"]
Tolerance = Annotated[float, Field(ge=0)]


class Tolerances(Record):
    """The differences up to which two numbers agree, relative to the larger one."""

    metrics: Tolerance = TOLERANCE
    coefficients: Tolerance = TOLERANCE
    explanations: Tolerance = TOLERANCE

    @classmethod
    def same_for_all(cls, tolerance: float) -> Tolerances:
        """Return the same tolerance for everything."""
        return cls(metrics=tolerance, coefficients=tolerance, explanations=tolerance)


LOCAL_AGAINST_CLOUD = Tolerances(metrics=1e-6, coefficients=1e-4, explanations=1e-4)
"""Between a local run and a cloud run, whose libraries are not exactly the same."""


class Difference(Record):
    """One number or name of a version, compared between two runs."""

    version: str
    kind: Kind
    name: str
    a: MeasuredValue | str
    b: MeasuredValue | str
    absent: Literal["a", "b"] | None = None
    """The run that lacks it, in contrast to one that could not measure it."""
    difference: MeasuredValue = None
    """Relative to the larger of the two; ``None`` if they are not numbers."""
    tolerance: float = 0.0
    """Relative; 0 if they must be equal."""
    verdict: Verdict


class Library(Record):
    """The versions of one library in two runs: information only, never part of the verdict."""

    name: str
    a: str | None
    b: str | None
    differs: bool


class Parity(Record):
    """The comparison of two runs."""

    run_a: str | None
    """``None`` if there was no run to compare with."""
    run_b: str
    targets: tuple[str | None, str]
    """The targets of run a and run b."""
    verdict: Verdict
    reason: str = ""
    """Why nothing could be compared."""
    tolerances: Tolerances
    differences: tuple[Difference, ...] = ()
    libraries: tuple[Library, ...] = ()
    gaps: tuple[str, ...] = ()
    """What a local run can't prove about a cloud run."""
    required: bool = True
    """Whether run b must agree with run a to pass; otherwise, the comparison is information only."""
    moved: tuple[MovedRows, ...] = ()
    """By version, the rows whose score differs most; information only, never part of the verdict."""


def explain_missing_parity(parity: Parity) -> str:
    """Explain that a run doesn't agree with another one, as it must; empty if it does."""
    if parity.run_a is None or parity.reason:
        return f"parity is required, but nothing was compared: {parity.reason.removesuffix('.')}"
    if parity.verdict is Verdict.PASS:
        return ""
    if parity.verdict is Verdict.FAIL:
        return f"parity is required, but the run disagrees with the local run {parity.run_a}"
    return f"parity is required, but some values can't be compared with run {parity.run_a}"


def compare(
    a: Result, b: Result, tolerances: Tolerances | None = None, *, gaps: Sequence[str] = ()
) -> Parity:
    """Compare two runs, version by version.

    Rows, schema, fingerprint and the outcome of the step must be equal. Metrics, and coefficients and
    explanation weights per standard deviation of their feature, agree if
    ``|a - b| <= tolerance * max(|a|, |b|)``, or if they differ by less than 1e-9. What only one of the
    runs has is not proven, and neither is anything about a run that ended early.

    Args:
        a: One run.
        b: The other.
        tolerances: Tolerances (default: those between two targets of one kind).
        gaps: What one of the two runs can't prove about the other, even if they agree.
    """
    tolerances = tolerances or Tolerances()
    reason = _find_obstacle(a, b)
    differences = () if reason else tuple(_compare_versions(a, b, tolerances))
    return Parity(
        run_a=a.run_id,
        run_b=b.run_id,
        targets=(a.target, b.target),
        verdict=_combine_verdicts(differences),
        reason=reason,
        tolerances=tolerances,
        differences=differences,
        libraries=tuple(_compare_libraries(a.libraries, b.libraries)),
        gaps=() if reason else tuple(gaps),
    )


def report_not_compared(b: Result, reason: str, tolerances: Tolerances | None = None) -> Parity:
    """Return the parity of a run without another run to compare with: nothing is proven.

    Args:
        b: The run.
        reason: Why there is no other run, as a sentence.
        tolerances: Tolerances that a comparison would have used.
    """
    return Parity(
        run_a=None,
        run_b=b.run_id,
        targets=(None, b.target),
        verdict=Verdict.NOT_PROVEN,
        reason=reason,
        tolerances=tolerances or Tolerances(),
    )


def compare_as_planned(planned: PlannedParity, result: Result) -> Parity:
    """Compare a cloud run with the local run that its plan has; it must agree to pass."""
    tolerances = Tolerances(**planned.tolerances)
    if planned.local is None:
        return report_not_compared(result, planned.reason, tolerances)
    return compare(planned.local, result, tolerances, gaps=planned.gaps)


def load_parity(file: Path) -> Parity | None:
    """Load the comparison that was written next to a run's result; ``None`` if there is none.

    Raises:
        PrerequisiteError: It can't be read.
    """
    if not file.is_file():
        return None
    try:
        return Parity.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise PrerequisiteError(f"{file} can't be read as a comparison.", remedy=RUN_AGAIN) from error


def combine_exit_codes(result: Result, parity: Parity | None) -> ExitCode:
    """Return a run's own exit code, or that of a comparison that it must pass if that is worse."""
    if parity is None or not parity.required:
        return result.exit_code
    return select_worst(result.exit_code, parity.verdict.exit_code)


def _find_obstacle(a: Result, b: Result) -> str:
    """Return why two runs can't be compared; empty if they can."""
    for run in (a, b):
        if run.failure is not None:
            kind = run.failure.kind
            return f"Run {run.run_id} on {run.target} ended early ({kind}), so it proves nothing."
    return "" if a.versions or b.versions else "Neither of the two runs has built a version."


def _compare_versions(a: Result, b: Result, tolerances: Tolerances) -> Iterator[Difference]:
    versions_a = {version.name: version for version in a.versions}
    versions_b = {version.name: version for version in b.versions}
    for name in dict.fromkeys(version.name for version in chain(a.versions, b.versions)):
        yield from _compare_version(name, versions_a.get(name), versions_b.get(name), tolerances)


def _compare_version(
    name: str, a: VersionResult | None, b: VersionResult | None, tolerances: Tolerances
) -> Iterator[Difference]:
    if a is None or b is None:
        in_a, in_b = ("yes", "no") if b is None else ("no", "yes")
        yield Difference(version=name, kind="data", name="built", a=in_a, b=in_b, verdict=Verdict.NOT_PROVEN)
        return
    for field, left, right in (
        ("version", str(a.version), str(b.version)),
        ("rows", str(a.rows), str(b.rows)),
        ("fingerprint", a.fingerprint, b.fingerprint),
        ("schema", _format_schema(a), _format_schema(b)),
        ("step", _describe_outcome(a), _describe_outcome(b)),
    ):
        verdict = Verdict.PASS if left == right else Verdict.FAIL
        yield Difference(version=name, kind="data", name=field, a=left, b=right, verdict=verdict)
    yield from _compare_numbers(name, "metric", a.metrics, b.metrics, tolerances.metrics)
    yield from _compare_numbers(
        name, "coefficient", _list_coefficients(a), _list_coefficients(b), tolerances.coefficients
    )
    yield from _compare_numbers(
        name, "explanation", _list_weights(a), _list_weights(b), tolerances.explanations
    )


def _compare_numbers(
    version: str, kind: Kind, a: Mapping[str, MeasuredValue], b: Mapping[str, MeasuredValue], tolerance: float
) -> Iterator[Difference]:
    for name in dict.fromkeys((*a, *b)):
        left, right = a.get(name), b.get(name)
        absent: Literal["a", "b"] | None = None
        if name not in a or name not in b:
            absent = "b" if name in a else "a"
        difference, verdict = _compare_number(left, right, tolerance)
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


def _compare_number(a: MeasuredValue, b: MeasuredValue, tolerance: float) -> tuple[MeasuredValue, Verdict]:
    """Return the relative difference of two numbers, and whether they agree."""
    if a is None and b is None:
        return None, Verdict.PASS  # The runs agree: neither could measure it.
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return None, Verdict.NOT_PROVEN
    larger = max(abs(a), abs(b))
    agrees = abs(a - b) <= max(tolerance * larger, FLOOR)
    return abs(a - b) / larger if a != b else 0.0, Verdict.PASS if agrees else Verdict.FAIL


def _compare_libraries(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Library]:
    for name in dict.fromkeys((*a, *b)):
        yield Library(name=name, a=a.get(name), b=b.get(name), differs=a.get(name) != b.get(name))


def _format_schema(version: VersionResult) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in version.data_schema.items())


def _describe_outcome(version: VersionResult) -> str:
    return version.status if version.error is None else f"failed as expected with {version.error}"


def _list_coefficients(version: VersionResult) -> dict[str, MeasuredValue]:
    return {
        "intercept": version.intercept,
        **{name: each.per_sd for name, each in version.coefficients.items()},
    }


def _list_weights(version: VersionResult) -> dict[str, MeasuredValue]:
    return {name: each.mean_per_sd for name, each in version.explanations.items()}


def _combine_verdicts(differences: tuple[Difference, ...]) -> Verdict:
    verdicts = {each.verdict for each in differences}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.NOT_PROVEN if Verdict.NOT_PROVEN in verdicts or not differences else Verdict.PASS
