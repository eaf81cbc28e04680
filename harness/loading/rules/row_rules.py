"""What holds of the rows that a step brings."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import blank, repeated, steps_of
from harness.loading.rules.step_rules import set_problems
from harness.loading.rules.table_rules import lacks_every_source
from harness.scenario.model import Scenario, Version
from harness.scenario.steps import Merge, Rows
from harness.suggestions import did_you_mean


def row_problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with the rows of the steps, without a look at any file."""
    is_told = scenario.table.uri is not None or lacks_every_source(scenario)
    for at, version in steps_of(scenario):
        step = version.step
        if isinstance(step, Rows):
            yield from _origin(step, version, scenario, at, is_told=is_told)
            yield from blank(step.where, "where", (*at, "where"))
            yield from set_problems(step.assign, version, (*at, "set"))
            yield from _written(step, version, scenario, at)


def _origin(
    step: Rows, version: Version, scenario: Scenario, at: Location, *, is_told: bool
) -> Iterator[Problem]:
    """Rows have one origin."""
    if step.source is not None and step.rows is not None:
        message = f"version '{version.name}' takes rows from a source and writes others out"
        yield Problem(f"{message}; leave 'from' or 'rows' out.", (*at, "rows"))
    has_none = step.source is None and step.rows is None and scenario.table.source is None
    if has_none and not is_told:
        message = f"version '{version.name}' brings rows, and there is no source"
        yield Problem(f"{message}; name one under 'from' or the table's 'source', or write 'rows'.", at)


def _written(step: Rows, version: Version, scenario: Scenario, at: Location) -> Iterator[Problem]:
    if step.rows is None:
        return
    for index, row in enumerate(step.rows):
        place: Location = (*at, "rows", index)
        if not row:
            yield Problem(f"version '{version.name}': row {index + 1} has no columns.", place)
        for _, name in repeated(row):
            message = f"version '{version.name}': row {index + 1} has the column '{name}' twice."
            yield Problem(message, (*place, name))
    if int(at[1]) == 0 and scenario.table.source is None and scenario.table.uri is None:
        message = (
            f"version '{version.name}': rows that are written out take the types of the table or of its "
            "source, and there is neither yet; begin with rows of a source."
        )
        yield Problem(message, (*at, "rows"))
    yield from _lacking(step, version, scenario, at)


def _lacking(step: Rows, version: Version, scenario: Scenario, at: Location) -> Iterator[Problem]:
    """Columns by which the rows are chosen, shuffled or merged, and which none of them has."""
    written = [name for row in step.rows or () for name in row]
    known = [*written, *step.assign]
    key = scenario.table.key
    wanted: list[tuple[str, str, list[str], Location]] = []
    if step.sample is not None:
        wanted += [(name, "are sampled", written, (*at, "sample")) for name in key]
    if step.shuffle is not None:
        wanted += [(name, "are shuffled", known, (*at, "shuffle")) for name in (step.shuffle, *key)]
    if isinstance(step, Merge):
        wanted += [(name, "are merged", known, at) for name in step.on or key]
    for name, purpose, there, place in wanted:
        if name.lower() not in [each.lower() for each in there]:
            message = f"version '{version.name}': the rows have no column '{name}', by which they {purpose}."
            yield Problem(message + did_you_mean(name, there), place)
