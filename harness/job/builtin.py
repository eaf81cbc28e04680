"""The built-in pipeline: Spark MLlib's logistic regression, and SynapseML's LIME of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame

from harness.job.explain import make_explainer
from harness.job.model_pipeline import FEATURES, Context, Explainer, Fitted, Prepared
from harness.job.train import train
from harness.results import Measured
from harness.scenario.pipeline import LogisticRegression


@dataclass(frozen=True)
class LogisticRegressionWithLime:
    """The best point of a grid, cross-validated, and a LIME explainer of it."""

    model: LogisticRegression

    def prepare(self, rows: DataFrame, context: Context) -> Prepared:
        """Numbers are imputed, and each value of a category becomes an indicator."""
        return impute_and_encode(rows, context)

    def fit(self, rows: DataFrame, context: Context) -> Fitted:
        """The grid point with the best cross-validated ROC AUC, fitted on all rows."""
        trained = train(rows, self.model, context.tell)
        return Fitted(
            model=trained.model,
            metrics={"cv_roc_auc": trained.cv_roc_auc, "cv_roc_auc_se": trained.cv_roc_auc_se},
            grid=trained.grid,
            intercept=float(trained.model.intercept),
            coefficients=tuple(float(value) for value in trained.model.coefficients.toArray()),
        )

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, Measured]:
        """Nothing beyond what is measured of every model."""
        del scored, context
        return {}

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        """VectorLIME of the probability of the positive class."""
        return make_explainer(model, background, context.samples)


def impute_and_encode(rows: DataFrame, context: Context) -> Prepared:
    """Imputer, indexers, encoder and assembler, fitted on the training rows.

    Args:
        rows: The training rows, with the columns that the context names.
        context: Which column holds which feature, and what stands in for a missing number.
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
    return Prepared(stages, names)


def _fit_categories(rows: DataFrame, inputs: list[str]) -> tuple[Any, Any]:
    """One indicator per value seen in training; null and unseen values have a slot that is left out.

    Values are ordered by alphabet: by frequency, Spark's default, the order changes with the data.
    """
    indexed = [f"{name}_index" for name in inputs]
    indexer = StringIndexer(
        inputCols=inputs, outputCols=indexed, stringOrderType="alphabetAsc", handleInvalid="keep"
    ).fit(rows)
    encoder = OneHotEncoder(inputCols=indexed, outputCols=[f"{name}_encoded" for name in inputs])
    return indexer, encoder.fit(indexer.transform(rows))
