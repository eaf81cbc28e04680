"""The comparison of two runs on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.parity.compare import Parity
from harness.report.parity_table import (
    TITLES,
    DifferenceRow,
    agreement,
    difference_rows,
    differing_libraries,
    sides,
    tally,
)
from harness.report.terminal.console import STYLES, terminal_text, write_line
from harness.views import formatting


def show_parity(console: Console, parity: Parity) -> None:
    """Show each number that differs, how many are identical, and what is not proven."""
    _show_runs(console, parity)
    if rows := difference_rows(parity):
        console.print(_table(console, parity, rows))
        console.print()
    _show_libraries(console, parity)
    if parity.gaps:
        _show_list(console, "Not proven by a local run:", parity.gaps)
    if not parity.reason:
        write_line(console, Text(tally(parity)))
    summary = f"{formatting.mark(parity.verdict)} {agreement(parity)}"
    write_line(console, Text(summary, style=STYLES[parity.verdict]))


def _show_runs(console: Console, parity: Parity) -> None:
    existing = [side for side in sides(parity) if side.run is not None]
    width = max(len(side.name) for side in existing)
    for side in existing:
        write_line(console, Text(f"{side.name:{width}}  {side.run}"))
    console.print()


def _table(console: Console, parity: Parity, rows: tuple[DifferenceRow, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    a, b = sides(parity)
    for title in (*TITLES[:3], a.name, b.name, *TITLES[3:]):
        table.add_column(title, overflow="fold")
    for row in rows:
        what = (row.version, row.kind, row.name, row.a, row.b, row.difference, row.tolerance)
        verdict = terminal_text(console, formatting.verdict_label(row.verdict), STYLES[row.verdict])
        table.add_row(*(terminal_text(console, text) for text in what), verdict)
    return table


def _show_libraries(console: Console, parity: Parity) -> None:
    a, b = sides(parity)
    lines = [
        f"{each.name} {each.a or formatting.ABSENT} ({a.name}), {each.b or formatting.ABSENT} ({b.name})"
        for each in differing_libraries(parity.libraries)
    ]
    if lines:
        _show_list(console, "Libraries with different versions:", lines)


def _show_list(console: Console, title: str, lines: list[str] | tuple[str, ...]) -> None:
    write_line(console, Text(title))
    for line in lines:
        write_line(console, Text(f"  {line}"))
    console.print()
