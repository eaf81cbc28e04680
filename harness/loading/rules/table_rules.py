"""Rules of the table: it either exists, or the scenario builds it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.loading.rules.rule_helpers import lists_reads, versions_with_step
from harness.scenario.model import Scenario
from harness.scenario.row_source import Source
from harness.scenario.rows import Rows
from harness.scenario.text_checks import check_not_blank, find_repeated

_AT: Location = ("table",)


def table_problems(scenario: Scenario) -> Iterator[Problem]:
    """Yield everything that is wrong with the table and with the sources of its rows."""
    table = scenario.table
    for index, name in find_repeated(table.key):
        yield Problem(f"key column '{name}' is listed twice.", (*_AT, "key", index))
    yield from check_not_blank(table.uri, "uri", (*_AT, "uri"))
    if table.uri is not None and table.source is not None:
        message = "the table has both a 'source' to build it and the 'uri' of an existing one; remove one."
        yield Problem(message, (*_AT, "uri"))
    yield from _versions(scenario)
    if scenario.lacks_every_source:
        message = (
            "the table has no source; add 'source', or the 'uri' of an existing table, "
            "or add 'from' or 'rows' to each step."
        )
        yield Problem(message, _AT)
    for source, at in _sources(scenario):
        yield from _source(source, at)


def _versions(scenario: Scenario) -> Iterator[Problem]:
    if scenario.table.versions is None:
        return
    at: Location = (*_AT, "versions")
    if scenario.table.uri is None:
        message = "'versions' in 'table' lists versions of an existing table; add its 'uri'."
        yield Problem(message, at)
    if not lists_reads(scenario):
        message = "versions are listed both under 'versions' and under 'versions' in 'table'; remove one."
        yield Problem(message, at)


def _sources(scenario: Scenario) -> Iterator[tuple[Source, Location]]:
    """Yield every source with its location."""
    if scenario.table.source is not None:
        yield scenario.table.source, (*_AT, "source")
    for index, version in versions_with_step(scenario):
        step = version.step
        if isinstance(step, Rows) and step.source is not None:
            yield step.source, ("versions", index, version.kind, "from")


def _source(source: Source, at: Location) -> Iterator[Problem]:
    if source.generate is None:
        if not source.path.strip():
            yield Problem("the source has neither a path nor 'generate'; add one.", at)
        return
    if source.path:
        yield Problem("the source has both a path and 'generate'; remove one.", at)
    for key in ("format", "options"):
        if getattr(source, key):
            yield Problem(f"'{key}' is for files, but the rows are generated; remove it.", (*at, key))
