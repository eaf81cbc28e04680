"""Types that a scenario states for columns, applied with Spark; values of another type are mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.job.table_io import column
from harness.reading.stated_types import StatedType
from harness.reading.value_typing import BLANKS

_MAX_EXAMPLES = 10


class MisfitError(Exception):
    """Values that are not of the type that the scenario states for their column."""

    def __init__(self, examples: Mapping[str, tuple[str, ...]], counts: Mapping[str, int]) -> None:
        super().__init__(", ".join(examples))
        self.examples = examples
        """Column to up to ten of these values."""
        self.counts = counts
        """Column to the number of rows with such a value."""


@dataclass(frozen=True)
class Misfits:
    """Values of a column that are not of its stated type."""

    value: Column
    """The column as text."""
    is_misfit: Column
    count: int


def apply_stated_types(frame: DataFrame, stated: Mapping[str, StatedType]) -> DataFrame:
    """Return the rows with the types that are stated for their columns.

    Args:
        frame: Rows of a source with types of its own.
        stated: Types of columns, by their names in lower case.

    Raises:
        MisfitError: Values of a column are not of its stated type.
    """
    columns = {
        field.name: kind
        for field in frame.schema
        if (kind := stated.get(field.name.lower())) and field.dataType.simpleString() != kind.kind
    }
    if not columns:
        return frame
    texts = {name: trim(column(name).cast("string")) for name in columns}
    wrong = {name: _loses(frame, name, texts[name], kind) for name, kind in columns.items()}
    row = frame.select(*(F.count(F.when(each, 1)) for each in wrong.values())).first()
    counts = dict(zip(columns, row or (), strict=True))
    misfits = {name: Misfits(texts[name], wrong[name], count) for name, count in counts.items() if count}
    if misfits:
        raise collect_misfits(frame, misfits)
    return frame.withColumns({name: _convert(frame, name, kind) for name, kind in columns.items()})


def _is_numeric(frame: DataFrame, name: str, kind: StatedType) -> bool:
    return kind.is_number and isinstance(frame.schema[name].dataType, T.NumericType)


def _loses(frame: DataFrame, name: str, text: Column, kind: StatedType) -> Column:
    """Return whether a value would become another one in a type, or null."""
    if not _is_numeric(frame, name, kind):
        return is_misfit(text, kind)
    value = column(name)
    return value.isNotNull() & ~F.coalesce(value.cast(kind.kind) == value, F.lit(False))


def _convert(frame: DataFrame, name: str, kind: StatedType) -> Column:
    value = column(name)
    if kind.kind == "string":
        return value.cast("string")
    return (
        value.cast(kind.kind)
        if _is_numeric(frame, name, kind)
        else cast_text(trim(value.cast("string")), kind)
    )


def collect_misfits(frame: DataFrame, misfits: Mapping[str, Misfits]) -> MisfitError:
    """Return the error for values that are not of the stated types, with the first of them."""
    examples = {
        name: tuple(
            row[0] for row in frame.where(each.is_misfit).select(each.value).limit(_MAX_EXAMPLES).collect()
        )
        for name, each in misfits.items()
    }
    return MisfitError(examples, {name: each.count for name, each in misfits.items()})


def is_misfit(value: Column, kind: StatedType) -> Column:
    """Return whether a trimmed value, which is not null, is not of a type, or would lose digits in it."""
    if kind.kind == "string":
        return F.lit(False)
    converted = cast_text(value, kind)
    fits = converted.isNotNull()
    if kind.form is not None:
        fits = fits & matches(value, kind.form)
    if kind.kind.startswith("decimal"):
        fits = fits & (converted.cast("decimal(38,18)") == value.cast("decimal(38,18)"))
    if kind.kind in ("float", "double"):
        fits = fits & (F.abs(converted) < float("inf"))
    return value.isNotNull() & ~F.coalesce(fits, F.lit(False))


def cast_text(value: Column, kind: StatedType) -> Column:
    """Return a trimmed text as a value of a type; null if it isn't one."""
    if kind.pattern is None:
        return value.cast(kind.kind)
    time = F.try_to_timestamp(value, F.lit(kind.pattern))
    return time.cast(kind.kind) if kind.kind == "date" else time


def trim(value: Column) -> Column:
    """Remove the blanks around a text."""
    return F.regexp_replace(value, rf"\A[{BLANKS}]+|[{BLANKS}]+\z", "")


def matches(value: Column, form: str) -> Column:
    """Return whether a whole text has a form, as a regular expression."""
    return value.rlike(rf"\A(?:{form})\z")
