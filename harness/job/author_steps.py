"""What a custom pipeline's stages and models do to the rows, checked while the harness applies them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, functions as F

from harness.errors import HarnessError, JobError
from harness.job.spark_errors import summarize_error, translate_storage_error
from harness.pipelines import KEY
from harness.views.formatting import format_count


@contextmanager
def attribute_to_author(use: str | None, step: str) -> Iterator[None]:
    """Report an error in what a custom pipeline returned, such as a column that doesn't exist, as its own.

    Args:
        use: The custom pipeline; None for a built-in one, whose errors stay as they are.
        step: The step that returned the stage or the model.

    Raises:
        JobError: The block failed, and the error is not one of storage.
    """
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        if use is None or translate_storage_error(error) is not None:
            raise
        cause = summarize_error(error).removesuffix(".")
        message = f"{use}: what '{step}' returned failed on the rows: {cause}."
        raise JobError(message, remedy="The whole traceback is in the job's log.") from error


def count_dropped_rows(
    before: DataFrame, after: DataFrame, stages: Sequence[Any], use: str, *, may_drop: bool
) -> int:
    """Return how many rows the stages of a custom pipeline dropped, after checking that none was added.

    Args:
        before: The rows that went in.
        after: The rows that came out.
        stages: The stages.
        use: The pipeline.
        may_drop: Whether it says that it drops rows.

    Raises:
        JobError: Rows were added, or dropped although the pipeline doesn't say so.
    """
    rows, left, keys, known = _count_keys(before, after)
    if left != keys or known != keys:
        message = f"{use}: prepare: {format_count(rows, 'row')} went in, {left:,} came out"
        raise JobError(f"{message}, of {format_count(known, 'known key')}; each row must stay one row.")
    if left < rows and not may_drop:
        message = (
            f"{use}: prepare: {format_count(rows, 'row')} went in, {left:,} came out; {_find_cause(stages)}"
        )
        raise JobError(
            message,
            remedy="Handle these rows, such as with handleInvalid='keep' or an imputer; "
            "or return PreparedFeatures(..., drops_rows=True), and bound 'dropped_rows'.",
        )
    return rows - left


def require_same_rows(before: DataFrame, after: DataFrame, use: str, what: str) -> None:
    """Require that a custom model scores each row once.

    Raises:
        JobError: It scores other rows.
    """
    rows, left, keys, known = _count_keys(before, after)
    if {rows} != {left, keys, known}:
        raise JobError(
            f"{use}: {what}: {format_count(rows, 'row')} went in, {left:,} came out; "
            "a model must score each row once."
        )


def require_probabilities(scored: DataFrame, score: str, use: str) -> None:
    """Require that the scores of a custom model are probabilities; NaN stands for one that is not known.

    Raises:
        JobError: A score is below 0 or above 1.
    """
    value = F.col(score)
    outside = scored.where((value < 0) | ((value > 1) & ~F.isnan(value)))
    first = outside.agg(F.count("*").alias("rows"), F.max(value).alias("largest")).first()
    if first is not None and first["rows"]:
        rows = format_count(first["rows"], "held-out row")
        message = f"{use}: fit: the 'probability' of {rows} is not between 0 and 1, such as"
        raise JobError(f"{message} {first['largest']:g}.")


def _count_keys(before: DataFrame, after: DataFrame) -> tuple[int, int, int, int]:
    """Return the rows before and after, the distinct keys after, and how many of these there were before."""
    counted = after.groupBy(KEY).agg(F.count("*").alias("left"))
    known = F.col("rows").isNotNull() & F.col("left").isNotNull()
    [row] = (
        before.select(KEY, F.lit(1).alias("rows"))
        .join(counted, KEY, "full")
        .agg(F.count("rows"), F.sum("left"), F.count("left"), F.count(F.when(known, 1)))
        .collect()
    )
    return row[0], row[1] or 0, row[2], row[3]


def _find_cause(stages: Sequence[Any]) -> str:
    for stage in stages:
        if stage.hasParam("handleInvalid") and stage.getOrDefault("handleInvalid") == "skip":
            return f"handleInvalid='skip' of {type(stage).__name__} drops rows."
    return "a stage drops rows."
