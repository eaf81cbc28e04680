"""Reserved names: columns that the models need, and options that contain secrets."""

from __future__ import annotations

import re

_PREFIX = "harness_"
_OF_MODELS = ("features", "rawprediction", "probability", "prediction", "weights", "r2")
"""Columns that the models of a bundle add to the table, in lower case."""
_SECRET = re.compile(r"password|passwd|secret|token|credential|account[._]?key", re.IGNORECASE)


def is_reserved(name: str) -> bool:
    """Return whether columns that a model is trained with can't have this name."""
    return name.lower().startswith(_PREFIX) or name.lower() in _OF_MODELS


def is_secret_name(name: str) -> bool:
    """Return whether the value of an option with this name is likely to be a secret."""
    return _SECRET.search(name) is not None
