"""What an author of scenarios needs; none of it starts Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import ScenarioName, open_console, scenario_names, tell
from harness.errors import ExitCode, HarnessError, worst


def check(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FILE...", help="Scenarios by name or file.", autocompletion=scenario_names
        ),
    ],
) -> None:
    """Check scenario files and the headers of their data, without Spark."""
    from harness.loading.loader import load_scenario

    code = ExitCode.PASS
    for name in names:
        try:
            loaded = load_scenario(name)
        except HarnessError as error:
            tell(error)
            code = worst(code, error.exit_code)
        else:
            versions = len(loaded.scenario.versions)
            typer.echo(f"{loaded.document.file}: ok ({versions} version{'s' if versions != 1 else ''})")
    raise typer.Exit(code)


def plan(
    name: ScenarioName,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:
    """Show which versions a scenario makes, what is trained, and what it costs; without Spark."""
    import json

    from harness.authoring.plan_preview import plan_of
    from harness.loading.loader import load_scenario
    from harness.report.terminal.scenario_tables import show_plan
    from harness.settings import read_settings

    planned = plan_of(load_scenario(name).scenario, read_settings())
    if as_json:
        typer.echo(json.dumps(planned.values(), indent=2))
    else:
        show_plan(open_console(), planned)


def list_scenarios() -> None:
    """List the scenarios in the folder 'scenarios', with what the newest run of each came to."""
    from harness.authoring import scenario_list
    from harness.loading.loader import FOLDER
    from harness.report.terminal.scenario_tables import show_scenarios
    from harness.settings import read_settings

    show_scenarios(open_console(), scenario_list.list_scenarios(FOLDER, read_settings().runs))


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new scenario's name.")],
    data: Annotated[Path, typer.Option(help="A CSV, JSON or Parquet file, or a Delta table's folder.")],
    label: Annotated[str, typer.Option(help="The column that is to be predicted.")],
    positive: Annotated[
        list[str] | None, typer.Option(help="A value of it that counts as positive; may be said repeatedly.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The column that names a row; found without.")] = None,
) -> None:
    """Write a first scenario, scenarios/NAME.yaml, from a data file; it runs as it is."""
    from harness.authoring.first_scenario import write_scenario
    from harness.loading.loader import FOLDER

    file = write_scenario(name, data, label, positive or (), key, FOLDER)
    typer.echo(f"{file} is written. Look at its comments, then: make scenario NAME={name}")


def schema(
    out: Annotated[Path | None, typer.Option(help="A file; standard output without.")] = None,
) -> None:
    """Show the JSON Schema of the scenario file, by which an editor completes and checks it."""
    from harness.loading.json_schema import schema_text

    if out is None:
        typer.echo(schema_text(), nl=False)
    else:
        out.write_text(schema_text(), encoding="utf-8")
