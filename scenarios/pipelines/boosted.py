"""Gradient-boosted trees, explained by SHAP: the worked example of docs/custom_pipelines.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.ml.classification import GBTClassificationModel, GBTClassifier
from pyspark.sql import DataFrame, functions as F
from synapse.ml.explainers import VectorSHAP

from harness.pipelines import (
    FEATURES,
    LABEL,
    SCORE,
    Context,
    Explainer,
    FittedModel,
    PreparedFeatures,
    impute_and_encode,
)


@dataclass(frozen=True)
class BoostedTrees:
    """Spark MLlib's gradient-boosted trees; the scenario sets the arguments under 'with'."""

    trees: int = 20
    depth: int = 3
    step_size: float = 0.1

    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        """Impute numbers and encode categories, as the built-in pipeline does."""
        return impute_and_encode(rows, context)

    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        """Fit one model, without a grid: the scenario's matrix can try several values."""
        boosting = GBTClassifier(
            featuresCol=FEATURES,
            labelCol=LABEL,
            maxIter=self.trees,
            maxDepth=self.depth,
            stepSize=self.step_size,
            seed=context.seed,
        )
        return FittedModel(boosting.fit(rows))

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, float | None]:
        """Return the Brier score: the mean squared difference between probability and label."""
        del context
        [row] = scored.agg(F.avg((F.col(SCORE) - F.col(LABEL)) ** 2).alias("brier")).collect()
        return {"test_brier": row["brier"]}

    def explain(self, model: GBTClassificationModel, background: DataFrame, context: Context) -> Explainer:
        """Explain the probability of the positive class with Kernel SHAP.

        Raises:
            ValueError: There are more coalitions of slots than samples. Kernel SHAP would then draw some of
                them at random and give different values each time.
        """
        [row] = background.limit(1).collect()
        slots = row[FEATURES].size
        if context.samples < 2**slots:
            raise ValueError(
                f"{slots} slots need {2**slots} samples, and 'explainer.samples' is {context.samples}"
            )
        shap: Any = VectorSHAP(
            model=model,
            inputCol=FEATURES,
            outputCol="shap",
            targetCol="probability",
            targetClasses=[1],
            numSamples=context.samples,
            metricsCol="r2",
            backgroundData=background,
        )
        # The mean prediction on the background comes before the features' contributions.
        return Explainer(shap, weights="shap", r2="r2", unit="contribution", first=1)
