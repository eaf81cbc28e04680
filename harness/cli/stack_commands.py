"""Commands for the Compose stack and for deleting old runs and their tables."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.runs import LATEST, list_runs
from harness.settings import Settings
from harness.targets.base import open_target
from harness.targets.registry import FALLBACK


def build() -> None:
    """Build the missing images of the Compose stack.

    'up' does this first, too.
    """
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    Stack(read_settings()).build()


def up(
    workers: Annotated[
        str | None,
        typer.Option(metavar="N", help="Number of Spark workers (default: the 'workers' setting)."),
    ] = None,
) -> None:
    """Start the Compose stack and wait until it is healthy.

    Builds missing images first.
    """
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    stack = Stack(read_settings({"workers": workers}))
    stack.up()
    for service in stack.services():
        typer.echo(f"{service.container:36}{service.description}")


def down() -> None:
    """Stop the Compose stack and keep its data."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    Stack(read_settings()).down()


def logs(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="SERVICE", help="Services to show (default: all).")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Follow the logs until Ctrl-C.")] = False,
) -> None:
    """Show the logs of the Compose stack's services."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    Stack(read_settings()).logs(services or [], follow=follow)


def clean(
    keep: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Delete all but this number of newest runs, with the tables they built."
        ),
    ] = None,
    stack: Annotated[
        bool,
        typer.Option("--stack", help="Delete the Compose stack: containers, volumes, images and secrets."),
    ] = False,
) -> None:
    """Delete old runs, or the Compose stack with its data."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    if (keep is None) is not stack:
        raise typer.BadParameter("use one of --keep N, for old runs, and --stack, for the Compose stack.")
    settings = read_settings()
    if stack:
        Stack(settings).remove()
        typer.echo("The stack is removed, with its volumes, images and secrets.")
        return
    removed = remove_old_runs(settings, keep or 0)
    typer.echo(f"{len(removed)} run{'s' if len(removed) != 1 else ''} removed, with their tables.")


def remove_old_runs(settings: Settings, keep: int) -> list[str]:
    """Remove all but the newest runs, with the tables they built. Runs that have not ended are kept.

    Args:
        settings: Settings that locate the runs.
        keep: Number of newest runs to keep.

    Returns:
        The IDs of the removed runs, oldest first.

    Raises:
        UsageError: ``keep`` is negative.
        PrerequisiteError: A run's tables or folder can't be removed; the other runs are removed nevertheless.
    """
    if keep < 0:
        raise UsageError(f"--keep is {keep}: the number of runs to keep must be 0 or more.")
    runs = [run for run in list_runs(settings.runs) if not run.is_running]
    old = runs[: max(0, len(runs) - keep)]
    errors: list[HarnessError] = []
    for run in old:
        try:
            open_target(settings.for_target(run.target or FALLBACK)).remove_run(run.path.name)
        except HarnessError as error:
            errors.append(error)
        else:
            run.remove()
    latest = settings.runs / LATEST
    if latest.is_symlink() and not latest.exists():
        latest.unlink()
    if errors:
        raise errors[0]
    remaining = [run.path for run in old if run.path.exists()]
    if remaining:
        raise PrerequisiteError(
            f"Can't remove {remaining[0]}.", remedy="Check who owns it, or remove it manually."
        )
    return [run.path.name for run in old]
