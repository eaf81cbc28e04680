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


def _scenario_names(incomplete: str) -> list[str]:
    """What a shell may complete a name to."""
    from harness.scenario.loader import FOLDER

    return sorted(file.stem for file in FOLDER.glob("*.yaml") if file.stem.startswith(incomplete))


ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE",
        help="A scenario by name (scenarios/NAME.yaml) or file.",
        autocompletion=_scenario_names,
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


@app.command(epilog=EXIT_CODES)
def scenario(
    name: ScenarioName,
    target: Target = None,
    keep: Keep = False,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="A Delta table that is there already, which is read in place of building the scenario's.",
        ),
    ] = None,
    versions: Annotated[
        str | None,
        typer.Option(help="Of --table: numbers, times or latest, with commas between; latest without."),
    ] = None,
    only: Only = None,
) -> None:
    """Run a scenario: build every version, train, explain, track, judge, publish."""
    from harness.scenario.given_table import given_table
    from harness.studies.matrix import run_every

    given = given_table(table, versions)
    raise typer.Exit(run_every(name, target, _console(), keep=keep, table=given, only=only or ()))


@app.command(epilog=EXIT_CODES)
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
    only: Only = None,
) -> None:
    """Run a scenario with several seeds, and propose bounds: how often they fail by chance, what they see."""
    from harness.report.studies import show_calibration
    from harness.studies.calibrate import calibrate as run_repeats

    console = _console()
    made = run_repeats(
        name,
        target,
        console,
        repeats=repeats,
        false_alarms=false_alarms,
        every_metric=every_metric,
        only=only or (),
        out=out,
    )
    show_calibration(console, made.calibration, made.proposal)
    typer.echo(f"calibration  {made.folder}")


@app.command(epilog=EXIT_CODES)
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
    only: Only = None,
) -> None:
    """Find the version at which a bound began to fail, with few trainings. Exit code 4: there is none."""
    from harness.report.studies import show_search
    from harness.studies.bisect import bisect as find, exit_code

    console = _console()
    found = find(name, target, console, bound=bound, only=only or ())
    show_search(console, found)
    raise typer.Exit(exit_code(found.searched))


@app.command(epilog=EXIT_CODES)
def validate(name: ScenarioName, target: Target = None, keep: Keep = False, only: Only = None) -> None:
    """Run a scenario here, as --target says, then on Databricks, and see that both say the same."""
    from harness.workflow import validate as run_both

    raise typer.Exit(run_both(name, target, _console(), keep=keep, only=only or ()))


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
    only: Only = None,
) -> None:
    """Write a Databricks Asset Bundle that runs a scenario as a scheduled job, from the same settings."""
    from harness.workflow import write_asset_bundle

    typer.echo(write_asset_bundle(name, out, _console(), only or ()))


@app.command(epilog=EXIT_CODES)
def sweep() -> None:
    """Remove what runs have left in the workspace and what nobody needs any more."""
    from harness.settings import read_settings
    from harness.targets.databricks import Databricks

    removed = Databricks(read_settings(), typer.echo).sweep()
    typer.echo(f"{removed} folder{'s' if removed != 1 else ''} removed.")


@app.command(epilog=EXIT_CODES)
def check(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|FILE...", help="Scenarios by name or file.", autocompletion=_scenario_names
        ),
    ],
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
def plan(
    name: ScenarioName,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:
    """Show which versions a scenario makes, what is trained, and what it costs; without Spark."""
    import json

    from harness.authoring.plan_table import plan_of
    from harness.report.authoring import show_plan
    from harness.scenario.loader import load_scenario
    from harness.settings import read_settings

    planned = plan_of(load_scenario(name).scenario, read_settings())
    if as_json:
        typer.echo(json.dumps(planned.values(), indent=2))
    else:
        show_plan(_console(), planned)


@app.command("list", epilog=EXIT_CODES)
def list_command() -> None:
    """List the scenarios in the folder 'scenarios', with what the newest run of each came to."""
    from harness.authoring.listing import list_scenarios
    from harness.report.authoring import show_scenarios
    from harness.scenario.loader import FOLDER
    from harness.settings import read_settings

    show_scenarios(_console(), list_scenarios(FOLDER, read_settings().runs))


@app.command(epilog=EXIT_CODES)
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
    from harness.authoring.init import write_scenario
    from harness.scenario.loader import FOLDER

    file = write_scenario(name, data, label, positive or (), key, FOLDER)
    typer.echo(f"{file} is written. Look at its comments, then: harness scenario {name}")


@app.command(epilog=EXIT_CODES)
def schema(
    out: Annotated[Path | None, typer.Option(help="A file; standard output without.")] = None,
) -> None:
    """Show the JSON Schema of the scenario file, by which an editor completes and checks it."""
    from harness.authoring.schema import schema_text

    if out is None:
        typer.echo(schema_text(), nl=False)
    else:
        out.write_text(schema_text(), encoding="utf-8")


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
    from harness.report.github import error_lines, is_there

    if is_there():
        sys.stderr.writelines(f"{line}\n" for line in error_lines(error))


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
