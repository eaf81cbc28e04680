"""What holds of the table: it is either built, or there already."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import blank, lists_reads, repeated, steps_of
from harness.scenario.model import Scenario, Table
from harness.scenario.steps import Rows, Source

_AT: Location = ("table",)


def table_problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with the table and with what its rows come from."""
    table = scenario.table
    for index, name in repeated(table.key):
        yield Problem(f"key column '{name}' is named twice.", (*_AT, "key", index))
    yield from blank(table.uri, "uri", (*_AT, "uri"))
    if table.uri is not None and table.source is not None:
        message = "the table has a source and a uri: it is either built, or there already; leave one out."
        yield Problem(message, (*_AT, "uri"))
    yield from _versions(scenario)
    yield from _lacks_source(scenario)
    for source, at in _sources(scenario):
        yield from _source(source, at)


def lacks_every_source(scenario: Scenario) -> bool:
    """Whether the table has no source, and no step brings rows of its own either."""
    steps = [version.step for _, version in steps_of(scenario)]
    bringing = [step for step in steps if isinstance(step, Rows)]
    return (
        _has_none(scenario.table)
        and bool(bringing)
        and not any(step.source or step.rows for step in bringing)
    )


def _has_none(table: Table) -> bool:
    return table.source is None and table.uri is None


def _versions(scenario: Scenario) -> Iterator[Problem]:
    if scenario.table.versions is None:
        return
    at: Location = (*_AT, "versions")
    if scenario.table.uri is None:
        yield Problem("'versions' in 'table' is of a table that is there already; name it by 'uri'.", at)
    if not lists_reads(scenario):
        message = "the versions are listed twice: by 'versions' and by 'versions' in 'table'; leave one out."
        yield Problem(message, at)


def _lacks_source(scenario: Scenario) -> Iterator[Problem]:
    if lacks_every_source(scenario):
        message = (
            "the table has no source; name one, or the uri of a table that is there already, "
            "or let each step bring rows by 'from' or 'rows'."
        )
        yield Problem(message, _AT)


def _sources(scenario: Scenario) -> Iterator[tuple[Source, Location]]:
    """Every source, and where it is named."""
    if scenario.table.source is not None:
        yield scenario.table.source, (*_AT, "source")
    for at, version in steps_of(scenario):
        step = version.step
        if isinstance(step, Rows) and step.source is not None:
            yield step.source, (*at, "from")


def _source(source: Source, at: Location) -> Iterator[Problem]:
    if source.generate is None:
        if not source.path.strip():
            yield Problem("the source has no path; give it one, or let rows be made by 'generate'.", at)
        return
    if source.path:
        yield Problem("the source has a path and makes its rows by 'generate'; leave one out.", at)
    for key in ("format", "options"):
        if getattr(source, key):
            yield Problem(f"'{key}' is for files, and the rows are made by 'generate'.", (*at, key))
