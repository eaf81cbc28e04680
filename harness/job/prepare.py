"""Turn a version of the table into rows that a model can learn from, with a featurizer.

The featurizer starts from the columns of the table, so that it can be published with the model: it derives,
casts, imputes and assembles.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.errors import Problem, ScenarioError
from harness.job.spark_errors import blamed_on
from harness.job.table_io import column, quoted
from harness.pipelines import FEATURES, FOLD, KEY, LABEL, Context, ModelPipeline
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline

TARGET = "harness_label"
"""Column of the label beside the columns of the table, one of which may be named ``label``."""
HELD_OUT = "harness_held_out"
PROBE = "harness_probe"

_BUCKETS = 1 << 52
_ROWS_PER_PARTITION = 500_000
_NUMBERS = (T.NumericType, T.BooleanType)
EQUALS = "="
"""Prefix of each categorical value."""


@dataclass(frozen=True)
class Samples:
    """The labelled rows of one version as feature vectors, cached, with the featurizer that makes them."""

    featurizer: PipelineModel
    names: tuple[str, ...]
    """Names of the slots of the feature vector, in order."""
    train: DataFrame
    """Columns ``features``, ``label``, the key, the fold and the probe order."""
    test: DataFrame
    cached: tuple[DataFrame, ...]

    def release(self) -> None:
        """Free the memory."""
        for frame in self.cached:
            frame.unpersist()


def columns_stage(pipeline: Pipeline) -> SQLTransformer:
    """Make the stage that adds the derived columns, and every feature in the type of the later stages."""
    parts = [
        *_derivations(pipeline),
        *(
            f"CAST({quoted(name)} AS DOUBLE) AS {number}"
            for name, number in zip(pipeline.features, number_columns(pipeline), strict=True)
        ),
        # Spark ML refuses the empty string as a category: each has a prefix.
        *(
            f"CONCAT('{EQUALS}', CAST({quoted(name)} AS STRING)) AS {category}"
            for name, category in zip(pipeline.categorical, category_columns(pipeline), strict=True)
        ),
    ]
    return _add_columns(parts)


def with_columns(table: DataFrame, pipeline: Pipeline) -> DataFrame:
    """Add derived columns and feature columns; optional features that the table lacks are left out.

    Raises:
        ScenarioError: An expression can't be resolved or overwrites a column, or a feature is not numeric.
    """
    known = {name.lower() for name in table.columns}
    present = pipeline.at(table.columns)
    derivations = _derivations(pipeline)
    for (name, expression), derivation in zip(pipeline.derive.items(), derivations, strict=True):
        at = ("pipeline", "derive", name)
        if name.lower() in known:
            raise ScenarioError([Problem(f"derived column '{name}' is already a column of the table.", at)])
        with blamed_on(f"'{name}' can't be derived", at):
            F.expr(expression)
            _add_columns([derivation]).transform(table)
    with blamed_on("the features can't be computed", ("pipeline", "features")):
        frame = columns_stage(present).transform(table)
    kinds = {field.name.lower(): field.dataType for field in frame.schema}
    for name in present.features:
        kind = kinds[name.lower()]
        if not isinstance(kind, _NUMBERS):
            message = (
                f"feature '{name}' is {kind.simpleString()}, not a number; "
                "list it under 'categorical', or derive a number from it."
            )
            # The index in the file: without the optional features it would be another.
            place = pipeline.features.index(name)
            raise ScenarioError([Problem(message, ("pipeline", "features", place))])
    return frame


def labelled(frame: DataFrame, scenario: Scenario) -> DataFrame:
    """Add the label (null if it is in neither list), the key, the side, the fold and the probe order."""
    label = scenario.pipeline.label
    key = key_text(scenario)
    with blamed_on("the label can't be determined", ("pipeline", "label")):
        return frame.withColumns(
            {
                TARGET: F.when(column(label.column).isin(list(label.positive)), 1.0).when(
                    column(label.column).isin(list(label.negative)), 0.0
                ),
                KEY: key,
                HELD_OUT: uniform(key, "split", scenario.seed) < scenario.pipeline.split.test,
                FOLD: F.floor(uniform(key, "fold", scenario.seed) * scenario.pipeline.model.folds).cast(
                    "int"
                ),
                PROBE: uniform(key, "probe", scenario.seed),
            }
        )


def kept(scenario: Scenario) -> Column:
    """Return whether a row meets the scenario's filter."""
    condition = scenario.pipeline.filter
    return F.lit(True) if condition is None else F.coalesce(F.expr(condition), F.lit(False))


