"""Lines, cells and tables for a terminal that may be narrow, or have nothing but ASCII."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.results import Verdict
from harness.targets.checks import Check
from harness.views import formatting

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.NOT_PROVEN: "bold yellow"}


def terminal_text(console: Console, text: str, style: str = "") -> Text:
    """Text as it is, markup and all; in ASCII where the terminal has no more."""
    plain = formatting.printable(text)
    return Text(formatting.to_ascii(plain) if console.options.ascii_only else plain, style=style)


def write_line(console: Console, text: Text) -> None:
    """One line as it is: never wrapped, and in ASCII where the terminal has no more."""
    console.print(terminal_text(console, text.plain, str(text.style)), soft_wrap=True, highlight=False)


def titled_table(title: str) -> Table:
    """A table of a report, without columns yet."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


_VERDICTS = {"ok": Verdict.PASS, "failed": Verdict.FAIL, "not checkable": Verdict.NOT_PROVEN}
_STATE_WIDTH = len("not checkable")
_INDENT = " " * (_STATE_WIDTH + 4)


def show_checks(console: Console, checks: Iterable[Check]) -> bool:
    """Show each check when it is there, a failed one with its remedy; gives whether none has failed."""
    well = True
    for check in checks:
        _show(console, check)
        well = well and check.state != "failed"
    return well


def _show(console: Console, check: Check) -> None:
    verdict = _VERDICTS[check.state]
    first, *more = check.found.splitlines() or [""]
    told = f"{check.what}: {first}" if first else check.what
    line = f"{formatting.mark(verdict)} {check.state:{_STATE_WIDTH}}  {told}"
    write_line(console, Text(line, style=STYLES[verdict]))
    for said in (*more, *(check.remedy.splitlines() if check.state == "failed" else ())):
        write_line(console, Text(f"{_INDENT}{said.strip()}"))
