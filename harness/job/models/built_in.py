"""The base class of all built-in pipelines; each model kind adds its Spark classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from harness.job.models.cross_validation import CrossValidation, Parameters, TrainingOutcome
from harness.pipelines import (
    Context,
    Explainer,
    FittedModel,
    MeasuredValue,
    PreparedFeatures,
    impute_and_encode,
    make_lime_explainer,
)
from harness.scenario.model_kinds import BuiltInModel

_SEEDS = 1 << 63
"""Seeds are reduced to this range, because Spark's are signed 64-bit integers."""


@dataclass(frozen=True)
class BuiltInPipeline(ABC):
    """A Spark classifier with the best parameters of a grid, and a LIME explainer."""

    options: BuiltInModel

    @abstractmethod
    def make_estimator(self, parameters: Parameters, seed: int) -> Any:
        """Make the Spark classifier.

        Args:
            parameters: One combination of the grid.
            seed: The scenario's, for classifiers that draw at random.
        """

    def train(self, rows: DataFrame, seed: int, report_progress: Callable[[str], None]) -> TrainingOutcome:
        """Choose the grid point with the best cross-validated ROC AUC, and fit it on all rows."""
        validation = CrossValidation(
            points=self.options.grid.points,
            folds=self.options.folds,
            make_estimator=lambda parameters: self.make_estimator(parameters, seed % _SEEDS),
        )
        return validation.train(rows, report_progress)

    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        """Impute missing numbers, and turn each value of a category into an indicator."""
        return impute_and_encode(rows, context)

    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        """Fit the grid point with the best cross-validated ROC AUC on all rows."""
        trained = self.train(rows, context.seed, context.report_progress)
        return FittedModel(
            model=trained.model,
            metrics={"cv_roc_auc": trained.cv_roc_auc, "cv_roc_auc_se": trained.cv_roc_auc_se},
            grid=trained.grid,
        )

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, MeasuredValue]:
        """Return nothing: the harness measures all that it needs for every model."""
        del scored, context
        return {}

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        """Make a LIME explainer of the probability of the positive class."""
        return make_lime_explainer(model, background, context.samples)
