"""The model kind ``logistic_regression``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.ml.classification import LogisticRegression as Classifier
from pyspark.sql import DataFrame

from harness.job.models.built_in import BuiltInPipeline
from harness.job.models.cross_validation import Parameters
from harness.pipelines import FEATURES, LABEL, Context, FittedModel
from harness.scenario.model_kinds import LogisticRegression


@dataclass(frozen=True)
class LogisticRegressionPipeline(BuiltInPipeline):
    """Spark MLlib's logistic regression, with its coefficients."""

    options: LogisticRegression

    def make_estimator(self, parameters: Parameters, seed: int) -> Classifier:
        """Make the classifier; it draws nothing at random."""
        del seed
        return Classifier(
            featuresCol=FEATURES,
            labelCol=LABEL,
            maxIter=self.options.max_iter,
            regParam=parameters["reg_param"],
            elasticNetParam=parameters["elastic_net_param"],
        )

    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        """Fit the best grid point, and read the coefficients of the model."""
        fitted = super().fit(rows, context)
        return replace(
            fitted,
            intercept=float(fitted.model.intercept),
            coefficients=tuple(float(value) for value in fitted.model.coefficients.toArray()),
        )
