"""The deployable pipeline of a version: raw columns in, the probability of the positive class out.

It is the featurizer and the classifier in one Spark pipeline, so that MLflow alone can serve it. Only columns
that the features need are read: neither the label nor the key, nor what only the filter needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.errors import AnalysisException
from pyspark.ml import PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import DataFrame, types as T

from harness.job.evaluate import PROBABILITY
from harness.job.prepare import cast_features, derive_columns
from harness.pipelines import FEATURES
from harness.reading.column_naming import quote_name
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.sensitive import mentions

PREDICTION = "prediction"
"""Output column of the probability of the positive class: the one that MLflow's Python function returns."""
_ROW = "harness_row"
_EXAMPLES = 3
_TYPES: Mapping[str, tuple[type[T.DataType], ...]] = {
    "long": (T.ByteType, T.ShortType, T.IntegerType, T.LongType),
    "double": (T.FloatType, T.DoubleType, T.DecimalType),
    "boolean": (T.BooleanType,),
    "string": (T.StringType,),
    "binary": (T.BinaryType,),
    "datetime": (T.DateType, T.TimestampType, T.TimestampNTZType),
}
"""Type in MLflow to Spark's types that it stands for."""
_NESTED = (T.ArrayType, T.MapType, T.StructType)
_SYNTHETIC: Mapping[str, Any] = {
    "long": 0,
    "double": 0.0,
    "boolean": False,
    "string": "",
    "binary": b"",
    "datetime": datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None),
}
"""Type in MLflow to a value that stands for all of them."""


@dataclass(frozen=True)
class Deployable:
    """A pipeline that can be served, and how to call it."""

    model: PipelineModel
    signature: ModelSignature | None
    """``None`` if a column has a type that MLflow doesn't know."""
    example: pd.DataFrame | None
    """A few rows of input; made up if the table has sensitive columns. ``None`` without a signature."""


def make_deployable(
    table: DataFrame,
    scenario: Scenario,
    nulls: Mapping[str, float],
    featurizer: PipelineModel,
    classifier: Any,
) -> Deployable:
    """Make the deployable pipeline of a version.

    Args:
        table: The version.
        scenario: The scenario without the optional features that the version lacks.
        nulls: Column to the share of rows in which it is null.
        featurizer: The fitted featurizer, which starts with the stage that derives and casts columns.
        classifier: The fitted classifier.
    """
    pipeline = scenario.pipeline
    fields = _find_needed_columns(table, pipeline)
    model = PipelineModel(
        [
            _make_columns_stage(pipeline, fields),
            *featurizer.stages[1:],
            classifier,
            _make_output_stage(table.columns),
        ]
    )
    named = {field.name: _name_type(field, nulls) for field in fields}
    kinds = {name: kind for name, kind in named.items() if kind is not None}
    if len(kinds) < len(named):
        return Deployable(model, None, None)
    signature = ModelSignature(
        inputs=Schema([ColSpec(kind, name) for name, kind in kinds.items()]),
        outputs=Schema([ColSpec("double", PREDICTION)]),
    )
    return Deployable(model, signature, _make_example(table, scenario, kinds))


def _find_needed_columns(table: DataFrame, pipeline: Pipeline) -> list[T.StructField]:
    """Return the columns of the table that are features, or that derived features need."""
    names, expressions = _name_features(pipeline), _select_derivations(pipeline).values()
    fields = list(table.schema.fields)
    candidates = [
        field
        for field in fields
        if field.name.lower() not in names
        and any(mentions(expression, [field.name.lower()]) for expression in expressions)
    ]
    kept = [field for field in fields if field.name.lower() in names or field in candidates]
    # An expression may only mention the name of a column, such as that of a function.
    for field in candidates:
        fewer = [each for each in kept if each is not field]
        if fewer and _is_enough(table, pipeline, fewer):
            kept = fewer
    return kept