def key_text(scenario: Scenario) -> Column:
    """Return the key as one string; each part follows its length, so that different keys differ."""
    parts = [column(name).cast("string") for name in scenario.table.key]
    if len(parts) == 1:
        return parts[0]
    return F.concat(*[F.concat(F.length(part).cast("string"), F.lit(":"), part) for part in parts])


def uniform(key: Column, purpose: str, seed: int) -> Column:
    """Return a number in [0, 1) that depends on the key, the purpose and the seed only."""
    bucket = F.pmod(F.xxhash64(F.concat(F.lit(f"{purpose}:{seed}:"), key)), F.lit(_BUCKETS))
    return bucket / F.lit(float(_BUCKETS))


def context_of(scenario: Scenario) -> Context:
    """Return what a pipeline needs to know of the scenario.

    Args:
        scenario: With the pipeline as it is at the version.
    """
    pipeline = scenario.pipeline
    return Context(
        numbers=dict(zip(pipeline.features, number_columns(pipeline), strict=True)),
        categories=dict(zip(pipeline.categorical, category_columns(pipeline), strict=True)),
        impute=pipeline.impute,
        seed=scenario.seed,
        folds=pipeline.model.folds,
        samples=pipeline.explainer.samples,
    )


def make_samples(frame: DataFrame, scenario: Scenario, rows: int, model_pipeline: ModelPipeline) -> Samples:
    """Make feature vectors of the labelled rows, with a featurizer fitted on the training rows.

    Args:
        frame: A version after ``with_columns`` and ``labelled``.
        scenario: Its filter decides which rows to keep.
        rows: Rows of the version; the number of partitions follows from it, never from the cores, so
            that sums are added up in the same order everywhere.
        model_pipeline: Fits the featurizer.
    """
    pipeline = scenario.pipeline
    inputs = [*number_columns(pipeline), *category_columns(pipeline)]
    partitions = pipeline.model.partitions or 1 + rows // _ROWS_PER_PARTITION
    clean = (
        frame.where(kept(scenario) & F.col(TARGET).isNotNull())
        .select(KEY, F.col(TARGET).alias(LABEL), HELD_OUT, FOLD, PROBE, *inputs)
        .repartition(partitions, KEY)
        .sortWithinPartitions(KEY)
        .persist()
    )
    prepared = model_pipeline.prepare(clean.where(~F.col(HELD_OUT)), context_of(scenario))
    vectors = clean
    for stage in prepared.stages:
        vectors = stage.transform(vectors)
    vectors = vectors.select(KEY, LABEL, HELD_OUT, FOLD, PROBE, FEATURES).persist()
    return Samples(
        featurizer=PipelineModel([columns_stage(pipeline), *prepared.stages]),
        names=tuple(prepared.names),
        train=vectors.where(~F.col(HELD_OUT)),
        test=vectors.where(F.col(HELD_OUT)),
        cached=(clean, vectors),
    )


def _derivations(pipeline: Pipeline) -> list[str]:
    # The line break ends a comment at the end of the expression.
    return [f"({expression}\n) AS {quoted(name)}" for name, expression in pipeline.derive.items()]


def _add_columns(parts: list[str]) -> SQLTransformer:
    # The scenario's author writes the expressions, which can read nothing but this view.
    return SQLTransformer(statement=f"SELECT *, {', '.join(parts)} FROM __THIS__")  # noqa: S608


def number_columns(pipeline: Pipeline) -> list[str]:
    """Return the input columns of the numeric features, numbered: Spark ML does not accept every name."""
    return [f"harness_number_{index}" for index in range(len(pipeline.features))]


def category_columns(pipeline: Pipeline) -> list[str]:
    """Return the input columns of the categorical features, numbered; each value has a prefix."""
    return [f"harness_category_{index}" for index in range(len(pipeline.categorical))]
