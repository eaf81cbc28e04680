"""Rules on expectations of a version's data: its columns, its commit and its protocol."""

from __future__ import annotations

from collections.abc import Iterator

from harness.bounds.specs import Scope
from harness.errors import Location, Problem, did_you_mean
from harness.scenario.column_types import check_type
from harness.scenario.expectations import Schema
from harness.scenario.model import Version
from harness.scenario.text_checks import check_not_blank, find_repeated


def check_data(scope: Scope) -> Iterator[Problem]:
    """Yield every problem with expectations of data, except with their numbers."""
    if scope.expect.columns is not None:
        yield from _check_schema(scope.expect.columns, scope, (*scope.at, "schema"))
    yield from _check_nulls(scope)
    yield from _check_operation(scope)
    protocol = scope.expect.protocol
    if protocol is not None and not protocol.model_fields_set:
        yield Problem("'protocol' has no bound; add reader or writer.", (*scope.at, "protocol"))


def _check_schema(schema: Schema, scope: Scope, at: Location) -> Iterator[Problem]:
    if not schema.exact and not schema.at_least and schema.model_fields_set <= {"exact", "at_least"}:
        yield Problem("'schema' has no columns; add exact or at_least, with at least one column.", at)
    for key in ("exact", "at_least"):
        columns: dict[str, str] = getattr(schema, key) or {}
        for _, name in find_repeated(columns):
            yield Problem(f"column '{name}' is listed twice.", (*at, key, name))
        for name, kind in columns.items():
            yield from check_type(name, kind, (*at, key, name), as_written=True)
    if schema.exact:
        yield from _check_contradictions(schema.exact, schema.at_least or {}, at)
        yield from _check_training_columns(schema.exact, scope, (*at, "exact"))


def _check_contradictions(exact: dict[str, str], at_least: dict[str, str], at: Location) -> Iterator[Problem]:
    for name, kind in at_least.items():
        if exact.get(name, "").lower() != kind.lower():
            message = f"'at_least' requires '{name} {kind}', which 'exact' doesn't allow."
            yield Problem(message, (*at, "at_least", name))


def _check_training_columns(exact: dict[str, str], scope: Scope, at: Location) -> Iterator[Problem]:
    """Yield a problem if columns that training needs are not among the expected ones."""
    if not scope.is_of_models:
        return
    pipeline = scope.scenario.pipeline
    known = {name.lower() for name in (*exact, *pipeline.derive, *pipeline.optional)}
    needed = (*scope.scenario.table.key, pipeline.label.column, *pipeline.features, *pipeline.categorical)
    lacking = [name for name in needed if name.lower() not in known]
    if lacking:
        names = ", ".join(f"'{name}'" for name in dict.fromkeys(lacking))
        yield Problem(f"no model can be trained with exactly these columns; missing: {names}.", at)


def _check_nulls(scope: Scope) -> Iterator[Problem]:
    derived = {name.lower() for name in scope.scenario.pipeline.derive}
    at: Location = (*scope.at, "nulls")
    for _, name in find_repeated(scope.expect.nulls):
        yield Problem(f"column '{name}' is listed twice.", (*at, name))
    for name in scope.expect.nulls:
        if name.lower() in derived and scope.is_of_models:
            message = f"'{name}' is a derived column; nulls are only counted in the table's own columns."
            yield Problem(message, (*at, name))


def _check_operation(scope: Scope) -> Iterator[Problem]:
    operation, own = scope.expect.operation, scope.version
    if operation is None:
        return
    at: Location = (*scope.at, "operation")
    yield from check_not_blank(operation, "operation", at)
    if operation.strip() and own is not None and len(own.steps) == 1:
        yield from _check_operation_of_step(own, operation, at)


def _check_operation_of_step(version: Version, expected: str, at: Location) -> Iterator[Problem]:
    if version.expect_error is not None:
        message = f"version '{version.name}' must fail, so it makes no commit; remove 'operation'."
        yield Problem(message, at)
        return
    operation = version.step.operation
    if operation is not None and version.declared_commits in (1, 2) and expected.upper() != operation:
        message = f"the operation of version '{version.name}' is {operation}, not '{expected}'."
        yield Problem(message + did_you_mean(expected.upper(), [operation]), at)
