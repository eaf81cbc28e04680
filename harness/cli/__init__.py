"""The command line. Commands import heavy modules themselves, so that ``--help`` answers at once."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from harness.cli import lineage_commands, run_commands, scenario_commands, stack_commands, target_commands
from harness.cli.command_help import PlainCommand
from harness.cli.options import report_error
from harness.errors import ExitCode, HarnessError, PrerequisiteError

EXIT_CODES = (
    "Exit codes: 0 pass, 1 a bound failed, 2 invalid scenario or command line, 3 a prerequisite is missing, "
    "4 not proven, 5 the job failed, 130 interrupted."
)

app = typer.Typer(
    name="harness",
    help="Build or read versions of a Delta table, train and explain a model on each, and judge the results.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "scenario": run_commands.scenario,
    "watch": run_commands.watch,
    "resume": run_commands.resume,
    "publish": run_commands.publish,
    "rollback": run_commands.rollback,
    "calibrate": run_commands.calibrate,
    "bisect": run_commands.bisect,
    "prove": run_commands.prove,
    "validate": run_commands.validate,
    "attach": target_commands.attach,
    "doctor": target_commands.doctor,
    "asset-bundle": target_commands.asset_bundle,
    "sweep": target_commands.sweep,
    "check": scenario_commands.check,
    "plan": scenario_commands.plan,
    "list": scenario_commands.list_scenarios,
    "init": scenario_commands.init,
    "schema": scenario_commands.schema,
    "runs": lineage_commands.runs,
    "history": lineage_commands.history,
    "trace": lineage_commands.trace,
    "report": lineage_commands.report,
    "replay": lineage_commands.replay,
    "retain": lineage_commands.retain,
    "compare": lineage_commands.compare,
    "ui": lineage_commands.ui,
    "build": stack_commands.build,
    "up": stack_commands.up,
    "down": stack_commands.down,
    "restart": stack_commands.restart,
    "ps": stack_commands.ps,
    "logs": stack_commands.logs,
    "clean": stack_commands.clean,
}
"""Commands by name, in the order in which the help lists them."""


@app.callback()
def _configure(
    context: typer.Context,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            envvar="HARNESS_VERBOSE",
            help="Log settings, processes, requests and written files to standard error.",
        ),
    ] = False,
) -> None:
    if verbose:
        from harness.cli.verbose_log import log_to_stderr

        context.with_resource(log_to_stderr())


for _name, _command in COMMANDS.items():
    app.command(_name, cls=PlainCommand, epilog=EXIT_CODES)(_command)


def main() -> None:
    """Run the command line. Every expected error is one message and an exit code, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except HarnessError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        report_error(PrerequisiteError(f"{file}{error.strerror or error}."))
        sys.exit(ExitCode.PREREQUISITE_MISSING)
    except Exception:  # A bug: its report needs the traceback, and Python's own exit code would be 1.
        traceback.print_exc()
        sys.exit(ExitCode.JOB_FAILED)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
