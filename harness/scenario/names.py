"""Names of columns that the models need for themselves."""

from __future__ import annotations

_OURS = "harness_"
_OF_MODELS = ("features", "rawprediction", "probability", "prediction", "weights", "r2")
"""Columns that the bundle's models add beside the table's own, in lower case."""


def is_taken(name: str) -> bool:
    """Whether no column that a model is trained with can have this name."""
    return name.lower().startswith(_OURS) or name.lower() in _OF_MODELS
