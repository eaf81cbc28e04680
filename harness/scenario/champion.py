"""The reference to a champion, the deployed model, as a scenario file writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.metrics import HELD_OUT_METRICS, METRICS

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(@(?P<alias>[^/@]+)|/(?P<version>[1-9]\d*))")
_LOGGED = re.compile(r"models:/m-[0-9a-f]{32}")
_OF_RUN = re.compile(r"runs:/[0-9a-f]{32}/[^/].*")
EXAMPLE = "models:/NAME@ALIAS"
FORMS = f"{EXAMPLE}, models:/NAME/VERSION, runs:/RUN/PATH, or the location of a bundle"
"""How a champion is written."""
COMPARED_METRICS = tuple(name for name in HELD_OUT_METRICS if METRICS[name].better is not None)
"""Metrics whose difference to the champion's can be bounded."""


@dataclass(frozen=True)
class ModelReference:
    """A registered model, a model that a run has logged, or a bundle."""

    uri: str
    name: str = ""
    """Name of the registered model."""
    alias: str = ""
    """Alias of one of its versions; empty if the version itself is given."""
    is_bundle: bool = False


def parse_model_reference(text: str) -> ModelReference:
    """Return the model that a text refers to.

    Raises:
        ValueError: It refers to none; the message is one for the scenario's author.
    """
    if text.startswith("models:"):
        if _LOGGED.fullmatch(text):
            return ModelReference(text)
        found = _REGISTERED.fullmatch(text)
        if found is None:
            raise ValueError(
                f"'{text}' names no version of a model; write models:/NAME@ALIAS or models:/NAME/3."
            )
        return ModelReference(text, found["name"], found["alias"] or "")
    if text.startswith("runs:"):
        if not _OF_RUN.fullmatch(text):
            raise ValueError(f"'{text}' names no model of a run; write runs:/ID/PATH.")
        return ModelReference(text)
    if not text.strip():
        raise ValueError(f"the champion is empty; write {FORMS}.")
    return ModelReference(text, is_bundle=True)
