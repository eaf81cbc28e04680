"""What a pipeline offers: from the rows of a version to a model and its explanation.

The built-in pipeline and those that scenarios bring along are run by the same steps. What is the same for
all of them stays with the job: the label, the filter, the split by key, the measuring on held-out rows, the
tracking, and the copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pyspark.sql import DataFrame

from harness.metrics import R2_OF_OWN
from harness.results import GridPoint, Measured

FEATURES = "features"
"""Column of the feature vector."""
LABEL = "label"
"""Column of the label: 1.0 for positive, 0.0 for negative."""
KEY = "harness_key"
"""Column of the row's key, as one string."""
FOLD = "harness_fold"
"""Column of the fold, from 0, which depends on the key and the seed alone."""
SCORE = "score"
"""Column of the probability of the positive class."""


def _tell_nobody(_detail: str) -> None:
    pass


@dataclass(frozen=True)
class Context:
    """What the scenario says to a pipeline beside the rows."""

    numbers: Mapping[str, str]
    """Numeric feature to the column that holds it as a double; null where it is missing."""
    categories: Mapping[str, str]
    """Categorical feature to the column that holds it as text, each value behind an equals sign."""
    impute: Literal["mean", "median"]
    """What stands in for a missing number."""
    seed: int
    folds: int
    """How many there are in the column of folds."""
    samples: int
    """Perturbed samples per explained row."""
    tell: Callable[[str], None] = _tell_nobody
    """Takes a word on how far the step is."""


@dataclass(frozen=True)
class Prepared:
    """Fitted stages that lead from the columns of the features to the feature vector."""

    stages: Sequence[Any]
    """Fitted Spark transformers, in order; the last one writes ``features``."""
    names: Sequence[str]
    """Of the vector's slots, in order: a feature's, or ``FEATURE=...`` where it has several."""


@dataclass(frozen=True)
class Fitted:
    """A model that was chosen and fitted."""

    model: Any
    """A Spark model that reads ``features`` and writes ``probability``."""
    metrics: Mapping[str, Measured] = field(default_factory=dict)
    """What was measured on the way."""
    grid: tuple[GridPoint, ...] = ()
    intercept: float | None = None
    coefficients: tuple[float, ...] = ()
    """In log odds, one per slot of the vector; none where the model is not linear."""


@dataclass(frozen=True)
class Explainer:
    """A model that explains rows, and how its answer is read."""

    model: Any
    """A Spark transformer that reads ``features``."""
    weights: str
    """Column that it writes: vectors, one per explained class; the first one counts."""
    r2: str | None = None
    """Column with the vector of how well each local explanation fits; none where there is no such thing."""
    r2_metric: str = R2_OF_OWN
    """The metric that the mean of it is called; a pipeline in Python has no say in it."""
    unit: Literal["slope", "contribution"] = "slope"
    """``slope``: change in probability per unit of the feature. ``contribution``: the part of the row's
    probability that the feature brings, as SHAP values are."""
    first: int = 0
    """Place of the first feature's weight in the vector; others may stand before it."""


class ModelPipeline(Protocol):
    """The four steps. Versions are trained side by side: nothing may be kept from one call to another."""

    def prepare(self, rows: DataFrame, context: Context) -> Prepared:
        """Fit what leads from columns to a feature vector.

        Args:
            rows: The training rows: the columns that the context names.
            context: Which column holds which feature.
        """

    def fit(self, rows: DataFrame, context: Context) -> Fitted:
        """Fit the model.

        Args:
            rows: The training rows: ``features``, ``label``, the key and the fold.
            context: The scenario's seed and folds.
        """

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, Measured]:
        """Measure what is not measured of every model; ``None`` where it can't be.

        Args:
            scored: The held-out rows: the key, ``label``, and ``score``, the probability of the positive
                class.
            context: The scenario's seed.
        """

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        """Make what explains the model.

        Args:
            model: The fitted one.
            background: ``features`` of a sample of the training rows.
            context: How many samples to draw for each row.
        """
