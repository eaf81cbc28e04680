"""The commands. Whatever is heavy is imported by the command that needs it: ``--help`` answers at once."""

from __future__ import annotations

import math
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ExitCode, HarnessError, NotThereError, worst

if TYPE_CHECKING:
    from rich.console import Console

    from harness.settings import Settings
    from harness.stack.stack import Stack

EXIT_CODES = (
    "Exit codes: 0 pass, 1 a bound failed, 2 the scenario or the command line is wrong, "
    "3 something that the run needs is not there, 4 not proven, 5 the job broke, 130 interrupted."
)

app = typer.Typer(
    name="harness",
    help="Build the versions of a Delta table, train and explain a model at each, and judge what came out.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


ScenarioName = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="A scenario by name (scenarios/NAME.yaml) or file.")
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


@app.command(epilog=EXIT_CODES)
def scenario(
    name: ScenarioName,
    target: Target = None,
    keep: Keep = False,
) -> None:
    """Run a scenario: build every version, train, explain, track, judge, publish."""
    from harness.workflow import run_scenario

    raise typer.Exit(run_scenario(name, target, _console(), keep=keep).exit_code)


@app.command(epilog=EXIT_CODES)
def validate(name: ScenarioName, target: Target = None, keep: Keep = False) -> None:
    """Run a scenario here, as --target says, then on Databricks, and see that both say the same."""
    from harness.workflow import validate as run_both

    raise typer.Exit(run_both(name, target, _console(), keep=keep))


@app.command(epilog=EXIT_CODES)
def attach(run_id: Annotated[str, typer.Argument(help="A run's id or folder, or 'latest'.")]) -> None:
    """Take up a run again that goes on in a workspace after its command has ended."""
    from harness.workflow import attach_run

    raise typer.Exit(attach_run(run_id, _console()).exit_code)


@app.command(epilog=EXIT_CODES)
def doctor(target: Target = None) -> None:
    """See whether a target has all that it needs, without starting anything."""
    from harness.report.doctor import show_checks
    from harness.settings import read_settings
    from harness.targets import open_target

    console = _console()
    if not show_checks(console, open_target(read_settings({"target": target}), console.print).checks()):
        raise typer.Exit(ExitCode.NOT_THERE)


@app.command("asset-bundle", epilog=EXIT_CODES)
def asset_bundle(
    name: ScenarioName,
    out: Annotated[Path | None, typer.Option(help="Its folder; asset-bundle/NAME without.")] = None,
) -> None:
    """Write a Databricks Asset Bundle that runs a scenario as a scheduled job, from the same settings."""
    from harness.workflow import write_asset_bundle

    typer.echo(write_asset_bundle(name, out, _console()))


@app.command(epilog=EXIT_CODES)
def sweep() -> None:
    """Remove what runs have left in the workspace and what nobody needs any more."""
    from harness.settings import read_settings
    from harness.targets.databricks import Databricks

    removed = Databricks(read_settings(), typer.echo).sweep()
    typer.echo(f"{removed} folder{'s' if removed != 1 else ''} removed.")


@app.command(epilog=EXIT_CODES)
def check(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", help="Scenarios by name or file.")],
) -> None:
    """Check scenario files and the headers of their data, without Spark."""
    from harness.scenario.loader import load_scenario

    code = ExitCode.PASS
    for name in names:
        try:
            loaded = load_scenario(name)
        except HarnessError as error:
            _tell(error)
            code = worst(code, error.exit_code)
        else:
            versions = len(loaded.scenario.versions)
            typer.echo(f"{loaded.document.file}: ok ({versions} version{'s' if versions != 1 else ''})")
    raise typer.Exit(code)


@app.command(epilog=EXIT_CODES)
def runs(
    table: Annotated[str | None, typer.Option(help="A table by name, URI or fingerprint.")] = None,
    version: Annotated[int | None, typer.Option(min=0, help="A Delta version.")] = None,
    target: Target = None,
) -> None:
    """List the runs that were trained on a dataset version, newest first."""
    from harness import lineage
    from harness.report.lineage import show_runs

    settings = _where_runs_are(target)
    if table is None and version is not None:
        raise typer.BadParameter("--version needs --table: a version is one of a table.")
    found = lineage.all_runs(settings) if table is None else lineage.runs_of(settings, table, version)
    show_runs(_console(), found)


@app.command(epilog=EXIT_CODES)
def trace(
    run_id: Annotated[str, typer.Argument(help="An MLflow run, or a harness run.")], target: Target = None
) -> None:
    """Show the dataset version, fingerprint, parameters, metrics and bundle of a run."""
    from harness import lineage
    from harness.report.lineage import show_trace

    show_trace(_console(), lineage.trace(_where_runs_are(target), run_id))


