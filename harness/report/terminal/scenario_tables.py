"""Scenarios and plans on the terminal: tables for a person, tab-separated values for a program."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.authoring.plan_preview import DEPENDS, Planned, PlannedVersion
from harness.authoring.scenario_list import Listed
from harness.report.terminal.console import terminal_text, write_line
from harness.views import formatting

_LIST_TITLES = ("scenario", "table", "versions", "newest run", "description")
_PLAN_TITLES = ("version", "step", "rows from", "commits", "Delta version", "trained", "bounds")


def show_scenarios(console: Console, listed: Sequence[Listed]) -> None:
    """One line per scenario."""
    rows = [(each.name, each.table, each.versions, each.newest, each.description) for each in listed]
    _show(console, _LIST_TITLES, rows)


def show_plan(console: Console, planned: Planned) -> None:
    """The versions as a table, then what is trained and published, and what it costs."""
    _show(console, _PLAN_TITLES, [_row(version) for version in planned.versions])
    for line in _sentences(planned):
        write_line(console, Text(line))


def _row(version: PlannedVersion) -> tuple[str, ...]:
    trained = {"version": "by its number", "timestamp": "by its time"}[version.read_by]
    return (
        version.name,
        version.step,
        version.rows_from,
        _known(version.commits),
        _known(version.version),
        trained if version.trained else "no",
        str(version.bounds),
    )


def _known(number: int | None) -> str:
    if number is None:
        return DEPENDS
    return str(number) if number >= 0 else "none yet"


def _sentences(planned: Planned) -> tuple[str, ...]:
    rows = formatting.count(planned.explained_rows, "row")
    samples = formatting.count(planned.samples_per_row, "sample")
    predictions = f"{planned.explained_rows * planned.samples_per_row:,}"
    return (
        f"Trained: {planned.model} at {formatting.count(planned.trainings, 'version')}{_fits(planned)}.",
        f"Explained: at each {rows} x {samples} = {predictions} predictions.",
        f"Published: {planned.published}.",
        f"On Databricks: {_cost(planned)}",
    )


def _fits(planned: Planned) -> str:
    """How many fits there are; nothing where a pipeline in Python decides that itself."""
    if planned.grid_points is None or planned.folds is None or planned.fits is None:
        return ""
    points, folds = (
        formatting.count(planned.grid_points, "grid point"),
        formatting.count(planned.folds, "fold"),
    )
    return f"; at each {points} x {folds} = {formatting.count(planned.fits, 'fit')}, and one on all rows"


def _cost(planned: Planned) -> str:
    cost = planned.cost
    if cost is None:
        return "unknown, as no run of it there is kept here."
    nodes = formatting.count(cost.nodes, "node")
    return (
        f"{cost.cluster_minutes:.1f} cluster minutes, as in run {cost.run_id} "
        f"({cost.minutes:.1f} min x {nodes}, without the cluster's start)."
    )


def _show(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not console.is_terminal:
        for row in (titles, *rows):
            # Not the console's own 'print', which puts blanks in place of tabs.
            console.file.write("\t".join(row) + "\n")
        return
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(terminal_text(console, cell) for cell in row))
    console.print(table)
