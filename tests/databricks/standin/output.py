"""The output of a task: the end of its log, and the error that ended it."""

from __future__ import annotations

import re
from pathlib import Path

LOG_BYTES = 5 * 1024 * 1024
"""A workspace returns at most the last 5 MB of a log."""
_TRACE = "Traceback (most recent call last):"
_LINKS = ("the direct cause of the following exception", "another exception occurred")
_EXIT = re.compile(r"^SystemExit: .*$", re.MULTILINE)


def read_log(file: Path) -> tuple[str, bool]:
    """Return the end of a log, and whether its beginning is missing."""
    if not file.is_file():
        return "", False
    with file.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(0, size - LOG_BYTES))
        # A truncated character is dropped.
        return log.read().decode(errors="ignore"), size > LOG_BYTES


def find_error(log: str) -> tuple[str, str]:
    """Return the last error of a log: its line, and its trace with the causes."""
    exits = list(_EXIT.finditer(log))
    start = log.rfind(_TRACE)
    if exits and exits[-1].start() > start:
        return exits[-1].group(), exits[-1].group()
    if start < 0:
        lines = log.strip().splitlines()
        return (lines[-1] if lines else "The task ended without output"), ""
    error = next((line for line in log[start:].splitlines()[1:] if line[:1].strip()), _TRACE)
    return error, log[_first_cause(log, start) :].strip()


def _first_cause(log: str, start: int) -> int:
    while (earlier := log.rfind(_TRACE, 0, start)) >= 0:
        if not any(link in log[earlier:start] for link in _LINKS):
            break
        start = earlier
    return start
