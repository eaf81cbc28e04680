"""The base class of pipelines with trees: training rows as Spark's tree classifiers need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame, functions as F

from harness.job.models.built_in import BuiltInPipeline
from harness.job.models.cross_validation import TrainingOutcome
from harness.pipelines import FEATURES, LABEL

_BINARY_LABEL = {"ml_attr": {"type": "nominal", "name": LABEL, "vals": ["0", "1"]}}
_NO_ATTRIBUTES: dict[str, object] = {"ml_attr": {}}


@dataclass(frozen=True)
class TreePipeline(BuiltInPipeline):
    """A tree classifier of Spark MLlib, on rows prepared for trees."""

    def train(self, rows: DataFrame, seed: int, report_progress: Callable[[str], None]) -> TrainingOutcome:
        """Choose the best grid point, on rows prepared for trees."""
        return super().train(prepare_tree_rows(rows), seed, report_progress)


def prepare_tree_rows(rows: DataFrame) -> DataFrame:
    """Return the rows with changed metadata of label and features.

    The label always has two classes, although a fold may have rows of only one. The features have no
    attributes: otherwise Spark would treat an indicator as a category and split it by equality, but LIME's
    samples have values between 0 and 1, which would all be on the same side.
    """
    return rows.withColumns(
        {
            LABEL: F.col(LABEL).alias(LABEL, metadata=_BINARY_LABEL),
            FEATURES: F.col(FEATURES).alias(FEATURES, metadata=_NO_ATTRIBUTES),
        }
    )
