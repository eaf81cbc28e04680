"""How a model does on the rows that it has not seen: on all of them, and on those that a version added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, functions as F

from harness.job.curves import Curves, draw_curves
from harness.job.evaluate import Scores, score_groups
from harness.job.pipeline import KEY, LABEL, SCORE
from harness.metrics import ADDED
from harness.results import Measured

_GROUP = "group"
_ALL, _NEW = "all", "added"


@dataclass(frozen=True)
class HeldOut:
    """What was measured on the held-out rows of a version."""

    metrics: dict[str, Measured]
    """``test_*``, ``added_test_*`` where there is a version before it, and what the pipeline measures."""
    curves: Curves


def evaluate(
    model: Any,
    test: DataFrame,
    before: DataFrame | None,
    more: Callable[[DataFrame], Mapping[str, Measured]] = lambda _scored: {},
) -> HeldOut:
    """Score the held-out rows, and measure the scores.

    Args:
        model: The classifier.
        test: The held-out rows: ``features``, ``label`` and the key.
        before: The keys of the version before this one, which tell the rows that were added; ``None``
            where there is none, or it has no keys.
        more: What else is measured of the scored rows.
    """
    # Scored once, for all that is measured below.
    rows = scored(model, test).persist()
    groups = rows.withColumn(_GROUP, F.lit(_ALL))
    if before is not None:
        added = rows.join(before, KEY, "left_anti").withColumn(_GROUP, F.lit(_NEW))
        groups = groups.unionByName(added)
    scores = score_groups(groups, [_GROUP])
    metrics = _metrics(scores.get((_ALL,)), "")
    if before is not None:
        metrics |= _metrics(scores.get((_NEW,)), ADDED)
    metrics |= more(rows)
    curves = draw_curves(rows, scores.get((_ALL,)))
    rows.unpersist()
    return HeldOut(metrics, curves)


def scored(model: Any, rows: DataFrame) -> DataFrame:
    """Key and label of the rows with ``score``, the probability of the positive class."""
    predicted: DataFrame = model.transform(rows)
    return predicted.select(KEY, LABEL, vector_to_array(F.col("probability"))[1].alias(SCORE))


def _metrics(scores: Scores | None, prefix: str) -> dict[str, Measured]:
    """What could not be measured is there as ``None``; of no rows, there are 0."""
    return {
        f"{prefix}test_roc_auc": scores.roc_auc if scores else None,
        f"{prefix}test_roc_auc_se": scores.roc_auc_se if scores else None,
        f"{prefix}test_pr_auc": scores.pr_auc if scores else None,
        f"{prefix}test_log_loss": scores.log_loss if scores else None,
        f"{prefix}test_accuracy": scores.accuracy if scores else None,
        f"{prefix}test_f1": scores.f1 if scores else None,
        f"{prefix}test_rows": float(scores.rows) if scores else 0.0,
        f"{prefix}test_positives": float(scores.positives) if scores else 0.0,
    }
