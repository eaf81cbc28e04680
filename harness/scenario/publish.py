"""What happens to the models of a run that has passed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from harness.scenario.model_base import Identifier, ScenarioPart

MODEL_NAME = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)?$"
"""A registered model's name: of one level, or of three in Unity Catalog."""
MODEL_NAME_HINT = "use NAME or CATALOG.SCHEMA.NAME, with letters, digits, underscores and hyphens"
ALIAS = r"^[A-Za-z][A-Za-z0-9_]*$"
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)


class Publish(ScenarioPart):
    """The condition for publishing bundles, the model store they are copied to, and the registered model."""

    to: Identifier = "models"
    """Name of a model store in the settings."""
    when: Literal["pass", "always", "never"] = "pass"
    """``pass``: if every bound of the whole scenario holds."""
    # Python's abstract classes have a method of the key's name.
    model: Annotated[str | None, Field(alias="register")] = None
    """Name of the registered model in MLflow that gets the model of the last trained version, if the run
    passes."""
    alias: Identifier | None = None
    """Alias of the registered model that then points to it, such as ``champion``."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


def is_reserved_alias(alias: str) -> bool:
    """Return whether MLflow keeps an alias for itself."""
    return _RESERVED.fullmatch(alias) is not None
