"""What a target has and lacks, one line each, as soon as it was looked at."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from harness.checks import Check
from harness.report import words
from harness.report.console import STYLES, write_line
from harness.results import Verdict

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
    line = f"{words.mark(verdict)} {check.state:{_STATE_WIDTH}}  {told}"
    write_line(console, Text(line, style=STYLES[verdict]))
    for said in (*more, *(check.remedy.splitlines() if check.state == "failed" else ())):
        write_line(console, Text(f"{_INDENT}{said.strip()}"))
