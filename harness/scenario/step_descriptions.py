"""A step in words, and where its rows come from."""

from __future__ import annotations

from harness.scenario.model import Table, Version
from harness.scenario.steps import (
    AddColumns,
    Append,
    Delete,
    Merge,
    Optimize,
    Overwrite,
    Read,
    Restore,
    Rows,
    Source,
    Sql,
    Step,
    Update,
    Vacuum,
)


def step_in_words(version: Version) -> str:
    """What a version's step does, such as ``append where day = 1``."""
    words = _words(version.step)
    return f"{words}; must fail with {version.expect_error}" if version.expect_error else words


def rows_from(table: Table, version: Version) -> str:
    """Where the rows that a step brings come from; ``-`` where it brings none."""
    step = version.step
    if isinstance(step, Restore):
        return f"version {step.to}"
    if isinstance(step, Read):
        return table.uri or "-"
    if not isinstance(step, Rows):
        return "-"
    if step.rows is not None:
        return f"{len(step.rows)} written out" if len(step.rows) > 1 else "1 written out"
    return _source(step.source or table.source)


def _source(source: Source | None) -> str:
    if source is None:
        return "-"
    if source.generate is not None:
        made = source.generate
        return f"{made.rows:,} made {made.kind}, {made.first_year} to {made.last_year}"
    return source.path


def _words(step: Step) -> str:
    if isinstance(step, Rows):
        return _with_rows(step)
    if isinstance(step, Update):
        changes = ", ".join(f"{name} = {expression}" for name, expression in step.assign.items())
        return f"update {changes}{_where(step.where)}"
    if isinstance(step, Delete):
        return f"delete where {step.where}"
    if isinstance(step, AddColumns):
        return "add " + ", ".join(f"{name} {kind}" for name, kind in step.columns.items())
    return _without_rows(step)


def _with_rows(step: Rows) -> str:
    words = {Append: "append", Overwrite: "overwrite", Merge: "merge"}[type(step)]
    if isinstance(step, Overwrite) and step.replace_where:
        words += f" the rows with {step.replace_where}, by rows"
    if isinstance(step, Merge):
        words += f" ({_merge(step)})"
    words += _where(step.where)
    changes = [
        f"{step.sample:.3g} of them" if step.sample is not None else "",
        f"with {', '.join(step.assign)} set" if step.assign else "",
        f"with {step.shuffle} shuffled" if step.shuffle else "",
    ]
    return ", ".join([words, *(change for change in changes if change)])


def _merge(step: Merge) -> str:
    said = (
        ("matched", step.when_matched),
        ("new", step.when_not_matched),
        ("missing", step.when_not_matched_by_source),
    )
    return ", ".join(f"{which}: {action}" for which, action in said if action != "ignore")


def _without_rows(step: Step) -> str:
    if isinstance(step, Restore):
        return f"restore to {step.to}"
    if isinstance(step, Optimize):
        return f"optimize{_where(step.where)}" + (
            f" by z-order of {', '.join(step.z_order)}" if step.z_order else ""
        )
    if isinstance(step, Vacuum):
        return f"vacuum, {step.retain_hours:g} hours kept"
    if isinstance(step, Sql):
        return " ".join(step.statement.split())
    if isinstance(step, Read):
        return f"read version {step.version}" if step.timestamp is None else f"read as of {step.timestamp}"
    raise TypeError(type(step))


def _where(condition: str | None) -> str:
    return f" where {condition}" if condition else ""
