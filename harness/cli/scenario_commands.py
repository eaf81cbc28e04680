"""Commands for authors of scenarios; none of them starts Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    Champion,
    ScenarioName,
    TableUri,
    TableVersions,
    complete_scenario_name,
    open_console,
    report_error,
)
from harness.errors import ExitCode, HarnessError, select_worst


def check(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FILE",
            help="Names (scenarios/NAME.yaml) or files of scenarios.",
            autocompletion=complete_scenario_name,
        ),
    ],
) -> None:
    """Check scenario files and the headers of their data.

    Also checks the runs that bounds compare with.
    """
    from harness.bounds.specs import explain_unjudged
    from harness.loading.baseline_lookup import check_baselines
    from harness.loading.loader import load_scenario
    from harness.settings import read_settings

    code = ExitCode.PASS
    for name in names:
        try:
            loaded = load_scenario(name)
            check_baselines(loaded, lambda: read_settings().runs)
        except HarnessError as error:
            report_error(error)
            code = select_worst(code, error.exit_code)
        else:
            versions = len(loaded.scenario.versions)
            typer.echo(f"{loaded.document.file}: ok ({versions} version{'s' if versions != 1 else ''})")
            if unjudged := explain_unjudged(loaded.scenario):
                typer.echo(f"{loaded.document.file}: warning: the verdict will be 'not proven': {unjudged}.")
    raise typer.Exit(code)


def plan(
    name: ScenarioName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole plan as JSON.")] = False,
    table: TableUri = None,
    versions: TableVersions = None,
    champion: Champion = None,
) -> None:
    """Show what a scenario would build, train and cost.

    Predicts the Delta versions, trainings, bounds and published models of a run without starting Spark.
    """
    import json

    from harness.authoring.plan_preview import preview_run
    from harness.loading.baseline_lookup import check_baselines
    from harness.loading.loader import load_scenario
    from harness.loading.sources import measure_size
    from harness.loading.table_override import parse_table_override
    from harness.report.terminal.command_tables import show_plan
    from harness.reuse import preview_trainings
    from harness.settings import read_settings

    existing = parse_table_override(table, versions)
    loaded = load_scenario(name, existing, champion)
    settings = read_settings()
    baselines = check_baselines(loaded, lambda: settings.runs)
    trainings = preview_trainings(loaded, settings)
    folder = Path(loaded.document.file).parent
    size = measure_size(loaded.scenario, loaded.sources, folder)
    planned = preview_run(loaded.scenario, settings, folder, baselines, trainings, size)
    if as_json:
        typer.echo(json.dumps(planned.values(), indent=2))
        return
    if existing is not None:
        typer.echo(existing.describe(loaded.scenario))
    show_plan(open_console(), planned)


def list_scenarios() -> None:
    """List the scenarios, each with the verdict of its newest run."""
    from harness.authoring import scenario_list
    from harness.loading.loader import FOLDER
    from harness.report.terminal.command_tables import show_scenarios
    from harness.settings import read_settings

    listed = scenario_list.list_scenarios(FOLDER, read_settings().runs)
    if not listed:
        typer.echo(f"There are no scenarios in {FOLDER.resolve()}.")
        return
    show_scenarios(open_console(), listed)


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new scenario.")],
    data: Annotated[
        Path,
        typer.Option(metavar="PATH", help="A CSV, JSON or Parquet file, a folder of them, or a Delta table."),
    ],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.")],
    positive: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE", help="A label value that counts as positive; repeatable."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column that identifies a row (default: detected)."),
    ] = None,
) -> None:
    """Write a first scenario from a data file.

    The new file, scenarios/NAME.yaml, can be run without changes.
    """
    from harness.authoring.first_scenario import write_scenario
    from harness.loading.loader import FOLDER

    def copy_table(table: Path, folder: Path) -> None:
        from harness.settings import read_settings
        from harness.targets.embedded.embedded_target import Embedded

        typer.echo(f"Reading {table} with Spark, as only Spark knows all of its features.", err=True)
        Embedded(read_settings()).copy_table(table, folder)

    file = write_scenario(name, data, label, positive or (), key, FOLDER, copy_table)
    typer.echo(f"Wrote {file}. Read its comments, then run: make scenario NAME={name}")


def schema(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Output file (default: standard output).")
    ] = None,
) -> None:
    """Print the JSON Schema of scenario files.

    Editors use it to complete and check scenario files.
    """
    from harness.files import write_text
    from harness.loading.json_schema import render_schema

    if out is None:
        typer.echo(render_schema(), nl=False)
    else:
        write_text(out, render_schema())
        typer.echo(f"Wrote {out}.")
