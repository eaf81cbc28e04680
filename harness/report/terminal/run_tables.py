"""Lineage on the terminal: the runs of a dataset version and the dataset version of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from harness.metrics import METRICS
from harness.tracking.tracked_run import TrackedRun

_TITLES = ("table", "version", "fingerprint", "run", "status", "verdict", "started")


def show_runs(console: Console, runs: Sequence[TrackedRun]) -> None:
    """Show one line per run: a table on a terminal, tab-separated values elsewhere."""
    rows = [_row(run) for run in runs]
    if not console.is_terminal:
        for row in (_TITLES, *rows):
            console.print("\t".join(row), soft_wrap=True, markup=False)
        return
    table = Table(*_TITLES, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_trace(console: Console, runs: Sequence[TrackedRun]) -> None:
    """Show everything known about each run, one fact per line."""
    for run in runs:
        console.print(f"[bold]run {run.run_id}[/] ({run.status.lower()}, {run.started:%Y-%m-%d %H:%M} UTC)")
        _show_values(console, "", _facts(run), indent=2)
        _show_values(console, "parameters", dict(sorted(run.params.items())), indent=4)
        _show_values(console, "metrics", _metrics(run), indent=4)


def _row(run: TrackedRun) -> tuple[str, ...]:
    return (
        run.tag("table"),
        run.tag("data_version"),
        run.tag("data_fingerprint"),
        run.run_id,
        run.status.lower(),
        run.tag("verdict") or "-",
        f"{run.started:%Y-%m-%d %H:%M}",
    )


def _facts(run: TrackedRun) -> dict[str, str]:
    return {
        "scenario": run.tag("scenario"),
        "table": run.tag("data_path"),
        "version": f"{run.tag('data_version')} ({run.tag('version_name')})",
        "fingerprint": run.tag("data_fingerprint"),
        "verdict": run.tag("verdict") or "none",
        "bundle": run.tag("bundle") or "not published",
        "harness run": run.tag("run_id"),
    }


def _metrics(run: TrackedRun) -> dict[str, str]:
    return {name: f"{run.metrics[name]:.6g}" for name in METRICS if name in run.metrics}


def _show_values(console: Console, title: str, values: Mapping[str, str], *, indent: int) -> None:
    """Show names and values in two columns; values are never truncated, so that they can be copied."""
    if title:
        console.print(f"  [dim]{title}[/]")
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        console.print(f"{' ' * indent}{name:<{width}}  {value}", soft_wrap=True, markup=False)
