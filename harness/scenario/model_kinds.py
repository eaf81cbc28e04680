"""Options of the built-in model kinds. The job fits each kind in a module of ``harness.job.models``."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from harness.scenario.model_base import ScenarioPart

_LARGEST_FOREST = 1000
_DEEPEST_TREE = 30
"""Spark's own limit."""
_MOST_FOLDS = 100
_MOST_ITERATIONS = 100_000
_MOST_PARTITIONS = 100_000
_MOST_BINS = 100_000
_MOST_POINTS = 1000
"""Each point is trained once per fold, and once more if it is the best."""

TreeDepth = Annotated[int, Field(ge=1, le=_DEEPEST_TREE)]
RowCount = Annotated[int, Field(ge=1, lt=2**31)]
FoldCount = Annotated[int, Field(ge=2, le=_MOST_FOLDS)]
BinCount = Annotated[int, Field(ge=2, le=_MOST_BINS)]
TreeCount = Annotated[int, Field(ge=1, le=_LARGEST_FOREST)]


class ParameterGrid(ScenarioPart):
    """Values of each parameter to choose from. Cross-validation tries every combination."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        size = math.prod(len(getattr(self, name)) for name in type(self).model_fields)
        if size > _MOST_POINTS:
            raise ValueError(f"must have at most {_MOST_POINTS:,} combinations (it has {size:,})")
        return self

    @property
    def points(self) -> tuple[dict[str, float], ...]:
        """Every combination as parameter to value; the last parameter changes fastest."""
        names = list(type(self).model_fields)
        values = itertools.product(*(getattr(self, name) for name in names))
        return tuple(dict(zip(names, each, strict=True)) for each in values)


class ModelOptions(ScenarioPart):
    """Options that every model kind has, and custom pipelines too."""

    folds: FoldCount = 5
    """Folds of the cross-validation."""
    partitions: Annotated[int, Field(ge=1, le=_MOST_PARTITIONS)] | None = None
    """Partitions of the training rows (default: one per 500,000 rows)."""


class BuiltInModel(ModelOptions):
    """Options that every built-in model kind has."""

    kind: str
    grid: ParameterGrid
    has_coefficients: ClassVar[bool] = False
    """Whether the model is linear, so that bounds on ``coefficients`` apply to it."""


class LogisticRegressionGrid(ParameterGrid):
    """Penalties of a logistic regression to choose from. Cross-validation tries every combination."""

    reg_param: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.0,)
    """Strength of the penalty."""
    elastic_net_param: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)] = (
        0.0,
    )
    """Mix of the penalties: 0 is ridge (L2), 1 is lasso (L1)."""


class LogisticRegression(BuiltInModel):
    """Spark MLlib's logistic regression, cross-validated over a grid."""

    kind: Literal["logistic_regression"] = "logistic_regression"
    max_iter: Annotated[int, Field(ge=1, le=_MOST_ITERATIONS)] = 100
    """Maximum number of iterations of the optimizer."""
    grid: LogisticRegressionGrid = LogisticRegressionGrid()
    has_coefficients: ClassVar[bool] = True


class RandomForestGrid(ParameterGrid):
    """Parameters of a random forest to choose from. Cross-validation tries every combination."""

    num_trees: Annotated[tuple[TreeCount, ...], Field(min_length=1)] = (20,)
    """Trees in the forest."""
    max_depth: Annotated[tuple[TreeDepth, ...], Field(min_length=1)] = (5,)
    """Maximum depth of each tree."""
    min_instances_per_node: Annotated[tuple[RowCount, ...], Field(min_length=1)] = (1,)
    """Minimum number of training rows on each side of a split."""


class RandomForest(BuiltInModel):
    """Spark MLlib's random forest, cross-validated over a grid."""

    kind: Literal["random_forest"]
    folds: FoldCount = 3
    """Folds of the cross-validation."""
    max_bins: BinCount = 32
    """Bins that the values of a feature are sorted into; splits are between bins."""
    feature_subset_strategy: Literal["auto", "all", "onethird", "sqrt", "log2"] = "auto"
    """Features that each split chooses from; ``auto`` is the square root of their number."""
    subsampling_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training rows drawn, with replacement, for each tree."""
    grid: RandomForestGrid = RandomForestGrid()


class GradientBoostedTreesGrid(ParameterGrid):
    """Parameters of gradient-boosted trees to choose from. Cross-validation tries every combination."""

    max_iter: Annotated[tuple[TreeCount, ...], Field(min_length=1)] = (20,)
    """Number of trees, each of which corrects the errors of the trees before it."""
    max_depth: Annotated[tuple[TreeDepth, ...], Field(min_length=1)] = (3,)
    """Maximum depth of each tree."""
    step_size: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (0.1,)
    """Share of each tree's correction that is applied: the learning rate."""


class GradientBoostedTrees(BuiltInModel):
    """Spark MLlib's gradient-boosted trees, cross-validated over a grid."""

    kind: Literal["gradient_boosted_trees"]
    folds: FoldCount = 3
    """Folds of the cross-validation."""
    max_bins: BinCount = 32
    """Bins that the values of a feature are sorted into; splits are between bins."""
    min_instances_per_node: RowCount = 1
    """Minimum number of training rows on each side of a split."""
    subsampling_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training rows drawn for each tree."""
    grid: GradientBoostedTreesGrid = GradientBoostedTreesGrid()


def _kind_of(value: object) -> object:
    """Return the model kind of a mapping or a model (default: logistic_regression)."""
    default = LogisticRegression().kind
    return value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", default)


def _require_known_kind(value: object) -> object:
    """Report an unknown kind as a wrong value of the key 'kind', with the kinds that exist."""
    kind = _kind_of(value)
    if kind in KINDS:
        return value
    expected = " or ".join(", ".join(map(repr, KINDS)).rsplit(", ", 1))
    raise ValidationError.from_exception_data(
        "model", [{"type": "literal_error", "loc": ("kind",), "input": kind, "ctx": {"expected": expected}}]
    )


ModelKind = (
    Annotated[LogisticRegression, Tag("logistic_regression")]
    | Annotated[RandomForest, Tag("random_forest")]
    | Annotated[GradientBoostedTrees, Tag("gradient_boosted_trees")]
)
"""The options of any built-in model kind."""
KINDS: tuple[str, ...] = tuple(get_args(each)[1].tag for each in get_args(ModelKind))
"""Names of the built-in model kinds."""
ModelOfKind = Annotated[ModelKind, Discriminator(_kind_of), BeforeValidator(_require_known_kind)]
"""Options that are read by the class of their kind."""
