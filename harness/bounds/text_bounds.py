"""What must hold of a version and is no number: its schema, its operation, its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.results import BoundResult, Verdict, VersionResult
from harness.scenario.expectations import Schema

Columns = Mapping[str, str]
"""Column to type, in order."""


def schema(expected: Schema, version: VersionResult) -> Iterator[BoundResult]:
    """Whether the version has the columns, in their types; each part by itself."""
    found = version.data_schema
    for how, columns in (("exactly", expected.exact), ("at least", expected.at_least)):
        if columns:
            wrong = [*_lacking(columns, found)]
            if columns is expected.exact:
                wrong += _beyond(columns, found)
            said = f"{how} {', '.join(f'{name} {kind}' for name, kind in columns.items())}"
            yield _is("schema", said, "; ".join(wrong) or "as expected", holds=not wrong)


def operation(expected: str, version: VersionResult) -> BoundResult:
    """Whether the version's Delta commit was of this operation."""
    if version.commit is None:
        return _not_proven("operation", expected, f"the commit of {version.name} is not known")
    found = version.commit.operation
    return _is("operation", expected, found, holds=found.upper() == expected.strip().upper())


def same_data(name: str, version: VersionResult, other: VersionResult | None) -> BoundResult:
    """Whether the version has the same schema and the same rows as another one."""
    if other is None:
        return _not_proven("same_data_as", name, f"version {name} was not measured")
    found = _other_data(version, other)
    return _is("same_data_as", name, found or "the same data", holds=not found)


def _other_data(version: VersionResult, other: VersionResult) -> str:
    if list(version.data_schema.items()) != list(other.data_schema.items()):
        return "another schema"
    if version.rows != other.rows:
        return f"other data: {version.rows:,} rows, not {other.rows:,}"
    return "other data" if version.fingerprint != other.fingerprint else ""


def _lacking(expected: Columns, found: Columns) -> Iterator[str]:
    """Spark knows columns whatever their case."""
    kinds = {name.lower(): kind for name, kind in found.items()}
    for name, kind in expected.items():
        have = kinds.get(name.lower())
        if have is None:
            yield f"{name} is missing"
        elif _plain(have) != _plain(kind):
            yield f"{name} is {have}, not {kind}"


def _beyond(expected: Columns, found: Columns) -> Iterator[str]:
    """What else may not be, where these columns are expected and no others."""
    names = {name.lower(): name for name in expected}
    for name in found:
        if name.lower() not in names:
            yield f"{name} is not expected"
        elif name not in expected:
            yield f"{names[name.lower()]} is written {name}"
    wanted = [name.lower() for name in expected if name.lower() in map(str.lower, found)]
    order = [name for name in found if name.lower() in names]
    if [name.lower() for name in order] != wanted:
        yield f"the order is {', '.join(order)}"


def _plain(kind: str) -> str:
    """A type whatever its case and its blanks: Spark writes ``decimal(10,2)``."""
    return "".join(kind.split()).lower()


def _is(metric: str, expected: str, found: str, *, holds: bool) -> BoundResult:
    return _text(metric, expected, found, Verdict.PASS if holds else Verdict.FAIL)


def _not_proven(metric: str, expected: str, reason: str) -> BoundResult:
    return _text(metric, expected, "", Verdict.NOT_PROVEN, reason)


def _text(metric: str, expected: str, found: str, verdict: Verdict, reason: str = "") -> BoundResult:
    return BoundResult(
        metric=metric,
        kind="is",
        measured=None,
        bound=None,
        expected=expected,
        found=found,
        distance=None,
        verdict=verdict,
        reason=reason,
    )
