"""The model kind ``random_forest``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.ml.classification import RandomForestClassifier
from pyspark.sql import DataFrame

from harness.job.models.built_in import BuiltInPipeline
from harness.job.models.cross_validation import Parameters, TrainingOutcome
from harness.job.models.tree_rows import prepare_tree_rows
from harness.pipelines import FEATURES, LABEL
from harness.scenario.model_kinds import RandomForest


@dataclass(frozen=True)
class RandomForestPipeline(BuiltInPipeline):
    """Spark MLlib's random forest."""

    options: RandomForest

    def make_estimator(self, parameters: Parameters, seed: int) -> RandomForestClassifier:
        """Make the classifier, which draws rows and features by the scenario's seed."""
        return RandomForestClassifier(
            featuresCol=FEATURES,
            labelCol=LABEL,
            numTrees=int(parameters["num_trees"]),
            maxDepth=int(parameters["max_depth"]),
            minInstancesPerNode=int(parameters["min_instances_per_node"]),
            maxBins=self.options.max_bins,
            featureSubsetStrategy=self.options.feature_subset_strategy,
            subsamplingRate=self.options.subsampling_rate,
            seed=seed,
        )

    def train(self, rows: DataFrame, seed: int, report_progress: Callable[[str], None]) -> TrainingOutcome:
        """Choose the best grid point, on rows prepared for trees."""
        return super().train(prepare_tree_rows(rows), seed, report_progress)
