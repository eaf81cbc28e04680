"""Spark MLlib's logistic regression, cross-validated over a grid.

Folds come from a hash of the key. The fits run side by side: on small data it is the driver that waits.
All scores of all folds and grid points are evaluated in one Spark job, where MLlib's own CrossValidator
takes several jobs for each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, functions as F

from harness.job.evaluate import Scores, score_groups
from harness.job.model_pipeline import FEATURES, FOLD, LABEL, SCORE
from harness.results import GridPoint
from harness.scenario.pipeline import LogisticRegression as Specification

_POINT = "grid_point"


@dataclass(frozen=True)
class Trained:
    """The chosen model and how every grid point did."""

    model: LogisticRegressionModel
    grid: tuple[GridPoint, ...]
    cv_roc_auc: float | None
    cv_roc_auc_se: float | None


def train(
    rows: DataFrame, specification: Specification, tell: Callable[[str], None] = lambda _detail: None
) -> Trained:
    """Choose the grid point with the best mean ROC AUC over the folds, and fit it on all rows.

    Args:
        rows: The training rows: ``features``, ``label`` and the fold.
        specification: Grid, folds and iterations.
        tell: Told how far it is.
    """
    points = list(itertools.product(specification.grid.reg_param, specification.grid.elastic_net_param))
    folds = range(specification.folds)
    scores = _cross_validate(rows, specification, points, tell)
    of_point = [[scores.get((fold, index)) for fold in folds] for index in range(len(points))]
    means = [_mean([fold.roc_auc if fold else None for fold in each]) for each in of_point]
    best = max(range(len(points)), key=lambda index: (_or_worst(means[index]), -index))
    return Trained(
        model=_estimator(specification, points[best]).fit(rows),
        grid=tuple(
            GridPoint(reg_param=reg, elastic_net_param=net, cv_roc_auc=means[index], chosen=index == best)
            for index, (reg, net) in enumerate(points)
        ),
        cv_roc_auc=means[best],
        cv_roc_auc_se=_se_of_mean([fold.roc_auc_se if fold else None for fold in of_point[best]]),
    )


def _cross_validate(
    rows: DataFrame,
    specification: Specification,
    points: list[tuple[float, float]],
    tell: Callable[[str], None],
) -> dict[tuple[object, ...], Scores]:
    """Scores of every (fold, index of grid point), each on the rows that its model has not seen."""
    pairs = list(itertools.product(range(specification.folds), range(len(points))))
    seen = [rows.where(F.col(FOLD) != fold) for fold in range(specification.folds)]

    def fit(pair: tuple[int, int]) -> LogisticRegressionModel:
        fold, index = pair
        model: LogisticRegressionModel = _estimator(specification, points[index]).fit(seen[fold])
        model.setRawPredictionCol("").setPredictionCol("").setProbabilityCol(f"point_{index}")
        return model

    models: dict[tuple[int, int], LogisticRegressionModel] = {}
    with ThreadPoolExecutor(_fits_at_once(rows)) as pool:
        for pair, model in zip(pairs, pool.map(fit, pairs), strict=True):
            models[pair] = model
            tell(f"{len(models)} of {len(pairs)} fits")
    held_out = []
    for fold in range(specification.folds):
        unseen = rows.where(F.col(FOLD) == fold)
        for index in range(len(points)):
            unseen = models[fold, index].transform(unseen)
        held_out.append(_one_row_per_point(unseen, len(points)))
    return score_groups(reduce(DataFrame.unionAll, held_out), [FOLD, _POINT])


def _one_row_per_point(predicted: DataFrame, points: int) -> DataFrame:
    scores = [
        F.struct(F.lit(index).alias(_POINT), vector_to_array(F.col(f"point_{index}"))[1].alias(SCORE))
        for index in range(points)
    ]
    return predicted.select(FOLD, LABEL, F.explode(F.array(*scores)).alias("scored")).select(
        FOLD, LABEL, "scored.*"
    )


def _estimator(specification: Specification, point: tuple[float, float]) -> LogisticRegression:
    reg_param, elastic_net_param = point
    return LogisticRegression(
        featuresCol=FEATURES,
        labelCol=LABEL,
        maxIter=specification.max_iter,
        regParam=reg_param,
        elasticNetParam=elastic_net_param,
    )


def _fits_at_once(rows: DataFrame) -> int:
    return max(2, rows.sparkSession.sparkContext.defaultParallelism)


def _mean(values: list[float | None]) -> float | None:
    """The mean, or ``None`` where a fold has none: what is left would be another number."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _se_of_mean(errors: list[float | None]) -> float | None:
    """Standard error of the mean over folds that share no rows."""
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return None
    return math.sqrt(math.fsum(error**2 for error in known)) / len(known)


def _or_worst(value: float | None) -> float:
    return -math.inf if value is None else value
