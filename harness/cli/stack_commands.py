"""Commands for the Compose stack and for cleaning up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.targets.compose.stack import Stack


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
    _show_services(stack)


def ps() -> None:
    """Show the state of each of the Compose stack's services."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    stack = Stack(read_settings())
    stack.require_own()
    _show_services(stack)


def restart(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="SERVICE", help="Services to restart (default: all).")
    ] = None,
) -> None:
    """Restart the Compose stack and wait until it is healthy."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    stack = Stack(read_settings())
    stack.restart(services or [])
    _show_services(stack)


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
            "--keep-runs",
            metavar="N",
            help="Delete all but the N newest runs, with their tables and bundles, and what killed runs "
            "left.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="With --keep-runs: list what would be deleted, and delete nothing."),
    ] = False,
    stack: Annotated[
        bool,
        typer.Option(
            "--stack",
            help="Delete the Compose stack: containers, volumes, images, secrets and build cache. "
            "Lists them and asks first.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Don't ask before the stack is deleted.")] = False,
) -> None:
    """Delete old runs, or the Compose stack with its data.

    A bundle stays if a kept run, or a run of another machine, uses its models, if 'harness publish' has
    published it, or if its model is registered in MLflow.
    """
    from harness.cli.cleanup import remove_leftovers, remove_old_runs
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack
    from harness.views.formatting import format_count

    if keep is None and not stack:
        raise typer.BadParameter(
            "use --keep-runs N to delete old runs, or --stack to delete the Compose stack."
        )
    if dry_run and stack:
        raise typer.BadParameter("--dry-run needs --keep-runs: --stack lists what it deletes, and asks.")
    if keep is not None and stack:
        raise typer.BadParameter("--keep-runs and --stack can't be combined.")
    settings = read_settings()
    if stack:
        _delete_stack(Stack(settings), force=force)
        return
    if dry_run:
        found = remove_old_runs(settings, keep or 0, typer.echo, is_dry_run=True)
        for name in found.runs:
            typer.echo(f"run     {name}")
        for uri in found.bundles:
            typer.echo(f"bundle  {uri}")
        runs, bundles = format_count(len(found.runs), "run"), format_count(len(found.bundles), "bundle")
        typer.echo(f"Would remove {runs} and {bundles}.")
        return
    unfinished = remove_leftovers(settings, typer.echo)
    removed = remove_old_runs(settings, keep or 0, typer.echo)
    runs = format_count(len(removed.runs), "run")
    typer.echo(f"{runs} removed, with their tables." if removed.runs else "No runs removed.")
    if removed.bundles:
        typer.echo(f"{format_count(len(removed.bundles), 'bundle')} removed.")
    if unfinished:
        typer.echo(f"{format_count(unfinished, 'unfinished bundle')} removed.")


def _show_services(stack: Stack) -> None:
    services = stack.services()
    for service in services:
        typer.echo(f"{service.container:36}{service.description}")
    if not services:
        typer.echo("The stack is not running. 'make up' starts it.")


def is_terminal() -> bool:
    """Return whether somebody can answer a question."""
    return sys.stdin.isatty()


def _delete_stack(stack: Stack, *, force: bool) -> None:
    """List what is deleted, ask unless ``force`` is set, and delete it."""
    leftovers = stack.find_leftovers()
    typer.echo(f"This deletes the stack '{stack.name}':")
    for each in leftovers:
        typer.echo(f"  {each.label:20}{each.size:>9}  {each.location}")
    if not force:
        if not is_terminal():
            raise UsageError(
                "Nothing was deleted: the confirmation needs a terminal.",
                remedy="make clean FORCE=1 (harness clean --stack --force) deletes it without asking.",
            )
        if not typer.confirm("Delete all of this?"):
            typer.echo("Nothing was deleted.")
            raise typer.Exit(ExitCode.WRONG_INPUT)
    stack.remove()
    typer.echo("The stack is removed, with its volumes, images, secrets and build cache.")
