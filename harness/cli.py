"""The commands. Whatever is heavy is imported by the command that needs it: ``--help`` answers at once."""

from __future__ import annotations

import signal
import sys
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import WORST_FIRST, ExitCode, HarnessError, NotThereError

if TYPE_CHECKING:
    from rich.console import Console

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


@app.command(epilog=EXIT_CODES)
def scenario(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A scenario by name (scenarios/NAME.yaml) or file.")
    ],
    target: Annotated[str | None, typer.Option(help="Where to run: embedded.")] = None,
) -> None:
    """Run a scenario: build every version, train, explain, track, judge, publish."""
    from harness.workflow import run_scenario

    outcome = run_scenario(name, target, _console())
    raise typer.Exit(outcome.result.exit_code)


@app.command(epilog=EXIT_CODES)
def check(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", help="Scenarios by name or file.")],
) -> None:
    """Check scenario files and the headers of their data, without Spark."""
    from harness.scenario.loader import load_scenario

    worst = ExitCode.PASS
    for name in names:
        try:
            loaded = load_scenario(name)
        except HarnessError as error:
            _tell(error)
            worst = min(worst, error.exit_code, key=WORST_FIRST.index)
        else:
            versions = len(loaded.scenario.versions)
            typer.echo(f"{loaded.document.file}: ok ({versions} version{'s' if versions != 1 else ''})")
    raise typer.Exit(worst)


@app.command(epilog=EXIT_CODES)
def runs(
    table: Annotated[str | None, typer.Option(help="A table by name, URI or fingerprint.")] = None,
    version: Annotated[int | None, typer.Option(min=0, help="A Delta version.")] = None,
) -> None:
    """List the runs that were trained on a dataset version, newest first."""
    from harness import lineage
    from harness.report.lineage import show_runs
    from harness.settings import read_settings

    settings = read_settings()
    if table is None and version is not None:
        raise typer.BadParameter("--version needs --table: a version is one of a table.")
    found = lineage.all_runs(settings) if table is None else lineage.runs_of(settings, table, version)
    show_runs(_console(), found)


@app.command(epilog=EXIT_CODES)
def trace(run_id: Annotated[str, typer.Argument(help="An MLflow run, or a harness run.")]) -> None:
    """Show the dataset version, fingerprint, parameters, metrics and bundle of a run."""
    from harness import lineage
    from harness.report.lineage import show_trace
    from harness.settings import read_settings

    show_trace(_console(), lineage.trace(read_settings(), run_id))


@app.command(epilog=EXIT_CODES)
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Open MLflow's pages on the runs of this folder; Ctrl-C ends it."""
    from harness.settings import read_settings
    from harness.ui import serve

    serve(read_settings(), port)


@app.command(epilog=EXIT_CODES)
def clean(
    keep: Annotated[int, typer.Option(help="How many of the newest runs stay.")],
) -> None:
    """Remove old runs and the tables they built; MLflow's records and published bundles stay."""
    from harness.housekeeping import remove_old_runs
    from harness.settings import read_settings

    removed = remove_old_runs(read_settings(), keep)
    typer.echo(f"{len(removed)} run{'s' if len(removed) != 1 else ''} removed, with their tables.")


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


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)
