"""The files of predictions: their content, and how a job hands them over."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.errors import PrerequisiteError
from harness.prediction_files import SentFile, name_file, read_predictions, write_predictions
from harness.predictions import Prediction, Predictions
from tests.unit.predictions_samples import make_predictions

MIXED = Predictions(
    rows=(
        Prediction("a", 1.0, 0.25, "test", (0.5, math.inf)),
        Prediction("b", None, math.nan, "added", segments=("long", "new")),
    ),
    features=("score", "home=RENT"),
    scales=(2.0, 1.0),
    held_out=7,
    key_parts=2,
    has_hidden_keys=True,
    sensitive=("income",),
)


def test_the_file_has_the_documented_columns(tmp_path: Path) -> None:
    """The file has a column per field and per weight, with null for what isn't known."""
    write_predictions(MIXED, tmp_path / "predictions" / "v.parquet")
    table = pq.read_table(tmp_path / "predictions" / "v.parquet")
    of_rows = ["key", "label", "score", "split", "segments"]
    assert [*of_rows, "weight_score", "weight_home=RENT"] == table.column_names
    assert [[0.5, None], [1.0, None], ["test", "added"], [[], ["long", "new"]]] == [
        table.column(name).to_pylist() for name in ("weight_score", "label", "split", "segments")
    ]


@pytest.mark.parametrize(
    "predictions",
    [MIXED, make_predictions({"a": 0.5}), Predictions(()), make_predictions({"a": 0.1}).hide_columns("xz")],
)
def test_predictions_survive_their_file(tmp_path: Path, predictions: Predictions) -> None:
    """Predictions are the same after writing and reading their file, also without rows or weights."""
    write_predictions(predictions, tmp_path / "v=1" / "v.parquet")
    assert repr(predictions) == repr(read_predictions(tmp_path / "v=1" / "v.parquet"))


def test_the_same_predictions_make_the_same_file(tmp_path: Path) -> None:
    """Two files of the same predictions are equal byte by byte."""
    files = [tmp_path / name for name in ("one.parquet", "two.parquet")]
    for file in files:
        write_predictions(MIXED, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_missing_file_is_nothing(tmp_path: Path) -> None:
    """A file that doesn't exist has no predictions."""
    assert read_predictions(tmp_path / "v.parquet") is None


@pytest.mark.parametrize("content", [b"", b"not a Parquet file"])
def test_another_file_is_reported(tmp_path: Path, content: bytes) -> None:
    """A file that is not one of predictions is reported with its path."""
    (tmp_path / "v.parquet").write_bytes(content)
    with pytest.raises(PrerequisiteError, match=r"v\.parquet is not a predictions file"):
        read_predictions(tmp_path / "v.parquet")


def test_a_parquet_file_of_something_else_is_reported(tmp_path: Path) -> None:
    """A Parquet file with other columns is reported with its path."""
    write_predictions(MIXED, tmp_path / "v.parquet")
    table = pq.read_table(tmp_path / "v.parquet").drop_columns(["score"])
    pq.write_table(table, tmp_path / "v.parquet")
    with pytest.raises(PrerequisiteError, match=r"v\.parquet is not a predictions file"):
        read_predictions(tmp_path / "v.parquet")
    pq.write_table(
        table.replace_schema_metadata({"harness": '{"format_version": 2}'}), tmp_path / "v.parquet"
    )
    with pytest.raises(PrerequisiteError, match="it has format 2"):
        read_predictions(tmp_path / "v.parquet")
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "v.parquet")
    with pytest.raises(PrerequisiteError, match=r"v\.parquet is not a predictions file"):
        read_predictions(tmp_path / "v.parquet")


def test_a_sent_file_survives_its_line() -> None:
    """A file is the same after it was sent as a line, whatever its content."""
    sent = SentFile(name_file("january"), bytes(range(256)) * 3)
    assert (sent, False) == (SentFile.from_line(sent.to_line()), "\n" in sent.to_line())


@pytest.mark.parametrize(
    "line",
    [
        "",
        '{"event": {}}',
        '{"file": ',
        '{"file": "predictions/v.parquet"}',
        '{"file": "predictions/v.parquet", "content": "no base64!"}',
        '{"file": 7, "content": ""}',
        '{"file": "result.json", "content": ""}',
        '{"file": "predictions/../plan.json", "content": ""}',
        '{"file": "/predictions/v.parquet", "content": ""}',
        '{"file": "predictions/../../v.parquet", "content": ""}',
    ],
)
def test_other_lines_are_no_files(line: str) -> None:
    """A line that isn't a file, is damaged, or names another path than one of predictions is not a file."""
    assert SentFile.from_line(line) is None
