"""Cross-validation over a grid of parameters.

Folds come from a hash of the key. The fits run in parallel, because on small data Spark mostly waits for the
driver.
All scores of all folds and grid points are evaluated in one Spark job, whereas MLlib's CrossValidator takes
several jobs for each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, functions as F

from harness.job.evaluate import Scores, score_groups
from harness.pipelines import FOLD, LABEL, SCORE, GridPoint

_POINT = "grid_point"

Parameters = Mapping[str, float]
"""One combination of a grid: parameter to value."""


@dataclass(frozen=True)
class TrainingOutcome:
    """The chosen model, and the score of every grid point."""

    model: Any
    grid: tuple[GridPoint, ...]
    cv_roc_auc: float | None
    cv_roc_auc_se: float | None


@dataclass(frozen=True)
class CrossValidation:
    """Cross-validation of every grid point: fitted on all folds but one, scored on that fold."""

    points: Sequence[Parameters]
    folds: int
    make_estimator: Callable[[Parameters], Any]
    """Makes the Spark classifier with these parameters."""

    def train(self, rows: DataFrame, report_progress: Callable[[str], None]) -> TrainingOutcome:
        """Choose the grid point with the best mean ROC AUC over the folds, and fit it on all rows.

        Args:
            rows: The training rows: ``features``, ``label`` and the fold.
            report_progress: Takes the number of finished fits, as text.
        """
        scores = self._score_all(rows, report_progress)
        scores_of_points = [
            [scores.get((fold, index)) for fold in range(self.folds)] for index in range(len(self.points))
        ]
        means = [_mean([fold.roc_auc if fold else None for fold in each]) for each in scores_of_points]
        best = max(range(len(self.points)), key=lambda index: (_or_worst(means[index]), -index))
        return TrainingOutcome(
            model=self.make_estimator(self.points[best]).fit(rows),
            grid=tuple(
                GridPoint(parameters=dict(point), cv_roc_auc=means[index], chosen=index == best)
                for index, point in enumerate(self.points)
            ),
            cv_roc_auc=means[best],
            cv_roc_auc_se=_se_of_mean([fold.roc_auc_se if fold else None for fold in scores_of_points[best]]),
        )

    def _score_all(
        self, rows: DataFrame, report_progress: Callable[[str], None]
    ) -> dict[tuple[object, ...], Scores]:
        """Score every (fold, index of the grid point) on the rows that its model has not seen."""
        models = self._fit_all(rows, report_progress)
        held_out = []
        for fold in range(self.folds):
            unseen = rows.where(F.col(FOLD) == fold)
            for index in range(len(self.points)):
                unseen = models[fold, index].transform(unseen)
            held_out.append(_split_points(unseen, len(self.points)))
        return score_groups(reduce(DataFrame.unionAll, held_out), [FOLD, _POINT])

    def _fit_all(self, rows: DataFrame, report_progress: Callable[[str], None]) -> dict[tuple[int, int], Any]:
        """Fit every (fold, index of the grid point); each model writes its probability to its own column."""
        pairs = list(itertools.product(range(self.folds), range(len(self.points))))
        seen = [rows.where(F.col(FOLD) != fold) for fold in range(self.folds)]

        def fit(pair: tuple[int, int]) -> Any:
            fold, index = pair
            model = self.make_estimator(self.points[index]).fit(seen[fold])
            return model.setRawPredictionCol("").setPredictionCol("").setProbabilityCol(f"point_{index}")

        models: dict[tuple[int, int], Any] = {}
        with ThreadPoolExecutor(_max_parallel_fits(rows)) as pool:
            for pair, model in zip(pairs, pool.map(fit, pairs), strict=True):
                models[pair] = model
                report_progress(f"{len(models)} of {len(pairs)} fits")
        return models


def _split_points(predicted: DataFrame, points: int) -> DataFrame:
    scores = [
        F.struct(F.lit(index).alias(_POINT), vector_to_array(F.col(f"point_{index}"))[1].alias(SCORE))
        for index in range(points)
    ]
    return predicted.select(FOLD, LABEL, F.explode(F.array(*scores)).alias("scored")).select(
        FOLD, LABEL, "scored.*"
    )


def _max_parallel_fits(rows: DataFrame) -> int:
    return max(2, rows.sparkSession.sparkContext.defaultParallelism)


def _mean(values: list[float | None]) -> float | None:
    """Return the mean, or ``None`` if a fold has no value."""
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined) if len(defined) == len(values) else None


def _se_of_mean(errors: list[float | None]) -> float | None:
    """Return the standard error of the mean over folds that share no rows."""
    defined = [error for error in errors if error is not None]
    if len(defined) < len(errors):
        return None
    return math.sqrt(math.fsum(error**2 for error in defined)) / len(defined)


def _or_worst(value: float | None) -> float:
    return -math.inf if value is None else value
