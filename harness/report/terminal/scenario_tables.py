"""Scenarios and plans as tables on a terminal and as tab-separated values elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.authoring.plan_preview import DEPENDS, PlannedVersion, PlanPreview
from harness.authoring.scenario_list import ListedScenario
from harness.report.terminal.console import terminal_text, write_line
from harness.targets.registry import TARGETS
from harness.views import formatting

_LIST_TITLES = ("scenario", "table", "versions", "newest run", "description")
_PLAN_TITLES = ("version", "step", "rows from", "commits", "Delta version", "trained", "bounds")


def show_scenarios(console: Console, listed: Sequence[ListedScenario]) -> None:
    """Show one line per scenario."""
    rows = [(each.name, each.table, each.versions, each.newest, each.description) for each in listed]
    _show(console, _LIST_TITLES, rows)


def show_plan(console: Console, planned: PlanPreview) -> None:
    """Show the versions as a table, then the trainings, the published models and the cost."""
    _show(console, _PLAN_TITLES, [_row(version) for version in planned.versions])
    for line in _sentences(planned):
        write_line(console, Text(line))


def _row(version: PlannedVersion) -> tuple[str, ...]:
    trained = {"version": "yes, by number", "timestamp": "yes, by timestamp"}[version.read_by]
    return (
        version.name,
        version.step,
        version.rows_from,
        _format_number(version.commits),
        _format_number(version.version),
        trained if version.trained else "no",
        str(version.bounds),
    )


def _format_number(number: int | None) -> str:
    if number is None:
        return DEPENDS
    return str(number) if number >= 0 else "none yet"


def _sentences(planned: PlanPreview) -> tuple[str, ...]:
    rows = formatting.count(planned.explained_rows, "row")
    samples = formatting.count(planned.samples_per_row, "sample")
    predictions = f"{planned.explained_rows * planned.samples_per_row:,}"
    return (
        f"Trained: {planned.model} on {formatting.count(planned.trainings, 'version')}{_fits(planned)}.",
        f"Explained: {rows} x {samples} = {predictions} predictions per version.",
        f"Published: {planned.published}.",
        _cost(planned),
    )


def _fits(planned: PlanPreview) -> str:
    """Return the number of fits, or an empty text if a custom pipeline decides it."""
    if planned.grid_points is None or planned.folds is None or planned.fits is None:
        return ""
    points, folds = (
        formatting.count(planned.grid_points, "grid point"),
        formatting.count(planned.folds, "fold"),
    )
    fits = formatting.count(planned.fits, "fit")
    return f", each with {points} x {folds} = {fits}, plus one on all training rows"


def _cost(planned: PlanPreview) -> str:
    cost = planned.cost
    if cost is None:
        titles = " or ".join(each.title for each in TARGETS.values() if each.count_nodes is not None)
        return f"On {titles}: cost unknown; no earlier run is stored here."
    nodes = formatting.count(cost.nodes, "node")
    return (
        f"On {cost.target}: {cost.cluster_minutes:.1f} cluster minutes, as in run {cost.run_id} "
        f"({cost.minutes:.1f} min x {nodes}, without the cluster's start)."
    )


def _show(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not console.is_terminal:
        for row in (titles, *rows):
            # console.print would replace tabs by spaces.
            console.file.write("\t".join(row) + "\n")
        return
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(terminal_text(console, cell) for cell in row))
    console.print(table)
