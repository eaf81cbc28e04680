"""The commands. Whatever is heavy is imported by the command that needs it: ``--help`` answers at once."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

import typer

from harness.cli import authoring, running, stack, tracked, workspace
from harness.cli.common import tell
from harness.errors import ExitCode, HarnessError, NotThereError

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

COMMANDS: dict[str, Callable[..., None]] = {
    "scenario": running.scenario,
    "calibrate": running.calibrate,
    "bisect": running.bisect,
    "validate": running.validate,
    "attach": workspace.attach,
    "doctor": workspace.doctor,
    "asset-bundle": workspace.asset_bundle,
    "sweep": workspace.sweep,
    "check": authoring.check,
    "plan": authoring.plan,
    "list": authoring.list_scenarios,
    "init": authoring.init,
    "schema": authoring.schema,
    "runs": tracked.runs,
    "trace": tracked.trace,
    "compare": tracked.compare,
    "ui": tracked.ui,
    "build": stack.build,
    "up": stack.up,
    "down": stack.down,
    "logs": stack.logs,
    "clean": stack.clean,
}
"""In the order of the help."""

for _name, _command in COMMANDS.items():
    app.command(_name, epilog=EXIT_CODES)(_command)


def main() -> None:
    """The command ``harness``: every fault is one message and an exit code, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except HarnessError as error:
        tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        tell(NotThereError(f"{where}{error.strerror or error}."))
        sys.exit(ExitCode.NOT_THERE)
    except Exception:  # A bug: whoever reports it needs the traceback, and Python's exit code would be 1.
        traceback.print_exc()
        sys.exit(ExitCode.JOB_BROKE)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
