"""Lines, cells and tables for a terminal that may be narrow, or have nothing but ASCII."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report import words
from harness.results import Verdict

STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.NOT_PROVEN: "bold yellow"}


def terminal_text(console: Console, text: str, style: str = "") -> Text:
    """Text as it is, markup and all; in ASCII where the terminal has no more."""
    plain = words.printable(text)
    return Text(words.to_ascii(plain) if console.options.ascii_only else plain, style=style)


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
