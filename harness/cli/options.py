"""Arguments, options and helpers that several commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import HarnessError
from harness.targets.registry import describe_choices

if TYPE_CHECKING:
    from rich.console import Console

    from harness.settings import Settings
    from harness.targets.base import SearchesRuns


def complete_scenario_name(incomplete: str) -> list[str]:
    """Return the scenario names that complete a prefix."""
    from harness.loading.loader import FOLDER

    return sorted(file.stem for file in FOLDER.glob("*.yaml") if file.stem.startswith(incomplete))


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE",
        help="Name (scenarios/NAME.yaml) or file of a scenario.",
        autocompletion=complete_scenario_name,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"Where the job runs: {describe_choices()} (default: the setting 'target')."
    ),
]
PastRun = Annotated[str, typer.Argument(metavar="RUN", help="A run's ID or folder, or 'latest'.")]
TrackingTarget = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME", help="Target whose MLflow to read (default: the setting 'target')."
    ),
]
Keep = Annotated[
    bool,
    typer.Option("--keep", help="If the run fails, keep the stack it started or the files it uploaded."),
]
Fresh = Annotated[
    bool,
    typer.Option("--fresh", help="Measure everything again, even if an earlier run has measured the same."),
]

Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="KEY=VALUE",
        help="Use only the combinations of the matrix with this value; repeatable.",
    ),
]


TableUri = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="TABLE",
        help="Read this existing Delta table (a folder, a URI, or a name in a catalog) instead of building "
        "the scenario's own.",
    ),
]
TableVersions = Annotated[
    str | None,
    typer.Option(
        "--versions",
        metavar="LIST",
        help="Comma-separated versions of --table: numbers, timestamps or 'latest' (default: latest).",
    ),
]


Champion = Annotated[
    str | None,
    typer.Option(
        "--champion",
        metavar="MODEL",
        help="Score this deployed model at each version: models:/NAME@ALIAS, models:/NAME/VERSION, "
        "runs:/RUN/PATH, or a bundle (default: the scenario's champion).",
    ),
]


def open_console() -> Console:
    """Open the console that a command writes to."""
    from harness.report.terminal.console import PlainConsole

    return PlainConsole(highlight=False)


def report_error(error: HarnessError) -> None:
    """Write an error to standard error and, in a GitHub workflow, as an annotation."""
    from harness.report.github import is_github_workflow, list_error_commands
    from harness.storage.uris import hide_passwords
    from harness.views.formatting import show_control_characters

    sys.stderr.write(f"{show_control_characters(hide_passwords(str(error)))}\n")

    if is_github_workflow():
        sys.stderr.writelines(f"{line}\n" for line in list_error_commands(error))


def read_settings_of_past_runs(target: str | None) -> Settings:
    """Return the settings, with the tracking store's address as seen from this machine."""
    from harness.settings import read_settings
    from harness.targets.base import open_tracking

    settings = read_settings({"target": target})
    server = None if settings.value_if_set("tracking_uri") else open_tracking(settings)
    if server is None:
        return settings
    return read_settings({"target": target, "tracking_uri": server.tracking_uri()})


def open_past_runs(target: str | None) -> SearchesRuns:
    """Open the recorded runs of a target: through its own client, or in a tracking store."""
    from harness.settings import read_settings
    from harness.targets.base import open_run_search
    from harness.tracking.lineage import TrackingStore

    found = open_run_search(read_settings({"target": target}))
    return TrackingStore(read_settings_of_past_runs(target)) if found is None else found


def report_runs_location(runs: SearchesRuns) -> None:
    """Write to standard error where the runs were read from."""
    typer.echo(f"Read from {runs.locate_runs()}.", err=True)
