"""The matrix of faults and bounds on the terminal, and as a table for documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from harness.report.terminal.console import STYLES, make_table, make_text, write_line
from harness.results import Verdict
from harness.studies.proving.matrix import FaultRow, Proof
from harness.views import formatting

_MOST_NAMES = 3


def show_proof(console: Console, proof: Proof) -> None:
    """Show a row per fault, then what is missed, idle or left out."""
    table = make_table(f"{proof.scenario}: faults in the rows that {proof.version} added")
    titles = ("fault", "what is wrong", "dose", "caught by")
    for title in titles:
        table.add_column(title, overflow="fold", justify="right" if title == "dose" else "left")
    repeats = any(row.repetitions > 1 for row in proof.rows)
    if repeats or any(row.smallest_dose for row in proof.rows):
        table.add_column("times" if repeats else "from", justify="right", overflow="fold")
    for row in proof.rows:
        style = "" if row.is_caught or row.skipped else STYLES[Verdict.FAIL]
        cells = (row.fault, row.meaning, _format_share(row.dose), _describe(row), _format_extent(row))
        table.add_row(*(make_text(console, text, style) for text in cells[: len(table.columns)]))
    console.print(table)
    for line in _summarize(proof):
        write_line(console, Text(line))


def format_markdown(proof: Proof) -> str:
    """Return the matrix as a Markdown table."""
    last = "Caught in" if any(row.repetitions > 1 for row in proof.rows) else "Smallest dose"
    lines = [
        f"| Fault | What is wrong | Dose | Caught by | {last} |",
        "| --- | --- | ---: | --- | ---: |",
    ]
    for row in proof.rows:
        if row.skipped:
            continue
        caught = ", ".join(f"`{name}`" for name in row.caught_by) or row.refused or "**nothing**"
        cells = (f"`{row.fault}`", row.meaning, _format_share(row.dose), caught, _format_extent(row))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _describe(row: FaultRow) -> str:
    if row.skipped:
        return f"not injected: {row.skipped}"
    if row.refused:
        return f"refused: {row.refused}"
    return _list_names(list(row.caught_by)) or "nothing"


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _format_share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _format_extent(row: FaultRow) -> str:
    if row.repetitions > 1:
        return "" if row.skipped else f"{row.caught_in} of {row.repetitions}"
    return "" if row.smallest_dose is None else _format_share(row.smallest_dose)


def _summarize(proof: Proof) -> Iterable[str]:
    injected = [row for row in proof.rows if not row.skipped]
    caught = [row for row in injected if row.is_caught]
    yield f"{len(caught)} of {formatting.format_count(len(injected), 'fault')} caught."
    if proof.missed:
        yield f"Not caught: {', '.join(row.fault for row in proof.missed)}."
    if proof.failing:
        yield f"Ignored, because they fail even without a fault: {', '.join(proof.failing)}."
    if proof.idle:
        yield f"No fault made these bounds fail: {', '.join(proof.idle)}."
    if proof.left_out:
        yield (
            f"{formatting.format_count(len(proof.left_out), 'bound')} left out by --quick: "
            f"{_list_names(proof.left_out)}. Leave out --quick to train models and judge all bounds."
        )
    if proof.missed_required:
        yield f"Required but not caught: {', '.join(row.fault for row in proof.missed_required)}."
    elif any(row.is_required for row in proof.rows):
        yield "Every required fault is caught."
    else:
        yield "No fault is required: list those that must be caught under prove.require."
