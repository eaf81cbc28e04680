"""The champion that replaces a scenario's own, as ``--champion`` specifies."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError
from harness.plan import Plan
from harness.scenario.champion import parse_model_reference
from harness.scenario.model import Scenario
from harness.storage.uris import describe_password, find_local_path

CHAMPION = "champion"
"""Parameter of a plan whose champion the command line specified."""


def replace_champion(scenario: Scenario, champion: str | None) -> Scenario:
    """Return a scenario with another champion; unchanged if there is none.

    Raises:
        UsageError: It names no model.
    """
    if champion is None:
        return scenario
    try:
        reference = parse_model_reference(champion)
    except ValueError as error:
        raise UsageError(f"--champion: {error}") from error
    if password := describe_password(champion):
        raise UsageError(f"--champion: the bundle's URI contains {password}; remove it.")
    location = locate_bundle(champion, Path.cwd()) if reference.is_bundle else champion
    return scenario.model_copy(update={"champion": location})


def find_champion(plan: Plan) -> str | None:
    """Return the champion that a run's command line specified, or ``None``."""
    return plan.scenario.champion if CHAMPION in plan.parameters else None


def locate_bundle(uri: str, folder: Path) -> str:
    """Return the location of a bundle: its URI, or its absolute path.

    Args:
        uri: The bundle, as it is written.
        folder: The folder to which a path is relative.
    """
    path = find_local_path(uri, folder)
    return uri if path is None else str(path)
