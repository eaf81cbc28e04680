"""Preparation of a version for training: its rows as feature vectors, and the featurizer that makes them.

The featurizer starts from the table's own columns, so that it can be shipped with the model: deriving,
casting, imputing and assembling are all part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.errors import Problem, ScenarioError
from harness.job.author_steps import attribute_to_author, count_dropped_rows
from harness.job.spark_errors import attribute_error
from harness.job.table_io import column
from harness.pipelines import FEATURES, FOLD, KEY, LABEL, Context, ModelPipeline
from harness.reading.column_naming import quote_name
from harness.reading.row_content import REPEAT
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline

LABEL_VALUE = "harness_label"
"""Column of the label next to the columns of the table, one of which may be named ``label``."""
IGNORED = "harness_ignored"
"""Column that says whether the scenario ignores the row because of its label."""
HELD_OUT = "harness_held_out"
PROBE = "harness_probe"

_BUCKETS = 1 << 52
_ROWS_PER_PARTITION = 500_000
_NUMBERS = (T.NumericType, T.BooleanType)
EQUALS = "="
"""Prefix of each categorical value."""


@dataclass(frozen=True)
class PreparedRows:
    """The labeled rows of one version as feature vectors, cached, with the featurizer that makes them."""

    featurizer: PipelineModel
    names: tuple[str, ...]
    """Names of the slots of the feature vector, in order."""
    train: DataFrame
    """Training rows: ``features``, ``label``, the key, the fold and the probe order."""
    test: DataFrame
    """Held-out rows, with the same columns."""
    cached: tuple[DataFrame, ...]
    dropped_rows: int | None = None
    """How many rows the stages of a custom pipeline dropped; ``None`` for a built-in one."""

    def release(self) -> None:
        """Release the cached rows."""
        for frame in self.cached:
            frame.unpersist()


def make_columns_stage(pipeline: Pipeline) -> SQLTransformer:
    """Return the stage that adds the derived columns, and every feature with the type that models take."""
    return _add_columns([*derive_columns(pipeline), *cast_features(pipeline)])


def derive_columns(pipeline: Pipeline) -> list[str]:
    """Return the expressions of the derived columns, each with its name."""
    # The line break ends a comment at the end of the expression.
    return [f"({expression}\n) AS {quote_name(name)}" for name, expression in pipeline.derive.items()]


def cast_features(pipeline: Pipeline) -> list[str]:
    """Return the expressions that give every feature the type that models take, each with its column."""
    return [
        *(
            f"CAST({quote_name(name)} AS DOUBLE) AS {number}"
            for name, number in zip(pipeline.features, number_columns(pipeline), strict=True)
        ),
        # Spark ML rejects the empty string as a category, so each has a prefix.
        *(
            f"CONCAT('{EQUALS}', CAST({quote_name(name)} AS STRING)) AS {category}"
            for name, category in zip(pipeline.categorical, category_columns(pipeline), strict=True)
        ),
    ]


def add_feature_columns(table: DataFrame, pipeline: Pipeline) -> DataFrame:
    """Add the derived columns and the inputs of the features, without optional features that it lacks.

    Raises:
        ScenarioError: An expression can't be resolved or overwrites a column, or a numeric feature isn't one.
    """
    names = {name.lower() for name in table.columns}
    present = pipeline.at(table.columns)
    derivations = derive_columns(pipeline)
    for (name, expression), derivation in zip(pipeline.derive.items(), derivations, strict=True):
        at = ("pipeline", "derive", name)
        if name.lower() in names:
            raise ScenarioError(
                [Problem(f"the table already has a column '{name}'; rename the derived column.", at)]
            )
        with attribute_error(f"'{name}' can't be derived", at):
            F.expr(expression)
            _add_columns([derivation]).transform(table)
    with attribute_error("the features can't be computed", ("pipeline", "features")):
        frame = make_columns_stage(present).transform(table)
    kinds = {field.name.lower(): field.dataType for field in frame.schema}
    for name in present.features:
        kind = kinds[name.lower()]
        if not isinstance(kind, _NUMBERS):
            message = (
                f"feature '{name}' is of type {kind.simpleString()}, not a number: "
                "list it under 'categorical', or derive a number from it."
            )
            # Its index in the file, which counts the optional features too.
            index = pipeline.features.index(name)
            raise ScenarioError([Problem(message, ("pipeline", "features", index))])
    return frame


def add_label(frame: DataFrame, scenario: Scenario) -> DataFrame:
    """Add each row's label (null if its value is in neither list), and all that follows from its key.

    The latter are the split, the fold and the probe order.
    """
    label = scenario.pipeline.label
    key = format_key(scenario)
    # Identical rows are on the same side of the split, so that none is tested that was trained on.
    content = F.substring_index(key, REPEAT, 1) if scenario.table.key_from == "content" else key
    with attribute_error("the label can't be computed", ("pipeline", "label")):
        return frame.withColumns(
            {
                LABEL_VALUE: F.when(column(label.column).isin(list(label.positive)), 1.0).when(
                    column(label.column).isin(list(label.negative)), 0.0
                ),
                IGNORED: F.when(column(label.column).isNull(), F.lit(None in label.ignore)).otherwise(
                    column(label.column).isin([value for value in label.ignore if value is not None])
                ),
                KEY: key,
                HELD_OUT: hash_to_unit_interval(content, "split", scenario.seed)
                < scenario.pipeline.split.test,
                FOLD: F.floor(
                    hash_to_unit_interval(content, "fold", scenario.seed) * scenario.pipeline.model.folds
                ).cast("int"),
                PROBE: order_probe(key, scenario.seed),
            }
        )


def describe_split(scenario: Scenario) -> dict[str, str]:
    """Return the parameters of a model in MLflow that determine which rows are held out."""
    return {
        "seed": str(scenario.seed),
        "key": ", ".join(scenario.table.key),
        "split.test": str(scenario.pipeline.split.test),
    }


def meets_filter(scenario: Scenario) -> Column:
    """Return the condition that a row meets the scenario's filter; null counts as not met."""
    condition = scenario.pipeline.filter
    return F.lit(True) if condition is None else F.coalesce(F.expr(condition), F.lit(False))


