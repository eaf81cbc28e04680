"""What holds of each step by itself, and of what its version says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.bounds.scope import not_earlier
from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import blank, repeated, steps_of
from harness.scenario.column_types import type_problems
from harness.scenario.model import Scenario, Version
from harness.scenario.reserved_names import is_taken
from harness.scenario.steps import AddColumns, Delete, Merge, Optimize, Overwrite, Restore, Sql, Update

_TABLE = "{table}"
_ERROR_CLASS = re.compile(r"[A-Za-z][\w.$]*")
_POSSIBLE: Mapping[str, tuple[int, ...]] = {
    "append": (0, 1),
    "overwrite": (0, 1),
    "merge": (0, 1),
    "update": (0, 1),
    "delete": (0, 1),
    "add_columns": (1,),
    "restore": (0, 1),
    "optimize": (0, 1),
    "vacuum": (0, 1, 2),
    "read": (0,),
}
"""Delta commits that a step can make; those of SQL are not known."""


def step_problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with the steps, but for the rows that they bring."""
    for at, version in steps_of(scenario):
        yield from _commits(version, at)
        yield from _error(version, at)
        if version.kind in _RULES:
            yield from _RULES[version.kind](version.step, version, at)
        if version.restore is not None:
            yield from _restore(version.restore, version, scenario, at)
    yield from _partitions(scenario)


def _commits(version: Version, at: Location) -> Iterator[Problem]:
    said = version.commits
    if said is None or said == "any":
        return
    place: Location = (*at[:-1], "commits")
    if version.expect_error is not None:
        if said != 0:
            message = f"version '{version.name}' must fail, and a step that fails makes no commit"
            yield Problem(f"{message}; leave 'commits' out.", place)
        return
    possible = _POSSIBLE.get(version.kind)
    if possible is not None and said not in possible:
        numbers = " or ".join(str(number) for number in possible)
        message = f"version '{version.name}': {version.kind} can't make {said} commits, only {numbers}."
        yield Problem(message, place)


def _error(version: Version, at: Location) -> Iterator[Problem]:
    error = version.expect_error
    if error is None:
        return
    place: Location = (*at[:-1], "expect_error")
    if not _ERROR_CLASS.fullmatch(error):
        message = f"'{error}' is no error class; write one such as DELTA_FAILED_TO_MERGE_FIELDS."
        yield Problem(message, place)
    if version.read is not None:
        yield Problem(f"version '{version.name}' is only read, and can't be made to fail.", place)
    if version.train and "train" in version.model_fields_set:
        message = f"version '{version.name}' must fail, so that no model can be trained at it"
        yield Problem(f"{message}; leave 'train' out.", (*at[:-1], "train"))


def _overwrite(step: Overwrite, version: Version, at: Location) -> Iterator[Problem]:
    yield from blank(step.replace_where, "replace_where", (*at, "replace_where"))
    if step.replace_where is not None and step.overwrite_schema:
        message = f"version '{version.name}': rows that replace some of the table can't replace its columns"
        yield Problem(f"{message}; leave 'overwrite_schema' out.", (*at, "overwrite_schema"))


def _merge(step: Merge, version: Version, at: Location) -> Iterator[Problem]:
    for index, name in repeated(step.on or ()):
        yield Problem(f"column '{name}' is named twice.", (*at, "on", index))
    actions = (step.when_matched, step.when_not_matched, step.when_not_matched_by_source)
    if set(actions) == {"ignore"}:
        yield Problem(f"version '{version.name}': a merge that ignores all rows does nothing.", at)


def _update(step: Update, version: Version, at: Location) -> Iterator[Problem]:
    yield from blank(step.where, "where", (*at, "where"))
    yield from set_problems(step.assign, version, (*at, "set"))


def set_problems(assign: Mapping[str, str], version: Version, at: Location) -> Iterator[Problem]:
    """What is wrong with columns that are set to expressions."""
    for _, name in repeated(assign):
        yield Problem(f"version '{version.name}': column '{name}' is set twice.", (*at, name))
    for name, expression in assign.items():
        yield from blank(expression, name, (*at, name))
        yield from _taken(name, version, (*at, name))


def _taken(name: str, version: Version, at: Location) -> Iterator[Problem]:
    if version.is_trained and is_taken(name):
        yield Problem(f"'{name}' is a name that the models need; take another.", at)


def _delete(step: Delete, _version: Version, at: Location) -> Iterator[Problem]:
    yield from blank(step.where, "delete", at)


def _add_columns(step: AddColumns, version: Version, at: Location) -> Iterator[Problem]:
    for _, name in repeated(step.columns):
        yield Problem(f"version '{version.name}': column '{name}' is added twice.", (*at, name))
    for name, kind in step.columns.items():
        yield from type_problems(name, kind, (*at, name))
        yield from _taken(name, version, (*at, name))


def _restore(step: Restore, version: Version, scenario: Scenario, at: Location) -> Iterator[Problem]:
    reason = not_earlier(step.to, scenario, int(at[1]))
    if reason is not None:
        yield Problem(f"version '{version.name}' can't restore '{step.to}': {reason}", at)


def _optimize(step: Optimize, version: Version, at: Location) -> Iterator[Problem]:
    yield from blank(step.where, "where", (*at, "where"))
    for index, name in repeated(step.z_order or ()):
        message = f"version '{version.name}': the rows are ordered by '{name}' twice."
        yield Problem(message, (*at, "z_order", index))


def _sql(step: Sql, version: Version, at: Location) -> Iterator[Problem]:
    if _TABLE not in step.statement:
        message = f"version '{version.name}': the statement names no table; write {_TABLE} where it stands."
        yield Problem(message, at)


def _partitions(scenario: Scenario) -> Iterator[Problem]:
    """Only a statement of SQL can make a table that has partitions."""
    for at, version in steps_of(scenario):
        if version.sql is not None:
            return
        if version.optimize is not None and version.optimize.where is not None:
            message = f"version '{version.name}': the table has no partitions that 'where' could choose"
            yield Problem(f"{message}; leave it out.", (*at, "where"))


_RULES: Mapping[str, Callable[[Any, Version, Location], Iterator[Problem]]] = {
    "overwrite": _overwrite,
    "merge": _merge,
    "update": _update,
    "delete": _delete,
    "add_columns": _add_columns,
    "optimize": _optimize,
    "sql": _sql,
}
