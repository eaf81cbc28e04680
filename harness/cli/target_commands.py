"""Commands that check a target or work with a Databricks workspace."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    Only,
    PastRun,
    ScenarioName,
    TableUri,
    TableVersions,
    Target,
    open_console,
)
from harness.errors import ExitCode


def attach(run_id: PastRun) -> None:
    """Follow a run that an earlier command left running.

    Waits for the run in its workspace, as the command that started it would have, then judges its result and
    writes the report.
    """
    from harness.workflow import attach as follow_run

    raise typer.Exit(follow_run(run_id, open_console()).exit_code)


def doctor(target: Target = None) -> None:
    """Check whether a target is ready, without starting anything.

    Also warns if an existing table won't keep a version that a published model was trained from.
    """
    from harness.report.terminal.console import show_checks
    from harness.request import make_line_printer
    from harness.settings import read_settings
    from harness.targets.base import open_target
    from harness.tracking.pinned_tables import check_pinned_tables

    console = open_console()
    settings = read_settings({"target": target})
    opened = open_target(settings, make_line_printer(console))
    # With this machine's own settings only: the MLflow server of a stack or a workspace may not answer.
    if not show_checks(console, chain(opened.checks(), check_pinned_tables(settings))):
        raise typer.Exit(ExitCode.PREREQUISITE_MISSING)


def asset_bundle(
    name: ScenarioName,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Output folder (default: asset-bundle/NAME).")
    ] = None,
    only: Only = None,
    table: TableUri = None,
    versions: TableVersions = None,
    on_update: Annotated[
        bool,
        typer.Option(
            "--on-update",
            help="Start the job on every update of the table, which is in Unity Catalog, instead of on a "
            "schedule.",
        ),
    ] = False,
) -> None:
    """Write a bundle that schedules a scenario on Databricks.

    It is a Declarative Automation Bundle (formerly Databricks Asset Bundle), which the command 'databricks'
    deploys. The job uses the same settings as a run of the scenario on the target 'databricks'.
    """
    from harness.loading.table_override import parse_table_override
    from harness.request import RunRequest
    from harness.workflow import write_asset_bundle

    request = RunRequest(name, table=parse_table_override(table, versions), only=tuple(only or ()))
    typer.echo(write_asset_bundle(request, out, open_console(), on_update=on_update))


def sweep() -> None:
    """Delete expired uploads and tables in the workspace."""
    from harness.settings import read_settings
    from harness.targets.base import open_sweepable

    removed = open_sweepable(read_settings(), typer.echo).sweep()
    typer.echo(f"{removed} removed.")
