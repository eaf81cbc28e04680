"""Two runs compared, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report import words
from harness.report.progress import write_line
from harness.results import Measured, Verdict
from harness.verdict.parity import Difference, Parity

_TITLES = ("version", "what", "name", "a", "b", "difference", "tolerance", "verdict")
_LONG = 24


def show_parity(console: Console, parity: Parity) -> None:
    """A line per number that differs at all, and how many agree to the last bit."""
    for name, run in (("a", parity.run_a), ("b", parity.run_b)):
        write_line(console, Text(f"{name}  {run}"))
    console.print()
    told = [each for each in parity.differences if each.difference or each.verdict is not Verdict.PASS]
    if told:
        table = Table(box=None, pad_edge=False)
        for title in _TITLES:
            table.add_column(title, overflow="fold")
        for each in told:
            table.add_row(*(_cell(console, text) for text in _row(each)))
        console.print(table)
        console.print()
    same = len(parity.differences) - len(told)
    write_line(console, Text(f"{words.count(same, 'value')} the very same, {len(told)} not."))
    write_line(console, Text(_WORDS[parity.verdict]))


_WORDS = {
    Verdict.PASS: f"{words.mark(Verdict.PASS)} The two runs agree.",
    Verdict.FAIL: f"{words.mark(Verdict.FAIL)} The two runs disagree.",
    Verdict.NOT_PROVEN: f"{words.mark(Verdict.NOT_PROVEN)} Not everything could be compared.",
}


def _row(each: Difference) -> tuple[str, ...]:
    return (
        each.version,
        each.kind,
        each.name,
        _shown(each.a),
        _shown(each.b),
        "" if each.difference is None else f"{each.difference:.1e}",
        f"{each.tolerance:g}" if each.tolerance else "exact",
        words.verdict_words(each.verdict),
    )


def _cell(console: Console, text: str) -> Text:
    plain = words.printable(text)
    return Text(words.to_ascii(plain) if console.options.ascii_only else plain)


def _shown(value: Measured | str) -> str:
    if isinstance(value, str):
        return value if len(value) <= _LONG else f"{value[:_LONG]}…"
    return words.number(value)
