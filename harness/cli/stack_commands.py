"""Commands for the Compose stack and for cleaning up."""

from __future__ import annotations

from typing import Annotated

import typer


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
            "--keep-runs",
            metavar="N",
            help="Delete all but the N newest runs, with the tables they built, and what killed runs left.",
        ),
    ] = None,
    stack: Annotated[
        bool,
        typer.Option("--stack", help="Delete the Compose stack: containers, volumes, images and secrets."),
    ] = False,
) -> None:
    """Delete old runs, or the Compose stack with its data."""
    from harness.cli.cleanup import remove_leftovers, remove_old_runs
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    if keep is None and not stack:
        raise typer.BadParameter(
            "use --keep-runs N to delete old runs, or --stack to delete the Compose stack."
        )
    if keep is not None and stack:
        raise typer.BadParameter("--keep-runs and --stack can't be combined.")
    settings = read_settings()
    if stack:
        Stack(settings).remove()
        typer.echo("The stack is removed, with its volumes, images and secrets.")
        return
    bundles = remove_leftovers(settings, typer.echo)
    removed = remove_old_runs(settings, keep or 0)
    runs = f"{len(removed)} run" if len(removed) == 1 else f"{len(removed)} runs"
    typer.echo(f"{runs} removed, with their tables." if removed else "No runs removed.")
    if bundles:
        typer.echo(f"{bundles} unfinished bundle{'s' if bundles != 1 else ''} removed.")
