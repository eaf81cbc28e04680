"""The runs of a matrix on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from harness.errors import ExitCode
from harness.report.terminal.console import terminal_text, titled_table, write_line
from harness.results import BoundResult, VersionResult
from harness.views import formatting
from harness.views.bound_table import VERDICTS_WORST_FIRST

_UNKNOWN = "-"


@dataclass(frozen=True)
class CombinationRow:
    """One combination of a matrix, and the outcome of its run."""

    parameters: Mapping[str, str]
    """Path in the scenario to value."""
    verdict: str
    code: ExitCode
    versions: Sequence[VersionResult] = ()

    @property
    def nearest(self) -> tuple[str, BoundResult] | None:
        """The bound with the least room for its size, and its version; None if no bound is on a number."""
        bounds = [(version.name, bound) for version in self.versions for bound in version.bounds]
        numeric = [(name, bound) for name, bound in bounds if bound.distance is not None]
        return min(numeric, key=lambda each: _urgency(each[1]), default=None)


def show_matrix(console: Console, rows: Sequence[CombinationRow]) -> None:
    """Show every combination with its verdict and the bound that has the least room."""
    table = titled_table("Combinations")
    for title in _shorten(list(rows[0].parameters)):
        table.add_column(terminal_text(console, title), overflow="fold", justify="right")
    for title in ("verdict", "least room", "distance"):
        table.add_column(title, overflow="fold", justify="right" if title == "distance" else "left")
    for row in rows:
        table.add_row(*(terminal_text(console, text) for text in _cells(row)))
    console.print()
    console.print(table)
    passed = sum(row.code is ExitCode.PASS for row in rows)
    write_line(console, Text(f"{passed} of {formatting.count(len(rows), 'combination')} passed."))


def _urgency(bound: BoundResult) -> tuple[int, float]:
    """Return a key that sorts the worst verdict first, then by the room as a share of the bound."""
    room = (bound.distance or 0.0) / (abs(bound.bound or 0.0) or 1.0)
    return VERDICTS_WORST_FIRST.index(bound.outcome), -room if bound.must_fail else room


def _cells(row: CombinationRow) -> tuple[str, ...]:
    nearest = row.nearest
    if nearest is None:
        return *row.parameters.values(), row.verdict, _UNKNOWN, _UNKNOWN
    version, bound = nearest
    room = f"{version}: {bound.metric} {bound.text}"
    return *row.parameters.values(), row.verdict, room, formatting.signed(bound.distance)


def _shorten(paths: Sequence[str]) -> list[str]:
    """Return the last part of each path, or the whole path if several end alike."""
    names = [path.rpartition(".")[2] for path in paths]
    return [short if names.count(short) == 1 else path for short, path in zip(names, paths, strict=True)]