@app.command(epilog=EXIT_CODES)
def compare(
    run_a: Annotated[str, typer.Argument(help="A run's id or folder, or 'latest'.")],
    run_b: Annotated[str, typer.Argument(help="Another.")],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Relative difference that is none; 1e-6 without, and 1e-4 for coefficients and explanations "
            "between local and cloud.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every value, as JSON.")] = False,
) -> None:
    """Compare two runs: fingerprints, metrics, coefficients and explanations. Exit code 1: they differ."""
    from harness.report.compare import show_parity
    from harness.runs import read_result
    from harness.settings import read_settings
    from harness.verdict.parity import Tolerances, compare as compare_results

    if tolerance is not None and not math.isfinite(tolerance):
        raise typer.BadParameter("--tolerance is a finite number.")
    tolerances = None if tolerance is None else Tolerances.uniform(tolerance)
    runs_folder = read_settings().runs
    parity = compare_results(read_result(runs_folder, run_a), read_result(runs_folder, run_b), tolerances)
    if as_json:
        typer.echo(parity.model_dump_json(indent=2))
    else:
        show_parity(_console(), parity)
    raise typer.Exit(parity.verdict.exit_code)


@app.command(epilog=EXIT_CODES)
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine, embedded.")] = 5000,
    target: Target = None,
) -> None:
    """Show where MLflow's pages are: the stack's where it runs, or served here until Ctrl-C."""
    from harness import ui as pages
    from harness.settings import read_settings

    settings = read_settings({"target": target})
    if (stack := _running_stack(settings)) is None:
        pages.serve(settings, port)
        return
    for name, url in pages.check_stack(settings, stack):
        typer.echo(f"{name + ':':14}{url}")


@app.command(epilog=EXIT_CODES)
def build() -> None:
    """Build the images of the Compose stack that are not there yet; 'up' does it too."""
    from harness.settings import read_settings
    from harness.stack.stack import Stack

    Stack(read_settings()).build()


@app.command(epilog=EXIT_CODES)
def up(
    workers: Annotated[str | None, typer.Option(help="How many Spark workers.")] = None,
) -> None:
    """Bring the Compose stack up: build the images that are not there, start, wait until all is healthy."""
    from harness.settings import read_settings
    from harness.stack.stack import Stack

    stack = Stack(read_settings({"workers": workers}))
    stack.up()
    for service in stack.services():
        typer.echo(f"{service.container:36}{service.words}")


@app.command(epilog=EXIT_CODES)
def down() -> None:
    """Take the Compose stack down; its data stays for the next time."""
    from harness.settings import read_settings
    from harness.stack.stack import Stack

    Stack(read_settings()).down()


@app.command(epilog=EXIT_CODES)
def logs(
    services: Annotated[list[str] | None, typer.Argument(help="Services; all where none is said.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Show what the services of the Compose stack say."""
    from harness.settings import read_settings
    from harness.stack.stack import Stack

    Stack(read_settings()).logs(services or [], follow=follow)


@app.command(epilog=EXIT_CODES)
def clean(
    keep: Annotated[int | None, typer.Option(help="How many of the newest runs stay.")] = None,
    stack: Annotated[
        bool, typer.Option("--stack", help="Remove the Compose stack: containers, volumes, images, secrets.")
    ] = False,
) -> None:
    """Remove old runs and the tables they built, or the Compose stack with all its data."""
    from harness.housekeeping import remove_old_runs
    from harness.settings import read_settings
    from harness.stack.stack import Stack

    if keep is None and not stack:
        raise typer.BadParameter("say what to remove: --keep N for old runs, --stack for the Compose stack.")
    settings = read_settings()
    if keep is not None:
        removed = remove_old_runs(settings, keep)
        typer.echo(f"{len(removed)} run{'s' if len(removed) != 1 else ''} removed, with their tables.")
    if stack:
        Stack(settings).remove()
        typer.echo("The stack is removed, with its volumes, images and secrets.")


def main() -> None:
    """The command ``harness``: every fault is one message and an exit code, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except HarnessError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _tell(NotThereError(f"{where}{error.strerror or error}."))
        sys.exit(ExitCode.NOT_THERE)
    except Exception:  # A bug: whoever reports it needs the traceback, and Python's exit code would be 1.
        traceback.print_exc()
        sys.exit(ExitCode.JOB_BROKE)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(error: HarnessError) -> None:
    sys.stderr.write(f"{error}\n")


def _running_stack(settings: Settings) -> Stack | None:
    """The Compose stack, where the settings name it, or leave the choice and it runs."""
    from harness.stack.stack import Stack

    stack = Stack(settings)
    if settings["target"] == "compose":
        return stack
    return stack if settings["target"] == "auto" and stack.is_up() else None


def _where_runs_are(target: str | None) -> Settings:
    """The settings, with the tracking store of the target as it is reached from here."""
    from harness.settings import read_settings

    settings = read_settings({"target": target})
    if settings.chosen("tracking_uri") or _running_stack(settings) is None:
        return settings
    return read_settings({"target": target, "tracking_uri": f"http://127.0.0.1:{settings['mlflow_port']}"})


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
