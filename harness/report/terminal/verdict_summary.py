"""The verdict of a run and the comparison of two runs on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.parity.compare import Parity
from harness.report import HTML
from harness.report.parity_table import (
    TITLES,
    DifferenceRow,
    describe_agreement,
    describe_counts,
    make_difference_rows,
    name_sides,
    select_differing_libraries,
)
from harness.report.terminal.console import STYLES, make_table, make_text, write_line
from harness.results import Failure, MovedRows, Result, Verdict
from harness.storage.uris import hide_passwords, remove_password
from harness.views import formatting, moved_rows, tables
from harness.views.bound_table import BoundRow, Headline, make_bound_rows, make_headline

_COLUMNS = 5
"""Number of versions shown side by side; if there are more, the latest ones."""
_MOVED_ROWS = 5
_TONES = {
    "pass": "bold green",
    "fail": "bold red",
    "not-proven": "bold yellow",
    "observed": "bold",
    "stopped": "bold red",
}


def show_verdict(
    console: Console,
    result: Result,
    folder: Path,
    parity: Parity | None = None,
    reads: Iterable[tuple[str, str]] = (),
) -> None:
    """Show bounds, metrics, errors, parity, the verdict, and the locations of bundles and report.

    Args:
        console: The terminal.
        result: The run's result.
        folder: The run's folder.
        parity: The comparison with a local run.
        reads: Versions that were read by a time, each with the version that this is.
    """
    _show_bounds(console, make_bound_rows(result.versions))
    _show_champion(console, result)
    _show_metrics(console, result)
    _show_untrained(console, result)
    _show_newest_moves(console, result)
    _show_changed_columns(console, result)
    if result.failure is not None:
        _show_failure(console, result.failure)
    if parity is not None:
        console.print()
        write_line(console, Text("Parity", style="bold"))
        show_parity(console, parity)
    _show_headline(console, make_headline(result, parity), result)
    console.print()
    for name, explanation in reads:
        write_line(console, Text(f"read    {name} {explanation}"))
    for warning in result.warnings:
        write_line(console, Text(f"warning {warning}", style=STYLES[Verdict.NOT_PROVEN]))
    _show_locations(console, result, folder)


def _show_bounds(console: Console, rows: tuple[BoundRow, ...]) -> None:
    if not rows:
        return
    table = make_table("Bounds")
    table.add_column("version", overflow="fold", style="bold")
    table.add_column("metric", overflow="fold")
    table.add_column("measured", justify="right")
    table.add_column("bound", overflow="fold")
    table.add_column("distance", justify="right")
    table.add_column("verdict", min_width=len(formatting.verdict_label(Verdict.NOT_PROVEN)))
    before = None
    for row in rows:
        if before not in (None, row.version):
            table.add_section()
        table.add_row(*_make_bound_cells(console, row, named=before != row.version))
        before = row.version
    console.print(table)


def _make_bound_cells(console: Console, row: BoundRow, *, named: bool) -> tuple[Text, ...]:
    texts = (row.version if named else "", row.column, row.value, row.bound, row.distance)
    verdict = make_text(console, row.label, STYLES[row.verdict])
    return *(make_text(console, text) for text in texts), verdict


def _show_metrics(console: Console, result: Result) -> None:
    """Show the metrics that are not bounded at every version."""
    whole = _remove_bounded(result)
    if not whole:
        return
    latest = whole.part(slice(-_COLUMNS, None))
    is_partial = len(latest.columns) < len(whole.columns)
    selection = f", last {len(latest.columns)} of {len(whole.columns)} versions" if is_partial else ""
    _show_table(console, latest, f"Other metrics{selection}")


def _show_champion(console: Console, result: Result) -> None:
    """Show the champion's metrics on the latest versions, with the differences, and which rows count."""
    latest = tables.build_champion_table(result).part(slice(-_COLUMNS, None))
    if not latest:
        return
    shown = [
        replace(row, cells=tuple(_add_note(cell) for cell in row.cells)) if row.label != "model" else row
        for row in latest.rows
    ]
    _show_table(console, replace(latest, rows=tuple(shown)), "Champion (difference of the model trained now)")
    if reason := next((each.champion.reason for each in reversed(result.versions) if each.champion), ""):
        write_line(console, Text(f"{reason[0].upper()}{reason[1:]}."))


def _add_note(cell: tables.Cell) -> tables.Cell:
    return replace(cell, text=f"{cell.text} ({cell.note})") if cell.note else cell


def _show_table(console: Console, shown: tables.MeasurementTable, title: str) -> None:
    table = make_table(title)
    table.add_column(shown.corner, overflow="fold")
    for column in shown.columns:
        table.add_column(make_text(console, column), justify="right", overflow="fold")
    for row in shown.rows:
        table.add_row(*(make_text(console, text) for text in (row.label, *(cell.text for cell in row.cells))))
    console.print(table)


def _remove_bounded(result: Result) -> tables.MeasurementTable:
    whole = tables.build_metric_table(result)
    bounded = [
        {row.metric for row in make_bound_rows((version,)) if row.since is None}
        for version in result.versions
        if version.metrics
    ]
    everywhere = set.intersection(*bounded) if bounded else set()
    rows = tuple(row for row in whole.rows if row.label not in everywhere)
    return tables.MeasurementTable(whole.corner, whole.columns, rows)


