"""The expectations of a version, as a scenario file writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from harness.scenario.model_base import JsonSchema, Number, ScenarioPart

PREVIOUS = "previous"
FIRST = "first"
ALL_ROWS, ADDED_ROWS = "all", "added"
"""Rows that a metric is bounded on, besides the scenario's segments."""
Aspect = Literal["seed", "rows", "pipeline"]
"""What may differ in another run, if a bound allows it."""


class Change(ScenarioPart):
    """A bound on the difference to an earlier version."""

    since: str = PREVIOUS
    """The earlier version's name, or ``previous`` or ``first``, which skip versions without a model."""
    relative: bool = False
    """Whether the difference is a share of the earlier value."""
    min: Number | None = None
    max: Number | None = None


class Baseline(ScenarioPart):
    """A bound on the difference to the same version of another run."""

    source: Annotated[str, Field(alias="from")]
    """The id of a stored run, or a ``result.json``, relative to the scenario file."""
    version: str | None = None
    """The other run's version (default: the one of the same name)."""
    relative: bool = False
    """Whether the difference is a share of the other run's value."""
    may_differ: tuple[Aspect, ...] = ()
    """What may differ in the other run: ``seed``, held-out ``rows`` or ``pipeline`` (default: nothing)."""
    min: Number | None = None
    max: Number | None = None

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class AgainstChampion(ScenarioPart):
    """A bound on the difference to the champion's metric on the same rows."""

    min: Number | None = None
    max: Number | None = None


class Bound(ScenarioPart):
    """A bound on one number; all of its parts must hold."""

    min: Number | None = None
    max: Number | None = None
    equals: Number | None = None
    tolerance: Annotated[Number, Field(ge=0)] | None = None
    """How far the number may be from ``equals``, as an absolute difference (default: 0)."""
    change: Change | None = None
    baseline: Baseline | None = None
    champion: AgainstChampion | None = None
    on: str = ALL_ROWS
    """Held-out rows that a metric is measured on: ``all``, only those that were ``added``, or a segment."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"equals": value}
        return value


def _as_tuple(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


Bounds = Annotated[tuple[Bound, ...], Field(min_length=1), BeforeValidator(_as_tuple)]
"""One bound, or a list of them."""


class Schema(ScenarioPart):
    """The columns that a version must have, with their types as Spark writes them."""

    exact: dict[str, str] | None = None
    """Exactly these columns, in this order."""
    at_least: dict[str, str] | None = None
    """At least these columns, in any order."""


class ProtocolBounds(ScenarioPart):
    """The Delta protocol versions that the table requires."""

    reader: Bounds | None = None
    writer: Bounds | None = None


class Overlap(ScenarioPart):
    """A bound on how many of the features with the most weight are still the same."""

    k: Annotated[int, Field(ge=1)]
    since: str = PREVIOUS
    min: Annotated[Number, Field(ge=0, le=1)]
    """The smallest share of the ``k`` features."""


class Agreement(ScenarioPart):
    """A bound on how far the weights of the features agree with those of an earlier version."""

    since: str = PREVIOUS
    min: Annotated[Number, Field(ge=-1, le=1)]


class Drift(ScenarioPart):
    """A bound on the drift of a feature since an earlier version."""

    since: str = PREVIOUS
    max: Annotated[float, Field(ge=0)]
    """The largest population stability index."""

    @classmethod
    def short_forms(cls, mapping: JsonSchema) -> tuple[JsonSchema, ...]:
        """Return the schema of the limit alone, for the drift since the previous version."""
        del mapping
        return ({"type": "number", "minimum": 0},)

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: object) -> object:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"max": value} if is_number else value


class Explanations(ScenarioPart):
    """Bounds on the mean weights of the features, each per standard deviation of the feature."""

    top_k: Overlap | None = None
    sign_agreement: Agreement | None = None
    """The share of features whose weight has the same sign."""
    rank_correlation: Agreement | None = None
    """Spearman's rank correlation of the absolute weights."""
    weight: dict[str, Bounds] = Field(default_factory=dict)
    """Feature to its mean weight: change in probability per standard deviation."""
    share: dict[str, Bounds] = Field(default_factory=dict)
    """Feature to its share of all features' mean absolute weights, from 0 to 1."""

    def with_defaults(self, defaults: Explanations) -> Explanations:
        """Return these expectations, completed by the defaults: feature by feature."""
        own = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        for name in ("weight", "share"):
            own[name] = {**getattr(defaults, name), **getattr(self, name)}
        return defaults.model_copy(update=own)


