"""The faults that a scenario's bounds must catch, as its file writes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.scenario.model_base import Identifier, Number, ScenarioPart


class OwnFault(ScenarioPart):
    """A custom fault: other values in the rows that a version adds."""

    values: Annotated[dict[str, str], Field(alias="set", min_length=1)]
    """Column to its wrong value, as SQL over the row's columns."""
    where: str = "true"
    """SQL condition that a row must meet to be hit (default: all rows)."""


class Prove(ScenarioPart):
    """The faults that ``harness prove`` injects, and those that must be caught."""

    require: tuple[str, ...] = ()
    """Faults that a bound must catch."""
    dose: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Share of the added rows that a fault hits (default: the fault's own dose)."""
    faults: dict[Identifier, OwnFault] = Field(default_factory=dict)
    """Custom faults, by name."""
