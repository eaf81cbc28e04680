"""Rolling back: the alias of a registered model points again to the version before."""

from __future__ import annotations

from harness.registered_models import Move, roll_back
from harness.settings import Settings
from harness.targets.registry import TARGETS
from harness.tracking.lineage import open_client, require_store


def rollback(settings: Settings, name: str, alias: str) -> Move:
    """Let the alias of a registered model point to the version before.

    Args:
        settings: Settings that locate MLflow.
        name: The registered model.
        alias: The alias.

    Raises:
        UsageError: The name or the alias can't exist.
        PrerequisiteError: It doesn't exist, no earlier version is known, or MLflow doesn't answer.
    """
    definition = TARGETS.get(settings["target"])
    registry_uri = definition.registry_uri if definition is not None else None
    uri = settings["tracking_uri"]
    if definition is not None and definition.tracking_uri is not None:
        uri = definition.tracking_uri
    else:
        require_store(uri)
    with open_client(uri, registry_uri) as client:
        return roll_back(client, name, alias)
