"""The predictions of the held-out rows of one version, collected with the explanations of some of them."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, functions as F

from harness.job.evaluate import score_rows
from harness.job.prepare import PROBE
from harness.job.row_diff import KNOWN, mark_known
from harness.pipelines import KEY, LABEL, SCORE
from harness.predictions import MAX_ROWS, Prediction, Predictions
from harness.scenario.model import Scenario


def collect_predictions(
    model: Any, test: DataFrame, before: DataFrame | None, explained: dict[str, list[float]]
) -> tuple[Prediction, ...]:
    """Score held-out rows and collect them, sorted by key.

    At most ``MAX_ROWS`` are collected: the explained ones, then those with the lowest hash of the key, which
    are largely the same rows at every version.

    Args:
        model: The classifier.
        test: The held-out rows.
        before: Keys of the version before this one; ``None`` if there is none, or it has no keys.
        explained: Key of an explained row to its weights.
    """
    sample = test.orderBy(~F.col(KEY).isin(list(explained)), PROBE, KEY).limit(MAX_ROWS)
    scored = score_rows(model, sample)
    rows = (
        Prediction(
            key=row[KEY],
            label=float(row[LABEL]),
            score=float(row[SCORE]),
            split="test" if row[KNOWN] else "added",
            weights=tuple(explained[row[KEY]]) if row[KEY] in explained else None,
        )
        for row in mark_known(scored, before).select(KEY, LABEL, SCORE, KNOWN).collect()
    )
    return tuple(sorted(rows, key=lambda row: row.key))


def hide_sensitive(predictions: Predictions, scenario: Scenario) -> Predictions:
    """Return the predictions without anything that the scenario's sensitive columns forbid showing."""
    columns = scenario.sensitive_columns
    hidden = predictions.hide_columns(columns)
    if scenario.has_sensitive_key:
        hidden = hidden.hide_keys()
    return hidden.hide_labels() if scenario.pipeline.label.column.lower() in columns else hidden
