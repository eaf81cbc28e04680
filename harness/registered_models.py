"""Registered models: their versions, and the aliases that name the one in use.

The functions take MLflow's client, so that importing this module doesn't load MLflow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import PrerequisiteError, UsageError, did_you_mean
from harness.scenario.publish import ALIAS, MODEL_NAME, MODEL_NAME_HINT, is_reserved_alias
from harness.tracked_names import DEFAULT_ALIAS

Client = Any
"""``mlflow.MlflowClient``."""
BEFORE_TAG, ROLLED_BACK_TAG = "harness.before.", "harness.rolled_back."
"""Starts of a version's tags, each followed by an alias: the version to which it pointed before, and that it
was taken back from this one."""
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "REGISTERED_MODEL_DOES_NOT_EXIST")
_EXISTS = ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS")
_MOST_MODELS = 1000


@dataclass(frozen=True)
class Move:
    """The move of an alias from one version to another."""

    name: str
    alias: str
    before: str
    after: str


def find_version(client: Client, name: str, run_id: str) -> str | None:
    """Return the newest version of a registered model that an MLflow run has trained, if there is one."""
    try:
        found = client.search_model_versions(f"name = '{name}'", max_results=_MOST_MODELS)
    except Exception as error:
        if _has_code(error, _UNKNOWN):
            return None
        raise
    versions = [int(each.version) for each in found if each.run_id == run_id]
    return str(max(versions)) if versions else None


def create_model(client: Client, name: str) -> None:
    """Create a registered model, if it doesn't exist."""
    try:
        client.create_registered_model(name)
    except Exception as error:
        if not _has_code(error, _EXISTS):
            raise


def read_tags(client: Client, name: str, version: str) -> Mapping[str, str]:
    """Return the tags of a version."""
    tags: Mapping[str, str] = client.get_model_version(name, version).tags
    return tags


def move_alias(client: Client, name: str, alias: str, version: str) -> None:
    """Let an alias point to a version, which records to which one it pointed before."""
    before = read_aliases(client, name).get(alias)
    if before == version:
        return
    if before is not None:
        client.set_model_version_tag(name, version, f"{BEFORE_TAG}{alias}", before)
    client.set_registered_model_alias(name, alias, version)


def roll_back(client: Client, name: str, alias: str) -> Move:
    """Let an alias point to the version to which it pointed before.

    Args:
        client: MLflow's client.
        name: The registered model.
        alias: The alias.

    Raises:
        UsageError: The name or the alias can't exist.
        PrerequisiteError: It doesn't exist, or no earlier version is known.
    """
    if not re.fullmatch(MODEL_NAME, name):
        raise UsageError(f"'{name}' can't be a registered model: {MODEL_NAME_HINT}.")
    if not re.fullmatch(ALIAS, alias) or is_reserved_alias(alias):
        raise UsageError(
            f"'{alias}' is not the alias of a model.", remedy=f"Use a name such as '{DEFAULT_ALIAS}'."
        )
    aliases = _require_aliases(client, name)
    version = aliases.get(alias)
    if version is None:
        known = f"Its aliases: {', '.join(aliases)}." if aliases else "It has no aliases."
        raise PrerequisiteError(
            f"The registered model '{name}' has no alias '{alias}'.{did_you_mean(alias, aliases)}",
            remedy=known,
        )
    before = read_tags(client, name, version).get(f"{BEFORE_TAG}{alias}")
    if before is None:
        raise PrerequisiteError(
            f"'{alias}' of the registered model '{name}' points to version {version}, and no earlier one is "
            "recorded.",
            remedy="Only runs that move an alias record it. In MLflow, an alias can point to any version.",
        )
    _require_version(client, name, before)
    # First, so that no run takes the alias forward again if this command is killed.
    client.set_model_version_tag(name, version, f"{ROLLED_BACK_TAG}{alias}", before)
    client.set_registered_model_alias(name, alias, before)
    return Move(name, alias, version, before)


def _require_aliases(client: Client, name: str) -> dict[str, str]:
    try:
        return read_aliases(client, name)
    except Exception as error:
        if not _has_code(error, _UNKNOWN):
            raise
    names = [each.name for each in client.search_registered_models(max_results=_MOST_MODELS)]
    raise PrerequisiteError(
        f"MLflow has no registered model '{name}'.{did_you_mean(name, names)}",
        remedy="A run registers one if its scenario has publish.register and all bounds hold.",
    )


def _require_version(client: Client, name: str, version: str) -> None:
    try:
        client.get_model_version(name, version)
    except Exception as error:
        if not _has_code(error, _UNKNOWN):
            raise
        raise PrerequisiteError(
            f"Version {version} of the registered model '{name}', the one before, was deleted.",
            remedy="In MLflow, let the alias point to another version.",
        ) from error


def read_aliases(client: Client, name: str) -> dict[str, str]:
    """Return the aliases of a registered model, each with its version."""
    aliases = client.get_registered_model(name).aliases
    return {alias: str(version) for alias, version in aliases.items()}


def _has_code(error: Exception, codes: tuple[str, ...]) -> bool:
    return getattr(error, "error_code", None) in codes
