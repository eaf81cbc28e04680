"""Lines, cells and tables for terminals, including narrow ones and those limited to ASCII."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harness.results import Verdict
from harness.targets.checks import Check
from harness.views import formatting

STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.NOT_PROVEN: "bold yellow",
    Verdict.OBSERVED: "bold",
}


class PlainConsole(Console):
    """A console whose output can't control the terminal, whatever the data contain."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object, with the control characters of its texts made visible."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else formatting.show_control_characters(text), style, control)


def make_text(console: Console, text: str, style: str = "") -> Text:
    """Return text without interpreting markup, in ASCII if the terminal supports nothing else."""
    plain = formatting.show_control_characters(text)
    return Text(formatting.to_ascii(plain) if console.options.ascii_only else plain, style=style)


def write_line(console: Console, text: Text) -> None:
    """Write one line, never wrapped, in ASCII if the terminal supports nothing else."""
    console.print(make_text(console, text.plain, str(text.style)), soft_wrap=True, highlight=False)


def make_table(title: str) -> Table:
    """Return a table with a title and without columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


_VERDICTS = {
    "ok": Verdict.PASS,
    "warning": Verdict.NOT_PROVEN,
    "failed": Verdict.FAIL,
    "not checkable": Verdict.NOT_PROVEN,
}
_WITH_REMEDY = ("warning", "failed")
_STATE_WIDTH = len("not checkable")
_INDENT = " " * (_STATE_WIDTH + 4)


def show_checks(console: Console, checks: Iterable[Check]) -> bool:
    """Show each check as soon as it is done, with a remedy if there is one; return whether none failed."""
    all_ok = True
    for check in checks:
        _show(console, check)
        all_ok = all_ok and check.state != "failed"
    return all_ok


def _show(console: Console, check: Check) -> None:
    verdict = _VERDICTS[check.state]
    first, *more = check.finding.splitlines() or [""]
    summary = f"{check.subject}: {first}" if first else check.subject
    line = f"{formatting.verdict_mark(verdict)} {check.state:{_STATE_WIDTH}}  {summary}"
    write_line(console, Text(line, style=STYLES[verdict]))
    for detail in (*more, *(check.remedy.splitlines() if check.state in _WITH_REMEDY else ())):
        write_line(console, Text(f"{_INDENT}{detail.strip()}"))
