"""Custom pipelines for the tests; only the first one is valid."""

# ruff: noqa: ARG002, D101, D102 - the protocol documents the methods and their arguments.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyspark.ml import Transformer
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.util import DefaultParamsWritable
from pyspark.sql import DataFrame, functions as F

from harness.pipelines import (
    LABEL,
    SCORE,
    Context,
    Explainer,
    FittedModel,
    PreparedFeatures,
    impute_and_encode,
    make_lime_explainer,
)


def squared(value: float) -> float:
    return value * value


class Unchanged(Transformer, DefaultParamsWritable):
    """A stage of a class that the pipeline's author defines."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return dataset


@dataclass(frozen=True)
class Good:
    """A plain logistic regression with LIME and a metric that needs the author's Python code on executors."""

    penalty: float = 0.1

    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        return impute_and_encode(rows, context)

    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        context.report_progress("one fit")
        return FittedModel(LogisticRegression(regParam=self.penalty, maxIter=10).fit(rows), {"fits": 1})

    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, float | None]:
        [row] = scored.agg(F.avg(F.udf(squared, "double")(F.col(SCORE) - F.col(LABEL)))).collect()
        return {"test_brier": row[0], "nothing": float("nan")}

    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        return make_lime_explainer(model, background, context.samples)


class NoStages(Good):
    def prepare(self, rows: DataFrame, context: Context) -> Any:
        return impute_and_encode(rows, context).stages


class OwnStage(Good):
    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        prepared = impute_and_encode(rows, context)
        return PreparedFeatures([Unchanged(), *prepared.stages], prepared.names)


class OtherSlot(Good):
    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        return PreparedFeatures(impute_and_encode(rows, context).stages, ["y"])


class BreaksInFit(Good):
    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        raise KeyError("leaves")


class NoModel(Good):
    def fit(self, rows: DataFrame, context: Context) -> FittedModel:
        return FittedModel(model="a model")


class OtherMetric(Good):
    def evaluate(self, scored: DataFrame, context: Context) -> Mapping[str, float | None]:
        return {"test_briar": 0.1}


class OneWeightFewer(Good):
    def explain(self, model: Any, background: DataFrame, context: Context) -> Explainer:
        return replace(super().explain(model, background, context), first=1)


class BreaksWhenCreated(Good):
    def __init__(self) -> None:
        raise RuntimeError("no such tree")


NOTHING = object()
