"""Runs of a scenario: one, or several that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Keep, Only, ScenarioName, TableUri, TableVersions, Target, open_console

if TYPE_CHECKING:
    from harness.request import RunRequest


def scenario(
    name: ScenarioName,
    target: Target = None,
    keep: Keep = False,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Run a scenario: build every version, train, explain, track, judge, publish."""
    from harness.workflow import run

    raise typer.Exit(run(_request(name, target, table, versions, only, keep=keep), open_console()))


def calibrate(
    name: ScenarioName,
    repeats: Annotated[int, typer.Option(help="Runs, each with a seed of its own; at least 3.")] = 10,
    false_alarms: Annotated[
        float, typer.Option(help="Rate of false alarms that each proposed bound may have.")
    ] = 0.01,
    every_metric: Annotated[
        bool, typer.Option("--all", help="Also what the scenario does not bound: every metric of quality.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--json", help="A file for all numbers.")] = None,
    target: Target = None,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Run a scenario with several seeds, and propose bounds: how often they fail by chance, what they see."""
    from harness.studies.calibration.calibrate_runs import calibrate as run_repeats
    from harness.studies.study_tables import show_calibration

    console = open_console()
    made = run_repeats(
        _request(name, target, table, versions, only),
        console,
        repeats=repeats,
        false_alarms=false_alarms,
        every_metric=every_metric,
        out=out,
    )
    show_calibration(console, made.calibration, made.proposal)
    typer.echo(f"calibration  {made.folder}")


def bisect(
    name: ScenarioName,
    bound: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC[.KIND]",
            help="A bound of the last version; the first that failed in the newest run without.",
        ),
    ] = None,
    target: Target = None,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Find the version at which a bound began to fail, with few trainings. Exit code 4: there is none."""
    from harness.studies.bisection.bisect_runs import bisect as find, exit_code
    from harness.studies.study_tables import show_search

    console = open_console()
    found = find(_request(name, target, table, versions, only), console, bound=bound)
    show_search(console, found)
    raise typer.Exit(exit_code(found.searched))


def validate(name: ScenarioName, target: Target = None, keep: Keep = False, only: Only = None) -> None:
    """Run a scenario here, as --target says, then on Databricks, and see that both say the same."""
    from harness.workflow import validate as run_both

    raise typer.Exit(run_both(_request(name, target, only=only, keep=keep), open_console()))


def _request(
    name: str,
    target: str | None,
    table: str | None = None,
    versions: str | None = None,
    only: list[str] | None = None,
    *,
    keep: bool = False,
) -> RunRequest:
    from harness.loading.table_override import given_table
    from harness.request import RunRequest

    return RunRequest(name, target, given_table(table, versions), tuple(only or ()), keep)
