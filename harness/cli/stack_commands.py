"""The Compose stack, and what runs leave behind."""

from __future__ import annotations

from typing import Annotated

import typer


def build() -> None:
    """Build the images of the Compose stack that are not there yet; 'up' does it too."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    Stack(read_settings()).build()


def up(
    workers: Annotated[str | None, typer.Option(help="How many Spark workers.")] = None,
) -> None:
    """Bring the Compose stack up: build the images that are not there, start, wait until all is healthy."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    stack = Stack(read_settings({"workers": workers}))
    stack.up()
    for service in stack.services():
        typer.echo(f"{service.container:36}{service.words}")


def down() -> None:
    """Take the Compose stack down; its data stays for the next time."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    Stack(read_settings()).down()


def logs(
    services: Annotated[list[str] | None, typer.Argument(help="Services; all where none is said.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Show what the services of the Compose stack say."""
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    Stack(read_settings()).logs(services or [], follow=follow)


def clean(
    keep: Annotated[int | None, typer.Option(help="How many of the newest runs stay.")] = None,
    stack: Annotated[
        bool, typer.Option("--stack", help="Remove the Compose stack: containers, volumes, images, secrets.")
    ] = False,
) -> None:
    """Remove old runs and the tables they built, or the Compose stack with all its data."""
    from harness.cli.cleanup import remove_old_runs
    from harness.settings import read_settings
    from harness.targets.compose.stack import Stack

    if keep is None and not stack:
        raise typer.BadParameter("say what to remove: --keep N for old runs, --stack for the Compose stack.")
    settings = read_settings()
    if keep is not None:
        removed = remove_old_runs(settings, keep)
        typer.echo(f"{len(removed)} run{'s' if len(removed) != 1 else ''} removed, with their tables.")
    if stack:
        Stack(settings).remove()
        typer.echo("The stack is removed, with its volumes, images and secrets.")
