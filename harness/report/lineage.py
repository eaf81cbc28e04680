"""Lineage on the terminal: the runs of a dataset version, and the dataset version of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from harness.metrics import METRICS
from harness.tracked import TrackedRun


def show_runs(console: Console, runs: Sequence[TrackedRun]) -> None:
    """One line per run; wide enough to be copied from."""
    titles = ("table", "version", "fingerprint", "run", "status", "verdict", "started")
    table = Table(*titles, box=None, pad_edge=False)
    for run in runs:
        table.add_row(
            run.tag("table"),
            run.tag("data_version"),
            run.tag("data_fingerprint"),
            run.run_id,
            run.status.lower(),
            run.tag("verdict") or "-",
            f"{run.started:%Y-%m-%d %H:%M}",
        )
    _print(console, table)


def show_trace(console: Console, runs: Sequence[TrackedRun]) -> None:
    """Everything about each run, a fact a line."""
    for run in runs:
        console.print(f"[bold]run {run.run_id}[/] ({run.status.lower()}, {run.started:%Y-%m-%d %H:%M} UTC)")
        facts = Table.grid(padding=(0, 2))
        for name, value in _facts(run):
            facts.add_row(f"  {name}", value)
        _print(console, facts)
        _print(console, _values("parameters", run.params))
        _print(console, _values("metrics", _metrics(run)))


def _facts(run: TrackedRun) -> list[tuple[str, str]]:
    return [
        ("scenario", run.tag("scenario")),
        ("table", run.tag("data_path")),
        ("version", f"{run.tag('data_version')} ({run.tag('version_name')})"),
        ("fingerprint", run.tag("data_fingerprint")),
        ("verdict", run.tag("verdict") or "none"),
        ("bundle", run.tag("bundle") or "not published"),
        ("harness run", run.tag("run_id")),
    ]


def _metrics(run: TrackedRun) -> dict[str, str]:
    return {name: f"{run.metrics[name]:.6g}" for name in METRICS if name in run.metrics}


def _values(title: str, values: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(f"  [dim]{title}[/]")
    for name, value in sorted(values.items()):
        grid.add_row(f"    {name}", value)
    return grid


def _print(console: Console, table: Table) -> None:
    # A run id that is cut short is of no use: without a terminal there is no width to keep to.
    width = None if console.is_terminal else 400
    console.print(table, width=width, overflow="fold", crop=False)
