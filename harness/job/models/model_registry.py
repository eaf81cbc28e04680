"""The pipeline of each built-in model kind."""

from __future__ import annotations

from typing import assert_never

from harness.job.models.built_in import BuiltInPipeline
from harness.job.models.gradient_boosted_trees import GradientBoostedTreesPipeline
from harness.job.models.logistic_regression import LogisticRegressionPipeline
from harness.job.models.random_forest import RandomForestPipeline
from harness.scenario.model_kinds import GradientBoostedTrees, LogisticRegression, ModelKind, RandomForest


def make_built_in_pipeline(options: ModelKind) -> BuiltInPipeline:
    """Return the pipeline that fits and explains models with these options."""
    match options:
        case LogisticRegression():
            return LogisticRegressionPipeline(options)
        case RandomForest():
            return RandomForestPipeline(options)
        case GradientBoostedTrees():
            return GradientBoostedTreesPipeline(options)
        case _:
            assert_never(options)
