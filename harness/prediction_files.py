"""The Parquet file with the predictions of a version, and how it gets from the job to the run's folder.

The file has a row per held-out row, sorted by key, and these columns:

    key             the key as one string (see ``harness.job.prepare.format_key``), or a digest of it
    label           1 for positive, 0 for negative; null if the label is sensitive
    score           the predicted probability of the positive class
    split           ``test``; ``added`` if the previous version doesn't have the key
    segments        the scenario's segments that the row belongs to, without those of sensitive columns
    weight_FEATURE  the explanation weight of a slot of the feature vector; null if the row isn't explained

Another column is a field of ``Prediction`` and an entry in ``_COLUMNS``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import PrerequisiteError
from harness.predictions import Prediction, Predictions
from harness.stored_json import parse_json

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "predictions"
"""Folder of the files, in the run's folder and among the artifacts in MLflow."""

_FORMAT = 1
"""Format of the files that this version writes."""
_COLUMNS: Mapping[str, str] = {
    "key": "string",
    "label": "double",
    "score": "double",
    "split": "string",
    "segments": "strings",
}
"""Column of the file, and field of ``Prediction``, to its type; the weights follow."""
_WEIGHT = "weight_"
_METADATA = b"harness"
_FILE = re.compile(rf"{FOLDER}/[A-Za-z0-9_]+\.parquet")
LINE_START = '{"file": '


def name_file(version: str) -> str:
    """Return the path of a version's file in the run's folder."""
    return f"{FOLDER}/{version}.parquet"


def write_predictions(predictions: Predictions, file: Path) -> None:
    """Write the Parquet file; the same predictions make the same file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {
        name: pa.array([getattr(row, name) for row in predictions.rows], _type_of(kind))
        for name, kind in _COLUMNS.items()
    }
    for at, feature in enumerate(predictions.features):
        weights = [None if row.weights is None else row.weights[at] for row in predictions.rows]
        columns[_WEIGHT + feature] = pa.array(weights, pa.float64())
    facts = {
        "format_version": _FORMAT,
        "features": predictions.features,
        "scales": predictions.scales,
        "held_out": predictions.held_out,
        "key_parts": predictions.key_parts,
        "has_hidden_keys": predictions.has_hidden_keys,
        "sensitive": predictions.sensitive,
    }
    table = pa.table(columns).replace_schema_metadata({_METADATA: json.dumps(facts)})
    pq.write_table(table, file, compression="zstd")


def read_predictions(file: Path) -> Predictions | None:
    """Return the predictions in a file; ``None`` if there is no such file.

    Raises:
        PrerequisiteError: The file isn't one of predictions.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        return None
    try:
        # Not as a data set: a folder called 'a=b' would add a column.
        table = pq.ParquetFile(file).read()
        facts = parse_json(table.schema.metadata[_METADATA])
        if facts["format_version"] != _FORMAT:
            raise ValueError(f"it has format {facts['format_version']}")  # noqa: TRY301 - reported below
        return _make_predictions(table, facts)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise PrerequisiteError(f"{file} is not a predictions file of the harness: {error}.") from error


def _make_predictions(table: pa.Table, facts: Mapping[str, Any]) -> Predictions:
    features = tuple(facts["features"])
    columns = [table.column(name).to_pylist() for name in _COLUMNS]
    weights = [table.column(_WEIGHT + feature).to_pylist() for feature in features]
    of_rows = zip(*weights, strict=True) if weights else ((),) * table.num_rows
    rows = (
        _make_prediction(dict(zip(_COLUMNS, values, strict=True)), found)
        for values, found in zip(zip(*columns, strict=True), of_rows, strict=True)
    )
    return Predictions(
        rows=tuple(rows),
        features=features,
        scales=tuple(facts["scales"]),
        held_out=facts["held_out"],
        key_parts=facts["key_parts"],
        has_hidden_keys=facts["has_hidden_keys"],
        sensitive=tuple(facts["sensitive"]),
    )


def _make_prediction(values: dict[str, Any], weights: tuple[float | None, ...]) -> Prediction:
    known = tuple(weight for weight in weights if weight is not None)
    is_explained = weights and len(known) == len(weights)
    values["segments"] = tuple(values["segments"])
    return Prediction(**values, weights=known if is_explained else None)


def _type_of(kind: str) -> Any:
    import pyarrow as pa

    return {"string": pa.string(), "double": pa.float64(), "strings": pa.list_(pa.string())}[kind]


@dataclass(frozen=True)
class SentFile:
    """A file that a job sends over standard output, its only channel."""

    path: str
    """Path in the run's folder."""
    content: bytes

    def to_line(self) -> str:
        """Return the file as one line of JSON, without a line end."""
        content = base64.b64encode(self.content).decode()
        return f'{LINE_START}{json.dumps(self.path)}, "content": "{content}"}}'

    @classmethod
    def from_line(cls, line: str) -> SentFile | None:
        """Read a file from a line; None if the line isn't one, or its path isn't one of predictions."""
        if not line.startswith(LINE_START):
            return None
        try:
            values = json.loads(line)
            path, content = values["file"], base64.b64decode(values["content"], validate=True)
        except (ValueError, KeyError, TypeError):
            return None
        return cls(path, content) if isinstance(path, str) and _FILE.fullmatch(path) else None
