"""Tables with pinned versions: tables on a terminal, tab-separated values elsewhere, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from harness.report.terminal.console import STYLES, make_table, make_text, write_line
from harness.results import Verdict
from harness.retention.outlook import Safety
from harness.retention.pinned_table import PinnedTable, PinnedVersion

_UNKNOWN = "-"
_TITLES = ("version", "time (UTC)", "rows", "state", "pinned by")
_VERDICTS = {
    Safety.SAFE: Verdict.PASS,
    Safety.EXPIRING: Verdict.NOT_PROVEN,
    Safety.AT_RISK: Verdict.FAIL,
    Safety.UNREADABLE: Verdict.FAIL,
}


def format_json(tables: Sequence[PinnedTable]) -> str:
    """Format the tables as JSON."""
    return json.dumps({"tables": [table.to_json() for table in tables]}, indent=2)


def show_pinned_tables(console: Console, tables: Sequence[PinnedTable]) -> None:
    """Show each table with its pinned versions, what endangers them, and how to keep them."""
    if not any(table.versions for table in tables):
        names = " of " + ", ".join(table.uri for table in tables) if tables else " of an existing table"
        write_line(console, Text(f"No version{names} is pinned."))
        return
    for table in tables:
        write_line(console, Text(f"Table: {table.uri}", style="bold"))
        for line in _describe_table(table):
            write_line(console, Text(line))
        _show_versions(console, table)
        for each in table.versions:
            if each.outlook.reason:
                style = STYLES[_VERDICTS[each.outlook.safety]]
                write_line(console, Text(f"Version {each.version}: {each.outlook.reason}.", style=style))
        for remedy in table.remedies:
            write_line(console, Text(remedy))


def _describe_table(table: PinnedTable) -> Iterator[str]:
    if table.newest is not None:
        settings = ", ".join(f"{name} = {value}" for name, value in table.properties.items())
        yield f"Newest version: {table.newest}. {settings}."


def _show_versions(console: Console, table: PinnedTable) -> None:
    if not console.is_terminal:
        for row in (_TITLES, *(_make_cells(each) for each in table.versions)):
            # console.print would replace tabs by spaces.
            console.file.write("\t".join(row).replace("\n", ", ") + "\n")
        return
    shown = make_table("Pinned versions")
    for title in _TITLES:
        shown.add_column(title, overflow="fold", justify="right" if title in ("version", "rows") else "left")
    for each in table.versions:
        style = STYLES[_VERDICTS[each.outlook.safety]]
        cells = _make_cells(each)
        shown.add_row(
            *(make_text(console, cell, style if cell == each.outlook.safety else "") for cell in cells)
        )
    console.print(shown)


def _make_cells(each: PinnedVersion) -> tuple[str, ...]:
    time = each.outlook.state.time
    return (
        str(each.version),
        _UNKNOWN if time is None else f"{time:%Y-%m-%d %H:%M}",
        _UNKNOWN if each.rows is None else f"{each.rows:,}",
        str(each.outlook.safety),
        "\n".join(pin.text for pin in each.pins),
    )