def format_key(scenario: Scenario) -> Column:
    """Return the column of the key as one string; each part has its length as prefix, so that keys differ."""
    parts = [column(name).cast("string") for name in scenario.table.key]
    if len(parts) == 1:
        return parts[0]
    return F.concat(*[F.concat(F.length(part).cast("string"), F.lit(":"), part) for part in parts])


def has_key(table: DataFrame, scenario: Scenario) -> bool:
    """Return whether a version has all columns of the key."""
    names = {name.lower() for name in table.columns}
    return all(name.lower() in names for name in scenario.table.key)


def order_probe(key: Column, seed: int) -> Column:
    """Return the number by which rows are ordered for a sample: the first ones are explained and kept."""
    return hash_to_unit_interval(key, "probe", seed)


def hash_to_unit_interval(key: Column, purpose: str, seed: int) -> Column:
    """Return a column of numbers in [0, 1) that depend only on the key, the purpose and the seed."""
    bucket = F.pmod(F.xxhash64(F.concat(F.lit(f"{purpose}:{seed}:"), key)), F.lit(_BUCKETS))
    return bucket / F.lit(float(_BUCKETS))


def make_context(scenario: Scenario, slots: int) -> Context:
    """Return what a pipeline receives in addition to the rows of a version.

    Args:
        scenario: The scenario without the features that the version lacks.
        slots: Number of slots of the feature vector; 0 before it is known.
    """
    pipeline = scenario.pipeline
    return Context(
        numbers=dict(zip(pipeline.features, number_columns(pipeline), strict=True)),
        categories=dict(zip(pipeline.categorical, category_columns(pipeline), strict=True)),
        impute=pipeline.impute,
        seed=scenario.seed,
        folds=pipeline.model.folds,
        samples=pipeline.explainer.choose_samples(slots),
    )


def prepare_rows(
    frame: DataFrame, scenario: Scenario, rows: int, model_pipeline: ModelPipeline
) -> PreparedRows:
    """Return the feature vectors of a version, with a featurizer fitted on the training rows.

    Args:
        frame: The version after ``add_feature_columns`` and ``add_label``.
        scenario: The scenario, whose filter and label select the rows.
        rows: How many rows the version has. The number of partitions depends on it, and never on the
            number of cores, so that sums are computed in the same order everywhere.
        model_pipeline: Fits the featurizer.
    """
    pipeline = scenario.pipeline
    inputs = [*number_columns(pipeline), *category_columns(pipeline)]
    partitions = pipeline.model.partitions or 1 + rows // _ROWS_PER_PARTITION
    clean = (
        frame.where(meets_filter(scenario) & F.col(LABEL_VALUE).isNotNull())
        .select(KEY, F.col(LABEL_VALUE).alias(LABEL), HELD_OUT, FOLD, PROBE, *inputs)
        .repartition(partitions, KEY)
        .sortWithinPartitions(KEY)
        .persist()
    )
    prepared = model_pipeline.prepare(clean.where(~F.col(HELD_OUT)), make_context(scenario, 0))
    dropped = None
    with attribute_to_author(pipeline.use, "prepare"):
        vectors = clean
        for stage in prepared.stages:
            vectors = stage.transform(vectors)
        vectors = vectors.select(KEY, LABEL, HELD_OUT, FOLD, PROBE, FEATURES).persist()
        if pipeline.use is not None:
            dropped = count_dropped_rows(
                clean, vectors, prepared.stages, pipeline.use, may_drop=prepared.drops_rows
            )
    return PreparedRows(
        featurizer=PipelineModel([make_columns_stage(pipeline), *prepared.stages]),
        names=tuple(prepared.names),
        train=vectors.where(~F.col(HELD_OUT)),
        test=vectors.where(F.col(HELD_OUT)),
        cached=(clean, vectors),
        dropped_rows=dropped,
    )


def _add_columns(parts: list[str]) -> SQLTransformer:
    # The expressions are the scenario author's, and can only read this view.
    return SQLTransformer(statement=f"SELECT *, {', '.join(parts)} FROM __THIS__")  # noqa: S608


def number_columns(pipeline: Pipeline) -> list[str]:
    """Return the columns of the numeric features; their names are numbered, because Spark ML limits them."""
    return [f"harness_number_{index}" for index in range(len(pipeline.features))]


def category_columns(pipeline: Pipeline) -> list[str]:
    """Return the columns of the categorical features, whose values have a prefix."""
    return [f"harness_category_{index}" for index in range(len(pipeline.categorical))]
