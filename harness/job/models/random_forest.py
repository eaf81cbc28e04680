"""The model kind ``random_forest``."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml.classification import RandomForestClassifier

from harness.job.models.cross_validation import Parameters
from harness.job.models.trees import TreePipeline
from harness.pipelines import FEATURES, LABEL
from harness.scenario.model_kinds import RandomForest


@dataclass(frozen=True)
class RandomForestPipeline(TreePipeline):
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