class Standard(ScenarioPart):
    """The standard gate: checks of every new version against the versions before."""

    form_hint: ClassVar[str] = "must be true, false, or a mapping with except or limits"

    is_on: bool = True
    without: Annotated[tuple[str, ...], Field(alias="except")] = ()
    """Checks that are left out."""
    limits: dict[str, Annotated[Number, Field(gt=0)]] = Field(default_factory=dict)
    """Check to its limit, instead of the default."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    @classmethod
    def short_forms(cls, mapping: JsonSchema) -> tuple[JsonSchema, ...]:
        """Return the schema of the flag, which is not a key of the mapping."""
        del mapping["properties"]["is_on"]
        return ({"type": "boolean"},)

    @model_validator(mode="before")
    @classmethod
    def _from_flag(cls, value: object) -> object:
        return {"is_on": value} if isinstance(value, bool) else value


class Expect(ScenarioPart):
    """The expectations of one version."""

    standard: Standard | None = None
    """``true``, or ``{except: [...]}``: the checks of the standard gate."""

    rows: Bounds | None = None
    columns: Annotated[Schema | None, Field(alias="schema")] = None
    nulls: dict[str, Bounds] = Field(default_factory=dict)
    """Column to the share of rows in which it is null, from 0 to 1."""
    drift: dict[str, Drift] = Field(default_factory=dict)
    """Feature to the largest population stability index since an earlier version."""
    positives: Bounds | None = None
    """Share of positive labels among the labelled rows that the version added, from 0 to 1."""
    new_values: dict[str, Bounds] = Field(default_factory=dict)
    """Categorical feature to the share of added rows with a value that no earlier row has."""
    repeated_rows: Bounds | None = None
    """Share of added rows with the same features and label as another row."""
    null_keys: Bounds | None = None
    """How many rows have a null in their key."""
    duplicate_keys: Bounds | None = None
    """How many rows have the key of an earlier row."""
    operation: str | None = None
    """The Delta operation of the commit, such as ``WRITE`` or ``MERGE``."""
    protocol: ProtocolBounds | None = None
    same_data_as: str | None = None
    """The name of an earlier version with the same schema and the same rows."""
    metrics: dict[str, Bounds] = Field(default_factory=dict)
    coefficients: dict[str, Bounds] = Field(default_factory=dict)
    """Feature to its coefficient, in log odds per unit of the feature."""
    explanations: Explanations | None = None

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    def with_defaults(self, defaults: Expect) -> Expect:
        """Return these expectations, completed by the defaults: by metric, column and feature."""
        own = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        for name in ("nulls", "drift", "new_values", "metrics", "coefficients"):
            own[name] = {**getattr(defaults, name), **getattr(self, name)}
        if self.explanations and defaults.explanations:
            own["explanations"] = self.explanations.with_defaults(defaults.explanations)
        return defaults.model_copy(update=own)

    def value_at(self, keys: Iterable[str]) -> object:
        """Return the value that the file sets at a path below these expectations; None if it sets none.

        Args:
            keys: The path as the file writes it, such as ``("explanations", "top_k")``.
        """
        value: object = self
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else _field_of(value, key)
        return value


def _field_of(model: object, key: str) -> object:
    fields = type(model).model_fields if isinstance(model, ScenarioPart) else {}
    names = [name for name, field in fields.items() if (field.alias or name) == key]
    return getattr(model, names[0]) if names else None
