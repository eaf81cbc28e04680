"""From a version of the table to rows that a model can learn from, and the featurizer that gets them there.

The featurizer starts from the table's own columns, so that it can be handed on with the model: what is
derived, cast, imputed and assembled is all inside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.errors import Problem, ScenarioError
from harness.job.model_pipeline import FEATURES, FOLD, KEY, LABEL, Context, ModelPipeline
from harness.job.spark_errors import blamed_on
from harness.job.table_io import column, quoted
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline

TARGET = "harness_label"
"""The label beside the table's own columns, one of which may be named ``label``."""
HELD_OUT = "harness_held_out"
PROBE = "harness_probe"

_BUCKETS = 1 << 52
_ROWS_PER_PARTITION = 500_000
_NUMBERS = (T.NumericType, T.BooleanType)
EQUALS = "="
"""In front of each categorical value."""


@dataclass(frozen=True)
class Samples:
    """The labelled rows of one version as feature vectors, cached, and how to make them again."""

    featurizer: PipelineModel
    names: tuple[str, ...]
    """Of the slots of the feature vector, in order."""
    train: DataFrame
    """Columns ``features``, ``label``, the key, the fold and the probe order."""
    test: DataFrame
    cached: tuple[DataFrame, ...]

    def release(self) -> None:
        """Give the memory back."""
        for frame in self.cached:
            frame.unpersist()


def columns_stage(pipeline: Pipeline) -> SQLTransformer:
    """Adds the derived columns, and every feature in the type that the later stages take."""
    parts = [
        *_derivations(pipeline),
        *(
            f"CAST({quoted(name)} AS DOUBLE) AS {number}"
            for name, number in zip(pipeline.features, number_columns(pipeline), strict=True)
        ),
        # Spark ML refuses the empty string as a category: each has a mark in front of it.
        *(
            f"CONCAT('{EQUALS}', CAST({quoted(name)} AS STRING)) AS {category}"
            for name, category in zip(pipeline.categorical, category_columns(pipeline), strict=True)
        ),
    ]
    return _add_columns(parts)


def with_columns(table: DataFrame, pipeline: Pipeline) -> DataFrame:
    """The table with derived columns and feature inputs; optional features that it lacks are left out.

    Raises:
        ScenarioError: An expression can't be resolved, overwrites a column, or a feature is no number.
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
                f"feature '{name}' is no number but {kind.simpleString()}; "
                "list it under 'categorical', or derive a number from it."
            )
            # Where the file names it: without the optional ones its place would be another.
            place = pipeline.features.index(name)
            raise ScenarioError([Problem(message, ("pipeline", "features", place))])
    return frame


def labelled(frame: DataFrame, scenario: Scenario) -> DataFrame:
    """Every row with its label (null where it is in neither list), its key, side, fold and probe order."""
    label = scenario.pipeline.label
    key = key_text(scenario)
    with blamed_on("the label can't be told", ("pipeline", "label")):
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
    """Whether a row meets the scenario's filter."""
    condition = scenario.pipeline.filter
    return F.lit(True) if condition is None else F.coalesce(F.expr(condition), F.lit(False))


def key_text(scenario: Scenario) -> Column:
    """The key as one string; each part behind its length, so that no two keys look alike."""
    parts = [column(name).cast("string") for name in scenario.table.key]
    if len(parts) == 1:
        return parts[0]
    return F.concat(*[F.concat(F.length(part).cast("string"), F.lit(":"), part) for part in parts])


def uniform(key: Column, purpose: str, seed: int) -> Column:
    """A number in [0, 1) that depends on the key, the purpose and the seed alone."""
    bucket = F.pmod(F.xxhash64(F.concat(F.lit(f"{purpose}:{seed}:"), key)), F.lit(_BUCKETS))
    return bucket / F.lit(float(_BUCKETS))


def context_of(scenario: Scenario) -> Context:
    """What the pipeline is told beside the rows of a version.

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


def make_samples(frame: DataFrame, scenario: Scenario, rows: int, maker: ModelPipeline) -> Samples:
    """Feature vectors of the rows that count, with a featurizer fitted on the training rows.

    Args:
        frame: A version after ``with_columns`` and ``labelled``.
        scenario: What to keep.
        rows: Rows of the version; the number of partitions follows from it, never from the cores, so
            that sums are added up in the same order everywhere.
        maker: How it is featurized.
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
    prepared = maker.prepare(clean.where(~F.col(HELD_OUT)), context_of(scenario))
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
    # The end of the line ends a comment that the expression may end with.
    return [f"({expression}\n) AS {quoted(name)}" for name, expression in pipeline.derive.items()]


def _add_columns(parts: list[str]) -> SQLTransformer:
    # The expressions are the scenario author's own, and a view is all that they can read.
    return SQLTransformer(statement=f"SELECT *, {', '.join(parts)} FROM __THIS__")  # noqa: S608


def number_columns(pipeline: Pipeline) -> list[str]:
    """The columns that stages take the features from: by number, because Spark ML can't take any name."""
    return [f"harness_number_{index}" for index in range(len(pipeline.features))]


def category_columns(pipeline: Pipeline) -> list[str]:
    """The same of the categorical features; each value has a mark in front of it."""
    return [f"harness_category_{index}" for index in range(len(pipeline.categorical))]