def _show_untrained(console: Console, result: Result) -> None:
    """Show the outcome of the versions without a trained model."""
    untrained = [each for each in result.versions if each.error is not None or each.status == "built"]
    if not untrained:
        return
    table = make_table("Versions without a model")
    table.add_column("version", overflow="fold", style="bold")
    table.add_column("outcome", overflow="fold")
    table.add_column("commits", overflow="fold")
    table.add_column("rows", justify="right")
    for each in untrained:
        texts = (
            each.name,
            formatting.describe_outcome(each),
            formatting.describe_commits(each),
            formatting.format_number(each.rows),
        )
        table.add_row(*(make_text(console, text) for text in texts))
    console.print(table)


def _show_newest_moves(console: Console, result: Result) -> None:
    """Show the rows whose score moved most to the last version; the report shows those of every version."""
    moved = [version.moved for version in result.versions if version.moved is not None]
    if moved and moved[-1].rows:
        newest = moved[-1].model_copy(update={"rows": moved[-1].rows[:_MOVED_ROWS]})
        console.print(_make_moved_table(console, newest, "Rows whose score moved most"))


def _show_changed_columns(console: Console, result: Result) -> None:
    """Show how many rows changed in which column, for the latest versions with changed rows."""
    tables_shown = moved_rows.build_changed_tables(result.versions)[-_COLUMNS:]
    if tables_shown:
        console.print()
    for table in tables_shown:
        write_line(console, Text(f"Changed at {table.title}: {table.note}"))


def _make_moved_table(console: Console, moved: MovedRows, title: str) -> Table:
    rows = moved_rows.make_moved_table(moved)
    table = make_table(f"{title}, {rows.title}")
    for at, name in enumerate(rows.titles):
        table.add_column(name, overflow="fold", justify="right" if at in rows.numbers else "left")
    for line in rows.lines:
        table.add_row(*(make_text(console, text) for text in line))
    return table


def _show_failure(console: Console, failure: Failure) -> None:
    console.print()
    write_line(console, Text(f"{failure.kind}: {failure.message}", style="bold red"))
    if failure.remedy:
        write_line(console, Text(f"  {failure.remedy}"))


def _show_headline(console: Console, head: Headline, result: Result) -> None:
    console.print()
    summary = f"{head.mark} {head.word}: {result.scenario} on {result.target}. {head.sentence}"
    write_line(console, Text(summary, style=_TONES[head.tone]))
    if head.comparison:
        write_line(console, Text(f"  {head.comparison}"))
    for detail in head.details:
        write_line(console, Text(f"  {detail}"))


def _show_locations(console: Console, result: Result, folder: Path) -> None:
    published = [version for version in result.versions if version.bundle]
    width = max((len(version.name) for version in published), default=0)
    for version in published:
        write_line(console, Text(f"bundle  {version.name:{width}}  {remove_password(version.bundle or '')}"))
    if result.approval is not None:
        word = "approved" if result.approval.is_approved else "not approved"
        write_line(console, Text(f"{word}  {hide_passwords(result.approval.text)}"))
    for version in published:
        if version.registered is not None:
            write_line(console, Text(f"model   {version.name:{width}}  {version.registered.text}"))
    write_line(console, Text(f"took    {formatting.format_seconds(result.duration_s)}"))
    write_line(console, Text(f"report  {folder / HTML}"))


def show_parity(console: Console, parity: Parity) -> None:
    """Show each number that differs, how many are identical, and what is not proven."""
    _show_runs(console, parity)
    if rows := make_difference_rows(parity):
        console.print(_make_difference_table(console, parity, rows))
        console.print()
    _show_libraries(console, parity)
    if parity.gaps:
        _show_list(console, "Not proven by a local run:", parity.gaps)
    _show_moves(console, parity)
    if not parity.reason:
        write_line(console, Text(describe_counts(parity)))
    summary = f"{formatting.verdict_mark(parity.verdict)} {describe_agreement(parity)}"
    write_line(console, Text(summary, style=STYLES[parity.verdict]))


def _show_runs(console: Console, parity: Parity) -> None:
    existing = [side for side in name_sides(parity) if side.run is not None]
    width = max(len(side.name) for side in existing)
    for side in existing:
        write_line(console, Text(f"{side.name:{width}}  {side.run}"))
    console.print()


def _make_difference_table(console: Console, parity: Parity, rows: tuple[DifferenceRow, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    a, b = name_sides(parity)
    for title in (*TITLES[:3], a.name, b.name, *TITLES[3:]):
        table.add_column(title, overflow="fold")
    for row in rows:
        what = (row.version, row.kind, row.name, row.a, row.b, row.difference, row.tolerance)
        verdict = make_text(console, formatting.verdict_label(row.verdict), STYLES[row.verdict])
        table.add_row(*(make_text(console, text) for text in what), verdict)
    return table


def _show_libraries(console: Console, parity: Parity) -> None:
    a, b = name_sides(parity)
    lines = [
        f"{each.name} {each.a or formatting.ABSENT} ({a.name}), {each.b or formatting.ABSENT} ({b.name})"
        for each in select_differing_libraries(parity.libraries)
    ]
    if lines:
        _show_list(console, "Libraries with different versions:", lines)


def _show_moves(console: Console, parity: Parity) -> None:
    """Show the rows whose score differs most between the two runs, by version."""
    for moved in parity.moved:
        if moved.rows:
            console.print(_make_moved_table(console, moved, "Rows whose score differs most"))
            console.print()
        elif moved.reason:
            write_line(console, Text(f"Rows of {moved.version} were not compared: {moved.reason}."))


def _show_list(console: Console, title: str, lines: list[str] | tuple[str, ...]) -> None:
    write_line(console, Text(title))
    for line in lines:
        write_line(console, Text(f"  {line}"))
    console.print()
