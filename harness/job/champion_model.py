"""A deployed model of any flavor that MLflow can load, or a bundle, as a function of a table's rows."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import mlflow
import mlflow.spark
from mlflow.models import Model
from mlflow.types import DataType, Schema
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.errors import PrerequisiteError
from harness.job.deployable import PREDICTION
from harness.job.evaluate import PROBABILITY, select_probability
from harness.job.table_io import column
from harness.pipelines import KEY

if TYPE_CHECKING:
    import pandas as pd

_SPARK = "spark"
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_ACCEPTED: dict[DataType, tuple[str, ...]] = {
    DataType.boolean: ("boolean",),
    DataType.integer: _INTEGERS[:3],
    DataType.long: _INTEGERS,
    DataType.float: (*_INTEGERS[:2], "float"),
    DataType.double: (*_INTEGERS, "float", "double", "decimal"),
    DataType.string: ("string",),
    DataType.binary: ("binary",),
    DataType.datetime: ("date", "timestamp"),
}
"""Type in a signature to the types of columns that are one without a loss."""


class ScoringModel(Protocol):
    """A model that returns the probability of the positive class."""

    def find_input_problems(self, schema: T.StructType) -> tuple[str, ...]:
        """Return how columns don't fit the model's input; empty if they do."""

    def score(self, rows: DataFrame, name: str) -> DataFrame:
        """Return the key of each row, and the probability of the positive class under a name.

        Args:
            rows: Raw rows of the table with derived columns, and their key.
            name: Name of the column.
        """


@dataclass(frozen=True)
class SparkScoringModel:
    """A pipeline in Spark that starts from a table's own columns."""

    stages: tuple[Any, ...]
    signature: Schema | None = None

    def find_input_problems(self, schema: T.StructType) -> tuple[str, ...]:
        """Return how columns don't fit the signature."""
        return tuple(_find_problems(self.signature, schema))

    def score(self, rows: DataFrame, name: str) -> DataFrame:
        """Return the probability of the positive class, or the prediction if the pipeline has only that."""
        for stage in self.stages:
            rows = stage.transform(rows)
        if KEY not in rows.columns:
            raise PrerequisiteError(
                "The champion returns its outputs without the rows that they belong to: the table has a "
                "column with the name of one of them (features, probability or prediction).",
                remedy="Rename that column, or name the bundle of the same model as the champion.",
            )
        score = select_probability() if PROBABILITY in rows.columns else F.col(PREDICTION)
        return rows.select(KEY, score.cast("double").alias(name))


@dataclass(frozen=True)
class PythonScoringModel:
    """A model of a Python library; batches of rows are scored as pandas frames, beside Spark."""

    folder: Path
    """Local folder of the model."""
    signature: Schema
    positive: tuple[str, ...]
    """The label's positive values."""

    def find_input_problems(self, schema: T.StructType) -> tuple[str, ...]:
        """Return how columns don't fit the signature."""
        return tuple(_find_problems(self.signature, schema))

    def score(self, rows: DataFrame, name: str) -> DataFrame:
        """Return the probability of the positive class."""
        # Not as a file of the session, which others may use: such a file stays until it ends.
        packed = rows.sparkSession.sparkContext.broadcast(_pack(self.folder))
        inputs = rows.select(KEY, *_select_inputs(self.signature, rows.schema))
        output = T.StructType([T.StructField(KEY, T.StringType()), T.StructField(name, T.DoubleType())])
        names = [each for each, _ in _list_inputs(self.signature)]
        score_batches = _make_scorer(packed, names, self.positive, name)
        return inputs.mapInPandas(score_batches, output)


def open_model(
    folder: Path, described: Model, uri: str, positive: Sequence[str], scratch: str
) -> ScoringModel:
    """Open a model that was copied from MLflow.

    Args:
        folder: Its local folder.
        described: MLflow's description of the model.
        uri: Its URI, for messages.
        positive: The label's positive values.
        scratch: Folder of the lake through which executors read models.

    Raises:
        PrerequisiteError: Its library is missing, or it has no signature.
    """
    inputs = None if described.signature is None else described.signature.inputs
    if inputs is not None and inputs.is_tensor_spec():
        raise PrerequisiteError(
            f"The champion {uri} takes tensors, not columns.",
            remedy="Log a model whose signature has the table's columns.",
        )
    if _SPARK in described.flavors:
        return SparkScoringModel((mlflow.spark.load_model(str(folder), dfs_tmpdir=scratch),), inputs)
    if inputs is None:
        raise PrerequisiteError(
            f"The champion {uri} has no signature, so that its input is unknown.",
            remedy="Log it with signature=infer_signature(...), or set one with mlflow.models.set_signature.",
        )
    _require_library(folder, uri)
    return PythonScoringModel(folder, inputs, tuple(positive))


