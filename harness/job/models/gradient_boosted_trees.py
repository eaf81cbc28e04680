"""The model kind ``gradient_boosted_trees``."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml.classification import GBTClassifier

from harness.job.models.cross_validation import Parameters
from harness.job.models.trees import TreePipeline
from harness.pipelines import FEATURES, LABEL
from harness.scenario.model_kinds import GradientBoostedTrees


@dataclass(frozen=True)
class GradientBoostedTreesPipeline(TreePipeline):
    """Spark MLlib's gradient-boosted trees."""

    options: GradientBoostedTrees

    def make_estimator(self, parameters: Parameters, seed: int) -> GBTClassifier:
        """Make the classifier, which draws rows by the scenario's seed."""
        return GBTClassifier(
            featuresCol=FEATURES,
            labelCol=LABEL,
            maxIter=int(parameters["max_iter"]),
            maxDepth=int(parameters["max_depth"]),
            stepSize=parameters["step_size"],
            minInstancesPerNode=self.options.min_instances_per_node,
            maxBins=self.options.max_bins,
            subsamplingRate=self.options.subsampling_rate,
            seed=seed,
        )
