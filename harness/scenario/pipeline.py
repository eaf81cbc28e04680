"""The part of a scenario file that leads from a table to a model and its explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from harness.scenario.model_base import Identifier, ScenarioPart, Share, Value
from harness.scenario.model_kinds import LogisticRegression, ModelOfKind

Option = Value | tuple[Value, ...]
"""Value of an argument of a custom pipeline."""

_LEAST_SAMPLES = 1000
_MOST_SAMPLES = 1_000_000
_SAMPLES_PER_SLOT = 20
METHODS: Mapping[str, int] = {"prepare": 2, "fit": 2, "evaluate": 2, "explain": 3}
"""Method of a pipeline to the number of arguments it is called with."""


class Label(ScenarioPart):
    """The label to predict. Rows whose value is ignored are dropped; any other value fails the version."""

    column: str
    positive: Annotated[tuple[Value, ...], Field(min_length=1)]
    negative: Annotated[tuple[Value, ...], Field(min_length=1)]
    ignore: tuple[Value | None, ...] = ()
    """Values whose rows are dropped and counted; ``null`` for rows whose label is not known."""


class Split(ScenarioPart):
    """The choice of held-out rows by a hash of key and seed: no row moves from one side to the other."""

    by: Literal["key"] = "key"
    test: Share = 0.4


class Lime(ScenarioPart):
    """SynapseML's VectorLIME on the trained classifier."""

    kind: Literal["lime"] = "lime"
    samples: Annotated[int, Field(ge=10, le=_MOST_SAMPLES)] | None = None
    """Perturbed samples per explained row (default: 20 for each slot of the vector, at least 1000)."""
    rows: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Held-out rows that are explained, the same ones at every version."""
    background: Annotated[int, Field(ge=2, le=_MOST_SAMPLES)] = 1000
    """Training rows whose spread the samples are drawn with; they are stored with the explainer."""

    def choose_samples(self, slots: int) -> int:
        """Return the number of samples for a vector with this number of slots."""
        return max(_LEAST_SAMPLES, _SAMPLES_PER_SLOT * slots) if self.samples is None else self.samples


class Pipeline(ScenarioPart):
    """The way from a version of the table to a model and its explanation."""

    label: Label
    filter: str | None = None
    """A SQL condition; rows that do not meet it are left out and counted."""
    derive: dict[Identifier, str] = Field(default_factory=dict)
    """New columns as SQL expressions over the table's columns."""
    features: tuple[str, ...] = ()
    """Numeric columns."""
    categorical: tuple[str, ...] = ()
    """Columns with one indicator per value. Values that are not in the training rows set none of them."""
    optional: tuple[str, ...] = ()
    """Features that a version may lack; its model is then trained without them."""
    impute: Literal["mean", "median"] = "mean"
    """Statistic of the training rows that replaces missing numbers."""
    split: Split = Split()
    model: ModelOfKind = LogisticRegression()
    """The built-in model, by its kind (default: logistic_regression)."""
    explainer: Lime = Lime()
    use: str | None = None
    """``MODULE:NAME``: a custom pipeline in Python next to the scenario file, instead of a built-in model."""
    options: Annotated[dict[Identifier, Option], Field(alias="with")] = Field(default_factory=dict)
    """Arguments of the custom pipeline, by name."""
    metrics: tuple[Identifier, ...] = ()
    """Metrics that the custom pipeline measures in addition to those of every model."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    @property
    def has_coefficients(self) -> bool:
        """Whether the trained model is linear."""
        return self.use is None and self.model.has_coefficients

    def at(self, columns: list[str]) -> Pipeline:
        """Return the pipeline without the optional features that a table with these columns lacks."""
        available = {name.lower() for name in (*columns, *self.derive)}
        missing = {name.lower() for name in self.optional} - available
        return self.model_copy(
            update={
                "features": tuple(name for name in self.features if name.lower() not in missing),
                "categorical": tuple(name for name in self.categorical if name.lower() not in missing),
            }
        )


def split_use(use: str) -> tuple[str, str]:
    """Split ``MODULE:NAME`` into module and name."""
    module, _, name = use.partition(":")
    return module, name
