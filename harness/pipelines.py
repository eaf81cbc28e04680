"""The public protocol for custom pipelines, and the parts of the built-in ones that they can reuse.

A pipeline leads from the rows of a version to a model and its explanation. The harness runs built-in and
custom pipelines through the same four steps; the label, the filter, the split by key, the metrics on held-out
rows, tracking and publishing are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame
from synapse.ml.explainers import VectorLIME

from harness.metrics import R2_OF_CUSTOM
from harness.results import GridPoint, MeasuredValue

__all__ = [
    "FEATURES",
    "FOLD",
    "KEY",
    "LABEL",
    "SCORE",
    "Context",
    "Explainer",
    "FittedModel",
    "GridPoint",
    "MeasuredValue",
    "ModelPipeline",
    "PreparedFeatures",
    "impute_and_encode",
    "make_lime_explainer",
]

FEATURES = "features"
"""Column of the feature vector."""
LABEL = "label"
"""Column of the label: 1.0 for positive, 0.0 for negative."""
KEY = "harness_key"
"""Column of the row's key, as one string."""
FOLD = "harness_fold"
"""Column of the fold, counted from 0. It depends on the key and the seed only."""
SCORE = "score"
"""Column of the probability of the positive class."""

_KERNEL_WIDTH = 0.75
_WEIGHTS = "weights"
_R2 = "r2"


def _ignore(_detail: str) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class Context:
    """The scenario's specifications for a pipeline, apart from the rows."""

    numbers: Mapping[str, str]
    """Numeric feature to the column that holds it as a double; missing numbers are null."""
    categories: Mapping[str, str]
    """Categorical feature to the column that holds it as text, with an equals sign in front of each value."""
    impute: Literal["mean", "median"]
    """The statistic that replaces missing numbers."""
    seed: int
    folds: int
    """Number of folds in the fold column."""
    samples: int
    """Perturbed samples per explained row."""
    report_progress: Callable[[str], None] = _ignore
    """Shows a short text, such as ``3 of 20 trees``, as the progress of the step."""


@dataclass(frozen=True)
class PreparedFeatures:
    """Fitted stages that turn the feature columns into the feature vector."""

    stages: Sequence[Any]
    """Fitted Spark transformers, in order; the last one writes ``features``."""
    names: Sequence[str]
    """Name of each slot of the vector, in order: a feature, or ``FEATURE=...`` if it has several slots."""
    drops_rows: bool = False
    """Whether the stages may drop rows, such as those with missing values; ``dropped_rows`` counts them."""


@dataclass(frozen=True)
class FittedModel:
    """A fitted model, and the measurements from its selection."""

    model: Any
    """A Spark model that reads ``features`` and writes ``probability``."""
    metrics: Mapping[str, MeasuredValue] = field(default_factory=dict)
    grid: tuple[GridPoint, ...] = ()
    """Every combination of parameters that was tried."""
    intercept: float | None = None
    coefficients: tuple[float, ...] = ()
    """In log odds, one per slot of the vector; empty if the model is not linear."""


@dataclass(frozen=True)
class Explainer:
    """A Spark transformer that explains rows, and how to read its output."""

    model: Any
    """A Spark transformer that reads ``features``."""
    weights: str
    """Output column: a list of vectors, one per explained class, of which the first one is used."""
    r2: str | None = None
    """Output column with the fit of each local explanation, as a vector, if the transformer has one."""
    r2_metric: str = R2_OF_CUSTOM
    """The metric that holds the mean of ``r2``. The harness sets it for custom pipelines."""
    unit: Literal["slope", "contribution"] = "slope"
    """``slope``: change in probability per unit of the feature. ``contribution``: the feature's part of the
    row's probability, as in SHAP values."""
    first: int = 0
    """Index of the first feature's weight in the vector; earlier entries are skipped."""
    samples: int | None = None
    """Samples that each local explanation is fitted on: ``r2`` is adjusted for the number of features,
    because a fit to as many samples as features is perfect. ``None``: ``r2`` stays as it is."""


class ModelPipeline(Protocol):
    """The four steps of a pipeline.

    Versions are trained side by side: a step must not keep anything for a later call.
    """

    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        """Fit the stages that turn the feature columns into a feature vector.

        Args:
            rows: The training rows, with the columns that the context names.
            context: Which column holds which feature.
        """

    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        """Fit the model.

        Args:
            rows: The training rows: ``features``, ``label``, the key and the fold.
            context: The scenario's seed and folds.
        """

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, MeasuredValue]:
        """Compute additional metrics; ``None`` stands for one that can't be measured.

        Args:
            scored: The held-out rows: the key, ``label``, and ``score``, the probability of the positive
                class.
            context: The scenario's seed.
        """

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        """Make the explainer of the fitted model.

        Args:
            model: The fitted model.
            background: ``features`` of a sample of the training rows.
            context: How many samples to draw for each row.
        """


def impute_and_encode(rows: DataFrame, context: Context) -> PreparedFeatures:
    """Fit an imputer, an encoder and an assembler on the training rows.

    Missing numbers are imputed. Each value of a categorical feature becomes an indicator; null, and values
    that are not in the training rows, have no indicator.

    Args:
        rows: The training rows, with the columns that the context names.
        context: Which column holds which feature, and how missing numbers are replaced.
    """
    stages: list[Any] = []
    names = list(context.numbers)
    columns = list(context.numbers.values())
    if columns:
        # An approximate median depends on the partitions.
        imputer = Imputer(strategy=context.impute, inputCols=columns, outputCols=columns, relativeError=0.0)
        stages.append(imputer.fit(rows))
    if context.categories:
        indexer, encoder = _fit_categories(rows, list(context.categories.values()))
        stages += [indexer, encoder]
        columns = columns + encoder.getOutputCols()
        for name, labels in zip(context.categories, indexer.labelsArray, strict=True):
            names += [f"{name}{label}" for label in labels]
    stages.append(VectorAssembler(inputCols=columns, outputCol=FEATURES))
    return PreparedFeatures(stages, names)


def make_lime_explainer(model: Any, background: DataFrame, samples: int) -> Explainer:
    """Make SynapseML's VectorLIME of the probability of the positive class.

    The explainer stores the model and the background rows; samples have the spread of their features.

    Args:
        model: A Spark model that reads ``features`` and writes ``probability``.
        background: ``features`` of a sample of the training rows.
        samples: Perturbed samples per explained row.
    """
    lime = VectorLIME(
        model=model,
        inputCol=FEATURES,
        outputCol=_WEIGHTS,
        targetCol="probability",
        targetClasses=[1],
        numSamples=samples,
        metricsCol=_R2,
        kernelWidth=_KERNEL_WIDTH,
        backgroundData=background,
    )
    return Explainer(lime, weights=_WEIGHTS, r2=_R2, r2_metric="lime_r2_mean", samples=samples)


def _fit_categories(rows: DataFrame, inputs: list[str]) -> tuple[Any, Any]:
    """Fit an indexer and an encoder; values are ordered alphabetically.

    Spark's default order, by frequency, changes with the data.
    """
    indexed = [f"{name}_index" for name in inputs]
    indexer = StringIndexer(
        inputCols=inputs, outputCols=indexed, stringOrderType="alphabetAsc", handleInvalid="keep"
    ).fit(rows)
    encoder = OneHotEncoder(inputCols=indexed, outputCols=[f"{name}_encoded" for name in inputs])
    return indexer, encoder.fit(indexer.transform(rows))