def _require_library(folder: Path, uri: str) -> None:
    """Require that this environment can load a model.

    Raises:
        PrerequisiteError: It can't.
    """
    try:
        load_probability_function(folder)
    except ImportError as error:
        raise PrerequisiteError(
            f"The champion {uri} can't be loaded: {error}.",
            remedy="Install the library with which it was trained, in the environment that runs the job.",
        ) from error


def load_probability_function(folder: Path) -> Callable[[Any], Any]:
    """Return the function of a model that returns probabilities: one column, or one for each class.

    Args:
        folder: Local folder of the model.
    """
    flavors = Model.load(str(folder)).flavors
    for flavor in ("sklearn", "xgboost", "lightgbm"):
        if flavor in flavors:
            model = getattr(mlflow, flavor).load_model(str(folder))
            if hasattr(model, "predict_proba"):
                return _keep_classes(model)
            break
    loaded = mlflow.pyfunc.load_model(str(folder))
    return lambda frame: (loaded.predict(frame), None)


def _keep_classes(model: Any) -> Callable[[Any], Any]:
    return lambda frame: (model.predict_proba(frame), getattr(model, "classes_", None))


def _pack(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return stream.getvalue()


@cache
def load_packed(packed: bytes) -> Callable[[Any], Any]:
    """Return the probability function of a packed model; a worker process unpacks and loads it once."""
    with tempfile.TemporaryDirectory(prefix="champion-") as folder:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(folder)
        return load_probability_function(Path(folder))


def _make_scorer(
    packed: Broadcast[bytes], inputs: Sequence[str], positive: Sequence[str], name: str
) -> Callable[[Iterable[pd.DataFrame]], Iterator[pd.DataFrame]]:
    def score_batches(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        predict = load_packed(packed.value)
        for batch in batches:
            output, classes = predict(batch[list(inputs)])
            yield pd.DataFrame({KEY: batch[KEY], name: select_positive(output, classes, positive)})

    return score_batches


def select_positive(output: Any, classes: Any, positive: Sequence[str]) -> Any:
    """Return the probabilities of the positive class from a model's output.

    Args:
        output: One number for each row, or one for each row and class.
        classes: The classes in the order of their columns; ``None`` if they are unknown.
        positive: The label's positive values.

    Raises:
        ValueError: The positive class isn't known.
    """
    import numpy as np

    table = np.asarray(output)
    if table.ndim == 1:
        return table.astype(float)
    if table.shape[1] == 1:
        return table[:, 0].astype(float)
    if table.shape[1] != 2:  # noqa: PLR2004 - two classes
        raise ValueError(f"the champion has {table.shape[1]} classes, not two")
    names = [] if classes is None else [str(each) for each in classes]
    named = [index for index, each in enumerate(names) if each in positive]
    return table[:, named[0] if len(named) == 1 else 1].astype(float)


def _list_inputs(signature: Schema) -> Iterator[tuple[str, DataType | None]]:
    """Yield the name and the type of each column of a signature; ``None`` for an array or a struct."""
    for each in signature.inputs:
        if each.name is not None:
            yield each.name, each.type if isinstance(each.type, DataType) else None


def _find_problems(signature: Schema | None, schema: T.StructType) -> Iterator[str]:
    if signature is None:
        return
    columns = {field.name.lower(): field.dataType.simpleString() for field in schema}
    optional = set(signature.optional_input_names())
    for name, expected in _list_inputs(signature):
        kind = columns.get(name.lower())
        if kind is None:
            if name not in optional:
                yield f"column {name} is missing"
        elif expected is not None and kind.split("(")[0] not in _ACCEPTED[expected]:
            yield f"column {name} is {kind}, the model expects {_to_spark(expected).simpleString()}"


def _select_inputs(signature: Schema, schema: T.StructType) -> Iterator[Column]:
    """Yield the columns of a signature with its types; an optional one that the table lacks is null."""
    columns = {field.name.lower() for field in schema}
    for name, kind in _list_inputs(signature):
        source = column(name) if name.lower() in columns else F.lit(None)
        yield (source if kind is None else source.cast(_to_spark(kind))).alias(name)


def _to_spark(kind: DataType) -> T.DataType:
    made: T.DataType = kind.to_spark()  # type: ignore[no-untyped-call] # MLflow has no type there.
    return made
