"""What the commands have in common: arguments, the console, where runs are found, how a fault is told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import HarnessError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.settings import Settings
    from harness.targets.compose.stack import Stack


def scenario_names(incomplete: str) -> list[str]:
    """What a shell may complete a name to."""
    from harness.loading.loader import FOLDER

    return sorted(file.stem for file in FOLDER.glob("*.yaml") if file.stem.startswith(incomplete))


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE",
        help="A scenario by name (scenarios/NAME.yaml) or file.",
        autocompletion=scenario_names,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        help="embedded, compose, databricks, or auto: compose where its engine and images are there."
    ),
]
Keep = Annotated[
    bool,
    typer.Option("--keep", help="After a fault, keep the stack or the uploaded files that this run made."),
]

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="PLACE=VALUE",
        help="Of a scenario's matrix, the combinations with this value; may be said repeatedly.",
    ),
]


TableUri = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="URI",
        help="A Delta table that is there already, which is read in place of building the scenario's.",
    ),
]
TableVersions = Annotated[
    str | None,
    typer.Option(
        "--versions", help="Of --table: numbers, times or latest, with commas between; latest without."
    ),
]


def open_console() -> Console:
    """Where a command shows what it does."""
    from rich.console import Console

    return Console(highlight=False)


def tell(error: HarnessError) -> None:
    """Say what is wrong on standard error, and to GitHub where it runs there."""
    sys.stderr.write(f"{error}\n")
    from harness.report.github import error_lines, is_there

    if is_there():
        sys.stderr.writelines(f"{line}\n" for line in error_lines(error))


def running_stack(settings: Settings) -> Stack | None:
    """The Compose stack, where the settings name it, or leave the choice and it runs."""
    from harness.targets.compose.stack import Stack

    stack = Stack(settings)
    if settings["target"] == "compose":
        return stack
    return stack if settings["target"] == "auto" and stack.is_up() else None


def where_runs_are(target: str | None) -> Settings:
    """The settings, with the tracking store of the target as it is reached from here."""
    from harness.settings import read_settings

    settings = read_settings({"target": target})
    if settings.chosen("tracking_uri") or running_stack(settings) is None:
        return settings
    return read_settings({"target": target, "tracking_uri": f"http://127.0.0.1:{settings['mlflow_port']}"})
