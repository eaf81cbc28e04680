"""What a number must rest on to prove anything, as a scenario file writes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.scenario.model_base import Number, ScenarioPart, WholeNumber


class Proof(ScenarioPart):
    """What a number must rest on: a bound on a weaker one is *not proven*."""

    min_class_rows: Annotated[WholeNumber, Field(ge=1)] = 10
    """Rows of the smaller class that a metric of the model's quality must be measured on."""
    min_explanation_r2: Annotated[Number, Field(le=1)] = 0.1
    """Mean R2 that the local explanations must reach before their weights are judged."""
