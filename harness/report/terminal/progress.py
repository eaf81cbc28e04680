"""Progress of a running job by version: live on a terminal, one line per step in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from harness.events import Event, Listener
from harness.report.terminal.console import write_line
from harness.views import formatting

WHOLE_RUN = "run"
"""Label of steps that belong to no version."""
_ROOM_LINES = 4
_MIN_SHOWN_S = 1.0
"""The duration of a finished step is shown only from this many seconds."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class _Step:
    """One step of one version; it is running as long as ``took_s`` is ``None``."""

    name: str
    started_at: float
    detail: str = ""
    took_s: float | None = None


@contextmanager
def show_progress(console: Console, clock: Clock = time.monotonic) -> Iterator[Listener]:
    """Yield a listener and show the events that it receives until the block ends."""
    if not (console.is_interactive and console.file.isatty()):
        yield _LineLog(console, clock)
        return
    board = _Board(console, clock, "line" if console.options.ascii_only else "dots")
    with Live(board, console=console, refresh_per_second=8, transient=False):
        try:
            yield board
        finally:
            board.stop()


class _LineLog:
    """A log with one line per finished step or wait and the time since the start, flushed immediately."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._began = clock()

    def __call__(self, event: Event) -> None:
        if event.state not in ("done", "notice"):
            return
        since_start = f"[{self._clock() - self._began:7.1f} s]"
        subject = event.version or WHOLE_RUN
        if event.state == "done":
            what = f"{event.step} done in {formatting.format_seconds(event.elapsed_s)}"
        else:
            what = formatting.show_control_characters(event.detail)
        write_line(self._console, Text(f"{since_start} {subject}: {what}"))
        self._console.file.flush()


class _Board:
    """A live display with a line per version: its running steps, then its finished ones."""

    def __init__(self, console: Console, clock: Clock, spinner: str) -> None:
        self._console = console
        self._clock = clock
        self._began = clock()
        self._lock = Lock()
        self._spinner = Spinner(spinner, style="cyan")
        self._lines: dict[str, dict[str, _Step]] = {}
        self._stopped = False

    def __call__(self, event: Event) -> None:
        if event.state == "notice":
            # Written above the live display, which will be overwritten.
            detail = formatting.show_control_characters(event.detail)
            text = f"{event.version}: {detail}" if event.version else detail
            write_line(self._console, Text(text, style="yellow"))
            return
        with self._lock:
            steps = self._lines.setdefault(event.version or WHOLE_RUN, {})
            step = steps.get(event.step)
            if step is None or event.state == "started":
                step = _Step(event.step, self._clock())
            took_s = event.elapsed_s if event.state == "done" else None
            steps[event.step] = replace(step, detail=event.detail, took_s=took_s)

    def stop(self) -> None:
        """Mark the run as ended and leave the last state on display."""
        self._stopped = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            lines = [(name, tuple(steps.values())) for name, steps in self._lines.items()]
        room = max(1, (options.height or console.size.height) - _ROOM_LINES)
        shown = _select_lines(lines, room)
        yield self._make_grid(shown, ascii_only=options.ascii_only)
        hidden = (
            f", {formatting.format_count(len(lines) - len(shown), 'line')} not shown"
            if len(lines) > len(shown)
            else ""
        )
        yield Text(f"{formatting.format_seconds(self._clock() - self._began)} elapsed{hidden}", style="dim")

    def _make_grid(self, lines: list[tuple[str, tuple[_Step, ...]]], *, ascii_only: bool) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=24, style="bold")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name, steps in lines:
            text = self._describe_steps(steps)
            shown = (
                Text.assemble(*((formatting.to_ascii(part), style) for part, style in text))
                if ascii_only
                else Text.assemble(*text)
            )
            grid.add_row(self._choose_sign(steps), Text(name), shown)
        return grid

    def _choose_sign(self, steps: tuple[_Step, ...]) -> Spinner | Text:
        running = any(step.took_s is None for step in steps)
        if not running:
            return Text("")
        return Text("-", style="yellow") if self._stopped else self._spinner

    def _describe_steps(self, steps: tuple[_Step, ...]) -> list[tuple[str, str]]:
        running = [self._describe_running(step) for step in steps if step.took_s is None]
        done = [_describe_done(step.name, step.took_s) for step in steps if step.took_s is not None]
        return [*running, *done]

    def _describe_running(self, step: _Step) -> tuple[str, str]:
        elapsed = formatting.format_seconds(self._clock() - step.started_at)
        detail = f" {formatting.show_control_characters(step.detail)}" if step.detail else ""
        end = " stopped" if self._stopped else ""
        return f"{step.name} {elapsed}{detail}{end}  ", "yellow" if self._stopped else "cyan"


def _describe_done(name: str, took_s: float) -> tuple[str, str]:
    took = f" {formatting.format_seconds(took_s)}" if took_s >= _MIN_SHOWN_S else ""
    return f"✓ {name}{took}  ", "green"


def _select_lines(
    lines: list[tuple[str, tuple[_Step, ...]]], room: int
) -> list[tuple[str, tuple[_Step, ...]]]:
    """Return as many lines as fit: those with running steps first, then the latest ones."""
    running = [any(step.took_s is None for step in steps) for _, steps in lines]
    ranked = sorted(range(len(lines)), key=lambda at: (not running[at], -at))
    return [lines[at] for at in sorted(ranked[:room])]