def _is_enough(table: DataFrame, pipeline: Pipeline, fields: Sequence[T.StructField]) -> bool:
    """Return whether the features can be computed from these columns alone."""
    rows = table.select(*[quote_name(field.name) for field in fields])
    try:
        _make_columns_stage(pipeline, fields).transform(rows)
    except AnalysisException:
        return False
    return True


def _select_derivations(pipeline: Pipeline) -> dict[str, str]:
    """Return the derived columns that are features, with their expressions: none can use another one."""
    features = _name_features(pipeline)
    return {name: each for name, each in pipeline.derive.items() if name.lower() in features}


def _name_features(pipeline: Pipeline) -> set[str]:
    """Return the names of the features, in lower case."""
    return {name.lower() for name in (*pipeline.features, *pipeline.categorical)}


def _make_columns_stage(pipeline: Pipeline, fields: Sequence[T.StructField]) -> SQLTransformer:
    """Return the stage that gives columns the types of the table, then derives and casts as in training.

    The row itself is kept aside, so that its columns can have any name.
    """
    needed = pipeline.model_copy(update={"derive": _select_derivations(pipeline)})
    outer = ", ".join([_ROW, *derive_columns(needed), *cast_features(needed)])
    inner = ", ".join([f"STRUCT(*) AS {_ROW}", *map(_cast_input, fields)])
    # The expressions are the scenario author's, and can only read this view.
    return SQLTransformer(statement=f"SELECT {outer} FROM (SELECT {inner} FROM __THIS__)")  # noqa: S608


def _cast_input(field: T.StructField) -> str:
    """Return the expression that gives a column its type in the table; pandas has NaN for missing numbers."""
    name, kind = quote_name(field.name), field.dataType
    if isinstance(kind, _NESTED):
        return name
    value = f"CASE WHEN ISNAN({name}) THEN NULL ELSE {name} END" if isinstance(kind, T.NumericType) else name
    return f"CAST({value} AS {kind.simpleString()}) AS {name}"


def _make_output_stage(columns: Sequence[str]) -> SQLTransformer:
    """Return the stage that adds the feature vector and the prediction to the columns of the row.

    Without the row's columns if one of them has the name of an output.
    """
    outputs = (FEATURES, PROBABILITY, PREDICTION)
    row = [] if {name.lower() for name in columns}.intersection(outputs) else [f"{_ROW}.*"]
    # SQL has no other way to read a vector that works without code of ours where the model is served.
    vector = f"TO_JSON(STRUCT({PROBABILITY}))"
    score = f"CAST(GET_JSON_OBJECT({vector}, '$.{PROBABILITY}.values[1]') AS DOUBLE) AS {PREDICTION}"
    selected = ", ".join([*row, FEATURES, PROBABILITY, score])
    return SQLTransformer(statement=f"SELECT {selected} FROM __THIS__")  # noqa: S608


def _name_type(field: T.StructField, nulls: Mapping[str, float]) -> str | None:
    """Return MLflow's type of a column; ``None`` if it has none.

    As MLflow itself does, integers with missing values are doubles, because pandas has them so.
    """
    kind = next((name for name, types in _TYPES.items() if isinstance(field.dataType, types)), None)
    return "double" if kind == "long" and nulls.get(field.name) else kind


def _make_example(table: DataFrame, scenario: Scenario, kinds: Mapping[str, str]) -> pd.DataFrame:
    if scenario.table.sensitive:
        rows = [{name: _SYNTHETIC[kind] for name, kind in kinds.items()}]
    else:
        found = table.select(*map(quote_name, kinds)).limit(_EXAMPLES).collect()
        rows = [row.asDict() for row in found]
    example = pd.DataFrame(rows, columns=list(kinds))
    for name, kind in kinds.items():
        if kind == "datetime":
            example[name] = pd.to_datetime(example[name])
        elif kind in ("double", "long"):
            example[name] = example[name].astype("float64" if kind == "double" else "int64")
    return example
