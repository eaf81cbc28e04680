"""Sample predictions."""

from __future__ import annotations

from collections.abc import Mapping

from harness.predictions import Prediction, Predictions


def make_predictions(
    scores: Mapping[str, float],
    weights: Mapping[str, tuple[float, ...]] | None = None,
    scales: tuple[float, ...] = (1.0, 1.0),
) -> Predictions:
    """Return predictions of positive rows with these scores, and weights of the features ``x`` and ``z``."""
    explained = weights or {}
    rows = tuple(Prediction(key, 1.0, scores[key], "test", explained.get(key)) for key in sorted(scores))
    return Predictions(rows, features=("x", "z"), scales=scales, held_out=len(rows))
