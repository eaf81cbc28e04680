"""What a scenario file says of the way from a table to a model and its explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from harness.scenario.model_base import Identifier, Model, Share, Value

Option = Value | tuple[Value, ...]
"""What an argument of a pipeline in Python may be."""

METHODS: Mapping[str, int] = {"prepare": 2, "fit": 2, "evaluate": 2, "explain": 3}
"""Method to how many arguments it is called with."""


class Label(Model):
    """What is to be predicted: rows with any other value of the column are dropped and counted."""

    column: str
    positive: Annotated[tuple[Value, ...], Field(min_length=1)]
    negative: Annotated[tuple[Value, ...], Field(min_length=1)]


class Split(Model):
    """Which rows are held out: by a hash of the key and the seed, so that no row ever changes sides."""

    by: Literal["key"] = "key"
    test: Share = 0.4


class Grid(Model):
    """The values that cross-validation chooses from; every combination is tried."""

    reg_param: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.0,)
    elastic_net_param: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)] = (
        0.0,
    )


class LogisticRegression(Model):
    """Spark MLlib's logistic regression, cross-validated over a grid."""

    kind: Literal["logistic_regression"] = "logistic_regression"
    max_iter: Annotated[int, Field(ge=1)] = 100
    grid: Grid = Grid()
    folds: Annotated[int, Field(ge=2)] = 5
    partitions: Annotated[int, Field(ge=1)] | None = None
    """Partitions of the training rows; one per 500,000 rows where it is not said."""


class Lime(Model):
    """SynapseML's VectorLIME on the trained classifier."""

    kind: Literal["lime"] = "lime"
    samples: Annotated[int, Field(ge=10)] = 1000
    """Perturbed samples per explained row."""
    rows: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Held-out rows that are explained, the same ones at every version."""
    background: Annotated[int, Field(ge=2)] = 1000
    """Training rows whose spread the samples are drawn with; they are stored with the explainer."""


class Pipeline(Model):
    """From a version of the table to a model and its explanation."""

    label: Label
    filter: str | None = None
    """A SQL condition; rows that do not meet it are left out and counted."""
    derive: dict[Identifier, str] = Field(default_factory=dict)
    """New columns as SQL expressions over the table's columns."""
    features: tuple[str, ...] = ()
    """Numeric columns."""
    categorical: tuple[str, ...] = ()
    """Columns whose values become one indicator each; a value not seen in training has none set."""
    optional: tuple[str, ...] = ()
    """Features that a version may lack; there the model does without them."""
    impute: Literal["mean", "median"] = "mean"
    """What stands in for a missing number, taken from the training rows."""
    split: Split = Split()
    model: LogisticRegression = LogisticRegression()
    explainer: Lime = Lime()
    use: str | None = None
    """``MODULE:NAME``: a pipeline in Python, beside the scenario file, in place of the built-in one."""
    options: Annotated[dict[Identifier, Option], Field(alias="with")] = Field(default_factory=dict)
    """What the pipeline in Python is made with: its arguments by name."""
    metrics: tuple[Identifier, ...] = ()
    """What the pipeline in Python measures beside the metrics of every model."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    def at(self, columns: list[str]) -> Pipeline:
        """The pipeline as it is where the table has these columns: without the optional ones it lacks."""
        known = {name.lower() for name in (*columns, *self.derive)}
        gone = {name.lower() for name in self.optional} - known
        return self.model_copy(
            update={
                "features": tuple(name for name in self.features if name.lower() not in gone),
                "categorical": tuple(name for name in self.categorical if name.lower() not in gone),
            }
        )


def parts_of(use: str) -> tuple[str, str]:
    """Module and name.

    Args:
        use: As a scenario that obeys the rules says it.
    """
    module, _, name = use.partition(":")
    return module, name
