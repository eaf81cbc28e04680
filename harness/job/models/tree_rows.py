"""Training rows as Spark's tree classifiers need them."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F

from harness.pipelines import FEATURES, LABEL

_BINARY_LABEL = {"ml_attr": {"type": "nominal", "name": LABEL, "vals": ["0", "1"]}}
_NO_ATTRIBUTES: dict[str, object] = {"ml_attr": {}}


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
