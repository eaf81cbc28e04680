"""Profiles of a data file's columns: key, classes of the label, features, dates and leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from harness.authoring.data_file import Data
from harness.errors import UsageError, did_you_mean
from harness.reading.column_naming import quote_name
from harness.scenario.model_base import Value
from harness.views.formatting import format_count

if TYPE_CHECKING:
    import pandas as pd

_MOST_CATEGORIES = 20
_MOST_CLASSES = 50
_MOST_SHOWN = 10
_POSITIVE = ("1", "1.0", "true", "yes", "y")
_NEGATIVE = ("0", "0.0", "false", "no", "n")
_ID = re.compile(r"(^|_)(id|key|uuid|guid)(_|$)|^row_?(number|nr|no|names?)?$|Id$|ID$|^index$", re.ASCII)
_ROW_NUMBER = re.compile(r"Unnamed: \d+")
"""Name of a column without a name, in which pandas and R write the number or the name of each row."""
_REPEATED_ID = 0.5
"""A column named like an identifier is one if at least this share of its values is distinct."""
_RESERVED = re.compile(r"(features|prediction|probability|rawprediction|weights|r2)$|harness_", re.IGNORECASE)
_DATE = r"\d{4}-\d{2}-\d{2}([T ].*)?"

Kind = Literal["numeric", "categorical", "date", "out"]


@dataclass(frozen=True)
class Classes:
    """The positive and negative values of the label."""

    positive: tuple[Value, ...]
    negative: tuple[Value, ...]
    reason: str
    """Why these values are the positive ones."""


@dataclass(frozen=True)
class Candidate:
    """A column that could be a feature, with its kind."""

    name: str
    kind: Kind
    reason: str = ""
    """Why the column is excluded."""


def find_key(data: Data, label: str, given: str | None) -> str | None:
    """Return the column that identifies rows: the specified one, or the most likely one.

    Returns:
        The column; ``None`` if none has a distinct whole number or text in each row.

    Raises:
        UsageError: The specified column has nulls or duplicates.
    """
    if given is not None:
        _require_key(data, given)
        return given
    candidates = [str(name) for name in data.frame.columns if name != label and _can_be_key(data.frame[name])]
    return min(candidates, key=lambda name: _rank_key(name, data.frame[name]), default=None)


def _rank_key(name: str, values: Any) -> int:
    """Return 0 for the likeliest key: its name says so; then row numbers, texts, and other numbers."""
    from pandas.api import types

    if _ID.search(name):
        return 0
    if _ROW_NUMBER.fullmatch(name) or _numbers_rows(values):
        return 1
    return 3 if types.is_numeric_dtype(values) else 2


def _numbers_rows(values: pd.Series) -> bool:
    """Return whether whole numbers count the rows, with few gaps."""
    from pandas.api import types

    if not types.is_integer_dtype(values):
        return False
    return bool(values.max() - values.min() < 2 * len(values) and values.is_monotonic_increasing)


def find_classes(data: Data, label: str, given: Sequence[str]) -> Classes:
    """Return the positive and negative values of the label.

    Raises:
        UsageError: The label has one value, or too many values to decide which are positive.
    """
    counts = data.column(label, "the label").value_counts()
    by_text = {_to_text(value): _to_plain_value(value) for value in counts.index}
    if len(by_text) < 2:  # noqa: PLR2004 - two classes
        raise UsageError(f"The label '{label}' has only one class: {', '.join(by_text) or 'none'}.")
    if given:
        for value in given:
            if value not in by_text:
                near = did_you_mean(value, by_text)
                raise UsageError(
                    f"--positive {value}: column '{label}' has no such value.{near}",
                    remedy=f"Its values: {_list_first(list(by_text))}.",
                )
        return _make_classes(by_text, given, "specified by --positive")
    texts = list(by_text)
    if len(texts) > 2:  # noqa: PLR2004 - two classes
        shown = _list_first([f"{text} ({counts.iloc[at]:,} rows)" for at, text in enumerate(texts)])
        raise UsageError(
            f"The label '{label}' has {len(texts):,} values: {shown}.",
            remedy="Specify the values to predict: --positive VALUE, repeated for each value.",
        )
    positive = [text for text in texts if text.lower() in _POSITIVE]
    negative = [text for text in texts if text.lower() in _NEGATIVE]
    if len(positive) == 1 and len(negative) == 1:
        return _make_classes(by_text, positive, "by convention; swap the lists if the other one is positive")
    is_tie = counts.iloc[0] == counts.iloc[-1]
    reason = "one of two equally frequent classes" if is_tie else "the rarer class"
    return _make_classes(by_text, texts[-1:], f"{reason}; swap the lists if the other one is positive")


def _list_first(texts: Sequence[str]) -> str:
    return f"{', '.join(texts[:_MOST_SHOWN])}{' ...' if len(texts) > _MOST_SHOWN else ''}"


def find_candidates(data: Data, key: str, label: str, positive: pd.Series) -> list[Candidate]:
    """Return every column except key and label, with its kind.

    Args:
        data: The rows.
        key: Name of the key column.
        label: Name of the label column.
        positive: Whether each row is of the positive class; all others are negative.
    """
    names = [name for name in data.frame.columns if name not in (key, label)]
    return [_make_candidate(str(name), data.frame[name], positive) for name in names]


def is_date(values: pd.Series) -> bool:
    """Return whether the values are dates or times, or texts that Spark parses as such."""
    from pandas.api import types

    if types.is_datetime64_any_dtype(values):
        return True
    present = values.dropna()
    if not types.is_object_dtype(values) or present.empty:
        return False
    if isinstance(present.iloc[0], date):
        return True
    return _is_text(present) and bool(present.str.fullmatch(_DATE).all())


def _make_candidate(name: str, values: pd.Series, positive: pd.Series) -> Candidate:
    from pandas.api import types

    if _RESERVED.match(name):
        return Candidate(name, "out", "a name reserved for the models")
    if is_date(values):
        return Candidate(name, "date", f"a date; derive a number from it, such as year({quote_column(name)})")
    if _is_decimal(values):
        values = values.astype("float64")
    is_number = types.is_numeric_dtype(values)
    if not is_number and not _is_text(values.dropna()):
        return Candidate(name, "out", "neither numbers nor text")
    if reason := _explain_exclusion(name, values, positive, is_number=is_number):
        return Candidate(name, "out", reason)
    return Candidate(name, "numeric" if is_number else "categorical")


def _explain_exclusion(name: str, values: pd.Series, positive: pd.Series, *, is_number: bool) -> str:
    """Return why a column of numbers or text is not a feature; empty if it can be one."""
    distinct = values.nunique()
    if distinct < 2:  # noqa: PLR2004 - a constant carries no information
        return "the same in every row"
    is_number_of_row = _ROW_NUMBER.fullmatch(name) and _can_be_key(values)
    if is_number_of_row or (_ID.search(name) and distinct >= _REPEATED_ID * values.notna().sum()):
        return "identifies rows, or groups of few rows, and does not generalize"
    if leak := _explain_leak(values, positive, is_number=is_number):
        return leak
    if not is_number and distinct > _MOST_CATEGORIES:
        return f"text with {distinct:,} values, too many to encode as indicators"
    return ""


def _explain_leak(values: pd.Series, positive: pd.Series, *, is_number: bool) -> str:
    """Return why a column seems to leak the label; empty if it does not."""
    reason = "predicts the label perfectly; is it known before the outcome?"
    empty = values.isna()
    if empty.any() and (empty == positive).all() | (empty != positive).all():
        return reason
    if values.nunique() <= _MOST_CATEGORIES:
        classes = positive.groupby(values, dropna=False).nunique()
        return reason if classes.max() == 1 else ""
    if not is_number:
        return ""
    low, high = values[~positive], values[positive]
    return reason if low.max() < high.min() or high.max() < low.min() else ""


def _make_classes(by_text: dict[str, Value], positive: Sequence[str], reason: str) -> Classes:
    negative = [value for text, value in by_text.items() if text not in positive]
    if not negative:
        raise UsageError("All values of the label are positive; remove at least one --positive.")
    if len(negative) > _MOST_CLASSES:
        raise UsageError(
            f"The label has {len(by_text):,} values, too many for classes; derive a label with fewer first."
        )
    return Classes(tuple(by_text[text] for text in positive), tuple(negative), reason)


def _require_key(data: Data, name: str) -> None:
    values = data.column(name, "the key")
    nulls, duplicates = int(values.isna().sum()), int(values.dropna().duplicated().sum())
    if nulls or duplicates:
        reasons = [
            f"{format_count(count, 'row')} {verb}"
            for count, verb in (
                (nulls, "without a value"),
                (duplicates, "with the value of an earlier row"),
            )
            if count
        ]
        raise UsageError(
            f"The column '{name}' can't be the key: {' and '.join(reasons)}.",
            remedy="Choose a column that identifies each row: --key COLUMN.",
        )


def _can_be_key(values: pd.Series) -> bool:
    from pandas.api import types

    if values.isna().any() or is_date(values):
        return False
    is_suitable = types.is_integer_dtype(values) or _is_text(values) or _is_decimal(values)
    return is_suitable and bool(values.is_unique)


def _is_decimal(values: pd.Series) -> bool:
    """Return whether the values are whole numbers that don't fit into 64 bits."""
    from pandas.api import types

    return bool(types.infer_dtype(values, skipna=True) == "decimal")


def _is_text(values: pd.Series) -> bool:
    from pandas.api import types

    return bool(types.infer_dtype(values, skipna=True) == "string")


def _to_text(value: object) -> str:
    return str(_to_plain_value(value))


def _to_plain_value(value: object) -> Value:
    """Return a value as a plain Python type; floats without a fraction become integers."""
    item = value.item() if hasattr(value, "item") else value
    if isinstance(item, float) and item.is_integer():
        return int(item)
    return item if isinstance(item, bool | int | float) else str(item)


def quote_column(name: str) -> str:
    """Return a column name as SQL, quoted if necessary."""
    is_plain = name.isidentifier() and name.isascii()
    return name if is_plain else quote_name(name)
