"""What a scenario file says, as validated data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
"""A name that is safe in a path, a metric and a column alike."""
Columns = Annotated[tuple[str, ...], Field(min_length=1)]
Value = str | int | float | bool
Share = Annotated[float, Field(gt=0, lt=1)]


class Model(BaseModel):
    """Frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Model):
    """Where the rows come from: a file or folder, read by Spark."""

    path: str
    """Absolute, or relative to the scenario file."""
    format: Literal["csv", "json", "parquet", "delta"] | None = None
    """By the file's ending where it is not said."""
    options: dict[str, str] = {}
    """Handed to Spark's reader, such as ``sep`` of a CSV file."""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value


class Table(Model):
    """The Delta table that the scenario builds."""

    name: Identifier
    source: Source
    key: Columns
    """Columns that together name a row: never null, never twice in a version."""

    @model_validator(mode="before")
    @classmethod
    def _one_key_column(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("key"), str):
            return {**value, "key": [value["key"]]}
        return value


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
    derive: dict[Identifier, str] = {}
    """New columns as SQL expressions over the table's columns."""
    features: tuple[str, ...] = ()
    """Numeric columns."""
    categorical: tuple[str, ...] = ()
    """Columns whose values become one indicator each; a value not seen in training has none set."""
    impute: Literal["mean", "median"] = "mean"
    """What stands in for a missing number, taken from the training rows."""
    split: Split = Split()
    model: LogisticRegression = LogisticRegression()
    explainer: Lime = Lime()


class Change(Model):
    """A bound on the difference to an earlier version."""

    since: str
    min: float | None = None
    max: float | None = None


class Bound(Model):
    """What must hold of one number; all that is said must hold."""

    min: float | None = None
    max: float | None = None
    equals: float | None = None
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Absolute, for ``equals``; exact where it is not said."""
    change: Change | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"equals": value}
        return value


class Expect(Model):
    """What must hold of one version."""

    rows: Bound | None = None
    metrics: dict[str, Bound] = {}


class Append(Model):
    """Appends rows of the source to the table: one Delta commit."""

    where: str | None = None
    """A SQL condition on the source's columns; all rows where it is not said."""


class Version(Model):
    """One version of the table: how it comes about, and what must hold of it."""

    name: Identifier
    append: Append
    expect: Expect = Expect()

    @model_validator(mode="before")
    @classmethod
    def _append_all(cls, value: object) -> object:
        if isinstance(value, dict) and "append" in value and value["append"] is None:
            return {**value, "append": {}}
        return value


class Publish(Model):
    """Whether and where the bundles are copied to."""

    to: Identifier = "models"
    """A model store by its name in the settings."""
    when: Literal["pass", "always", "never"] = "pass"
    """``pass``: when every bound of the whole scenario holds."""


class Scenario(Model):
    """Which versions a Delta table goes through, and what must hold after each."""

    name: Identifier
    description: str = ""
    seed: int = 0
    table: Table
    pipeline: Pipeline
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    publish: Publish = Publish()
