"""Bounds without a number: on the schema, the operation and the data of a version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.bounds.standard import CHECKS, STANDARD, History, run_check
from harness.results import VersionResult
from harness.scenario.bound_spec import BoundSpec
from harness.scenario.expectations import Expect

Columns = Mapping[str, str]
"""Column to type, in order."""
Versions = Mapping[str, VersionResult]
"""The measured versions by name."""
EXACT, AT_LEAST = "exact", "at_least"


@dataclass(frozen=True)
class TextExpectation:
    """One expectation of a version, as the file sets it."""

    text: str
    name: str = ""
    """Which part of the expectation it is, if there are several."""
    columns: Columns = field(default_factory=dict)
    label: str = ""
    """Its name in reports (default: that of the kind)."""
    limit: float | None = None
    """The limit of the differences that it allows."""


@dataclass(frozen=True)
class Finding:
    """The actual text of a version, and whether it is the expected one."""

    text: str = ""
    holds: bool = False
    reason: str = ""
    """Why the bound is not proven; empty if it is."""


@dataclass(frozen=True)
class TextKind:
    """A kind of bound without a number."""

    name: str
    """Its key below ``expect`` or ``every``, which is its name in reports as well."""
    expected: Callable[[Expect], Iterator[TextExpectation]]
    find: Callable[[BoundSpec, VersionResult, Versions], Finding]
    compares: bool = False
    """Whether it compares with the previous version, so that it doesn't exist at the first one."""


def _expected_schema(expect: Expect) -> Iterator[TextExpectation]:
    if expect.columns is None:
        return
    for name, label in ((EXACT, "exactly"), (AT_LEAST, "at least")):
        columns: Columns | None = getattr(expect.columns, name)
        if columns:
            listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            yield TextExpectation(f"{label} {listed}", name, columns)


def _find_schema(spec: BoundSpec, version: VersionResult, _versions: Versions) -> Finding:
    wrong = [*_find_missing(spec.columns, version.data_schema)]
    if spec.quantity.name == EXACT:
        wrong += _find_unexpected(spec.columns, version.data_schema)
    return Finding("; ".join(wrong) or "as expected", holds=not wrong)


def _expected_operation(expect: Expect) -> Iterator[TextExpectation]:
    if expect.operation is not None:
        yield TextExpectation(expect.operation)


def _find_operation(spec: BoundSpec, version: VersionResult, _versions: Versions) -> Finding:
    if version.commit is None:
        return Finding(reason=f"the commit of {version.name} is unknown")
    operation = version.commit.operation
    return Finding(operation, holds=operation.upper() == spec.expected.strip().upper())


def _expected_data(expect: Expect) -> Iterator[TextExpectation]:
    if expect.same_data_as is not None:
        yield TextExpectation(expect.same_data_as)


def _find_data(spec: BoundSpec, version: VersionResult, versions: Versions) -> Finding:
    other = versions.get(spec.expected)
    if other is None:
        return Finding(reason=f"version {spec.expected} was not measured")
    difference = _describe_difference(version, other)
    return Finding(difference or "the same data", holds=not difference)


def _expected_standard(expect: Expect) -> Iterator[TextExpectation]:
    standard = expect.standard
    if standard is not None and standard.is_on:
        for check in CHECKS:
            if check not in standard.without:
                limit = standard.limits.get(check, CHECKS[check].limit)
                yield TextExpectation(
                    f"unchanged (limit {limit:g})", check, label=f"{STANDARD}.{check}", limit=limit
                )


def _find_standard(spec: BoundSpec, version: VersionResult, versions: Versions) -> Finding:
    before = versions.get(spec.reference.version) if spec.reference is not None else None
    if before is None:
        return Finding(reason=f"the version before {version.name} was not measured")
    names = list(versions)
    earlier = [versions[name] for name in names[: names.index(version.name)]]
    outcome = run_check(spec.quantity.name, History(version, before, earlier), spec.limit)
    # What a failure often means helps whoever reads the report; a check that holds needs no explanation.
    why = "" if outcome.holds else f"; often {CHECKS[spec.quantity.name].why}"
    return Finding(f"{outcome.text}{why}", holds=outcome.holds)


_ALL = (
    TextKind(STANDARD, _expected_standard, _find_standard, compares=True),
    TextKind("schema", _expected_schema, _find_schema),
    TextKind("operation", _expected_operation, _find_operation),
    TextKind("same_data_as", _expected_data, _find_data),
)
TEXTS: Mapping[str, TextKind] = {each.name: each for each in _ALL}
"""Every kind of bound without a number, in the order in which they are judged."""


def _describe_difference(version: VersionResult, other: VersionResult) -> str:
    if list(version.data_schema.items()) != list(other.data_schema.items()):
        return "another schema"
    if version.rows != other.rows:
        return f"other data: {version.rows:,} rows, not {other.rows:,}"
    return "other data" if version.fingerprint != other.fingerprint else ""


def _find_missing(expected: Columns, actual: Columns) -> Iterator[str]:
    # Spark ignores the case of column names.
    kinds = {name.lower(): kind for name, kind in actual.items()}
    for name, kind in expected.items():
        have = kinds.get(name.lower())
        if have is None:
            yield f"{name} is missing"
        elif _normalize_type(have) != _normalize_type(kind):
            yield f"{name} is {have}, not {kind}"


def _find_unexpected(expected: Columns, actual: Columns) -> Iterator[str]:
    """Yield differences in columns, case and order if exactly these columns are expected."""
    names = {name.lower(): name for name in expected}
    for name in actual:
        if name.lower() not in names:
            yield f"{name} is not expected"
        elif name not in expected:
            yield f"{names[name.lower()]} is written {name}"
    wanted = [name.lower() for name in expected if name.lower() in map(str.lower, actual)]
    order = [name for name in actual if name.lower() in names]
    if [name.lower() for name in order] != wanted:
        yield f"the order is {', '.join(order)}"


def _normalize_type(kind: str) -> str:
    """Return a type without case and blanks: Spark writes ``decimal(10,2)``."""
    return "".join(kind.split()).lower()
