"""Commands that find, trace and compare past runs, and check the versions that their models depend on."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    TrackingTarget,
    open_console,
    open_past_runs,
    read_settings_of_past_runs,
    report_runs_location,
)
from harness.errors import PrerequisiteError
from harness.retention.outlook import DAYS_AHEAD
from harness.targets.registry import AUTO, describe_choices, find_definition

if TYPE_CHECKING:
    from harness.parity.compare import Parity


def runs(
    scenario: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only runs of the scenario with this name.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Only runs on this table: its name, URI or fingerprint."),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Only runs on this Delta version (at least 0); needs --table."),
    ] = None,
    target: TrackingTarget = None,
    html: Annotated[
        bool,
        typer.Option(
            "--html",
            help="Write a page about the kept runs instead; --target then selects those on a target.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of the page (default: runs/index.html in the home folder)."),
    ] = None,
) -> None:
    """List tracked runs, newest first.

    Lists what MLflow has recorded. With --html, writes a page about the runs whose folders are kept on this
    machine instead: a table, filters, and charts of each metric.
    """
    if table is None and version is not None:
        raise typer.BadParameter("--version needs --table.")
    if out is not None and not html:
        raise typer.BadParameter("--out needs --html.")
    if html:
        _write_runs_page(scenario, table, version, target, out)
        return
    from harness.report.terminal.command_tables import show_runs
    from harness.tracking import lineage

    recorded = open_past_runs(target)
    show_runs(open_console(), lineage.find_runs(recorded, table, version, scenario))
    report_runs_location(recorded)


def _write_runs_page(
    scenario: str | None, table: str | None, version: int | None, target: str | None, file: Path | None
) -> None:
    """Write the page of the kept runs, and show where it is."""
    from harness.report.runs_page import write_runs_page
    from harness.settings import read_settings
    from harness.views.kept_runs import RunFilter

    name = None if target in (None, AUTO) else find_definition(target).name
    wanted = RunFilter(scenario, table, version, name)
    typer.echo(f"page    {write_runs_page(read_settings().runs, wanted, file)}")


def history(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="A folder, a URI, or a name in a catalog that is mapped under [tables]."
        ),
    ],
    limit: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of versions to show, at least 1 (default: 20).",
            show_default=False,
        ),
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    target: TrackingTarget = None,
) -> None:
    """List the versions of a Delta table, newest first.

    Shows when and how each was made, its rows and size, and the tracked runs that were trained on it.
    """
    import json

    from harness.report.terminal.command_tables import show_history
    from harness.tracking.table_history import read_history

    found = read_history(read_settings_of_past_runs(target), table, limit)
    if as_json:
        versions = [each.to_json() for each in found.versions]
        typer.echo(json.dumps({"table": found.uri, "versions": versions}, indent=2))
        return
    show_history(open_console(), found)


def trace(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="An MLflow run ID or a harness run ID.")],
    target: TrackingTarget = None,
) -> None:
    """Show what a run was trained on and what it measured.

    Prints the dataset version and its fingerprint, the parameters, the metrics and the bundle.
    """
    from harness.report.terminal.command_tables import show_trace
    from harness.tracking import lineage

    recorded = open_past_runs(target)
    show_trace(open_console(), lineage.trace(recorded, run_id))
    report_runs_location(recorded)


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's ID, its folder, or 'latest'.")],
) -> None:
    """Regenerate the reports of a past run.

    Writes report.html, report.md and junit.xml from the run's stored plan, result and comparison.
    """
    from harness.parity.compare import load_parity
    from harness.report import HTML, PARITY, write_reports
    from harness.runs import find_run
    from harness.settings import read_settings

    folder = find_run(read_settings().runs, run)
    plan, result = folder.read_plan(), folder.read_result()
    write_reports(plan, result, folder.path, load_parity(folder.path / PARITY))
    typer.echo(f"report  {folder.path / HTML}")


def replay(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN_ID", help="ID of a version's run in MLflow; 'harness trace' lists those of a run."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"Where the job runs: {describe_choices()} (default: the run's target)."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Target whose MLflow tracked the run (default: the setting 'target').",
        ),
    ] = None,
) -> None:
    """Retrain a version from its MLflow run and compare the results.

    Needs only the run and its table; everything else is in MLflow. Nothing is published, and the new run goes
    to a separate experiment. Exits with 1 if the numbers differ.
    """
    from harness.replay import replay as train_again

    tracked = read_settings_of_past_runs(source)
    raise typer.Exit(train_again(tracked, run, target, open_console()))


def retain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|TABLE",
            help="A scenario, or a table by its name, URI or folder (default: every existing table with "
            "pinned versions).",
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Warn if a pinned version can be lost within N days, at least 0 (default: 7).",
            show_default=False,
        ),
    ] = DAYS_AHEAD,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    target: TrackingTarget = None,
) -> None:
    """Check that a table keeps its pinned versions.

    A version is pinned if a published bundle or a registered model was trained from it. Lists the pinned
    versions, what pins them, and how to keep them. Exits with 1 if one can no longer be read, or if the next
    vacuum by the table's own settings, or the next checkpoint of its log, removes it. Deletes nothing.
    """
    from harness.report.terminal.pinned_versions import format_json, show_pinned_tables
    from harness.tracking.pinned_tables import decide_exit_code, find_pinned_tables

    tables = find_pinned_tables(read_settings_of_past_runs(target), name, days)
    if as_json:
        typer.echo(format_json(tables))
    else:
        show_pinned_tables(open_console(), tables)
    raise typer.Exit(decide_exit_code(tables))


def compare(
    run_a: Annotated[
        str,
        typer.Argument(metavar="RUN_A", help="The first run: its ID, its folder, or 'latest'."),
    ],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="The second run.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Relative tolerance, at least 0 (default: 1e-6; 1e-4 for coefficients and explanations "
            "between a local and a cloud run).",
        ),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Number of held-out rows to list per version, at least 0: those whose score differs most "
            "(default: 10).",
            show_default=False,
        ),
    ] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print every value as JSON.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write an HTML page with both runs side by side to FILE."),
    ] = None,
) -> None:
    """Compare the results of two runs.

    Compares fingerprints, metrics, coefficients and explanations. Exits with 1 if they differ. Also lists the
    held-out rows whose score differs most, which doesn't affect the exit code.
    """
    from harness.parity.compare import Tolerances
    from harness.parity.moved_scores import compare_scores
    from harness.report.terminal.verdict_summary import show_parity
    from harness.runs import find_run, read_result
    from harness.settings import read_settings
    from harness.targets.run_parity import compare_runs

    if tolerance is not None and not math.isfinite(tolerance):
        raise typer.BadParameter("--tolerance must be a finite number.")
    tolerances = None if tolerance is None else Tolerances.same_for_all(tolerance)
    runs_folder = read_settings().runs
    a, b = read_result(runs_folder, run_a), read_result(runs_folder, run_b)
    parity = compare_runs(a, b, tolerances)
    folders = (find_run(runs_folder, run_a).path, find_run(runs_folder, run_b).path)
    moved = compare_scores(a, b, folders, rows) if rows else ()
    parity = parity.model_copy(update={"moved": moved})
    if as_json:
        typer.echo(parity.model_dump_json(indent=2))
    else:
        show_parity(open_console(), parity)
    if html is not None:
        _write_page(html, runs_folder, (run_a, run_b), parity)
        typer.echo(f"page    {html}", err=as_json)
    raise typer.Exit(parity.verdict.exit_code)


def _write_page(file: Path, runs_folder: Path, names: tuple[str, str], parity: Parity) -> None:
    """Write a page with both runs side by side; a run without a readable plan shows only its result."""
    from harness.files import write_text
    from harness.report.comparison_page import ComparedRun, render_comparison
    from harness.runs import find_run

    runs_found = []
    for name in names:
        folder = find_run(runs_folder, name)
        plan = None
        with suppress(PrerequisiteError):
            plan = folder.read_plan()
        runs_found.append(ComparedRun(folder.read_result(), plan))
    write_text(file, render_comparison(runs_found[0], runs_found[1], parity))


def ui(
    port: Annotated[
        int,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="Local port, 1 to 65535, to serve the pages on if no stack is running (default: 5000).",
            show_default=False,
        ),
    ] = 5000,
    target: TrackingTarget = None,
) -> None:
    """Show the addresses of the MLflow UI, or serve it.

    If the Compose stack is running, prints the addresses of its pages. Otherwise, serves the local tracking
    store until Ctrl-C.
    """
    from harness.settings import read_settings
    from harness.targets.base import open_tracking
    from harness.tracking import mlflow_ui

    settings = read_settings({"target": target})
    if (server := open_tracking(settings)) is None:
        mlflow_ui.serve(settings, port)
        return
    for name, url in server.pages():
        typer.echo(f"{name + ':':14}{url}")
