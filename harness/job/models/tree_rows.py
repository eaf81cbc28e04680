"""Training rows as Spark's tree classifiers need them."""

from __future__ import annotations

from pyspark.sql import DataFrame, functions as F

from harness.pipelines import FEATURES, LABEL

_BINARY_LABEL = {"ml_attr": {"type": "nominal", "name": LABEL, "vals": ["0", "1"]}}
_NO_ATTRIBUTES: dict[str, object] = {"ml_attr": {}}


def prepare_tree_rows(rows: DataFrame) -> DataFrame:
    """Return the rows with the metadata that tree classifiers read changed in two ways.

    The label always has two classes: a fold may hold rows of one class only. The features have no attributes:
    Spark would take an indicator for a category and split by equality, so that no sample of LIME, which
    draws values between 0 and 1, would move to the other side.
    """
    return rows.withColumns(
        {
            LABEL: F.col(LABEL).alias(LABEL, metadata=_BINARY_LABEL),
            FEATURES: F.col(FEATURES).alias(FEATURES, metadata=_NO_ATTRIBUTES),
        }
    )
