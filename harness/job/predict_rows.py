"""The predictions of the held-out rows of one version."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, functions as F

from harness.job.held_out_parts import SEGMENT, Parts
from harness.job.prepare import order_probe
from harness.job.row_diff import KNOWN
from harness.pipelines import KEY, LABEL, SCORE
from harness.predictions import MAX_ROWS, Prediction, Predictions
from harness.scenario.model import Scenario


def collect_predictions(
    scored: DataFrame, parts: Parts, probe: Sequence[str], seed: int
) -> tuple[Prediction, ...]:
    """Collect scored rows, sorted by key, without explanations.

    At most ``MAX_ROWS`` are collected: those to explain, then those with the lowest hash of the key, which
    are largely the same rows at every version.

    Args:
        scored: The held-out rows, as ``score_held_out`` yields them.
        parts: The parts that they belong to.
        probe: Keys of the rows to explain.
        seed: The scenario's seed.
    """
    key = F.col(KEY)
    sample = scored.orderBy(~key.isin(list(probe)), order_probe(key, seed), key).limit(MAX_ROWS)
    segments = F.array().cast("array<string>")
    if parts.segments and parts.named is not None:
        sample = sample.join(parts.named, KEY, "left")
        segments = F.filter("parts", lambda part: part.startswith(SEGMENT))
    rows = (
        Prediction(
            key=row[KEY],
            label=float(row[LABEL]),
            score=float(row[SCORE]),
            split="test" if row[KNOWN] else "added",
            segments=tuple(name.removeprefix(SEGMENT) for name in row["segments"]),
        )
        for row in sample.select(KEY, LABEL, SCORE, KNOWN, segments.alias("segments")).collect()
    )
    return tuple(sorted(rows, key=lambda row: row.key))


def hide_sensitive(predictions: Predictions, scenario: Scenario) -> Predictions:
    """Return the predictions without anything that the scenario's sensitive columns forbid showing."""
    columns = scenario.sensitive_columns
    hidden = predictions.hide_columns(columns).hide_segments(scenario.sensitive_segments)
    if scenario.has_sensitive_key:
        hidden = hidden.hide_keys()
    return hidden.hide_labels() if scenario.pipeline.label.column.lower() in columns else hidden
