"""What the columns of a table look like: a key, a label's classes, features, dates, leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from harness.authoring.data_file import Data
from harness.errors import UsageError
from harness.scenario.model_base import Value
from harness.suggestions import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

_MOST_CATEGORIES = 20
_MOST_CLASSES = 50
_POSITIVE = ("1", "1.0", "true", "yes", "y")
_NEGATIVE = ("0", "0.0", "false", "no", "n")
_ID = re.compile(r"(^|_)(id|key|uuid|guid)(_|$)|^row_?(number|nr|no)?$|Id$|ID$", re.ASCII)
_RESERVED = re.compile(r"(features|prediction|probability|rawprediction|weights|r2)$|harness_", re.IGNORECASE)
_DATE = r"\d{4}-\d{2}-\d{2}([T ].*)?"

Kind = Literal["numeric", "categorical", "date", "out"]


@dataclass(frozen=True)
class Classes:
    """The label's values."""

    positive: tuple[Value, ...]
    negative: tuple[Value, ...]
    reason: str
    """Why these are the positive ones."""


@dataclass(frozen=True)
class Candidate:
    """A column that could be a feature, and why it is or is not."""

    name: str
    kind: Kind
    reason: str = ""
    """Why it is left out."""


def find_key(data: Data, label: str, given: str | None) -> str:
    """The column that names a row: the one that is given, or the likeliest.

    Raises:
        UsageError: There is none, or the one that is given has nulls or values twice.
    """
    if given is not None:
        _refuse_no_key(data, given)
        return given
    fitting = [str(name) for name in data.frame.columns if name != label and _can_be_key(data.frame[name])]
    if not fitting:
        raise UsageError(
            f"No column of {data.path.name} can be the key: none is a whole number or a text with a value of "
            "its own in each row.",
            remedy="Add a column that numbers the rows, which stays the same whenever the file is made anew.",
        )
    return min(fitting, key=lambda name: _ID.search(name) is None)


def find_classes(data: Data, label: str, given: Sequence[str]) -> Classes:
    """The label's positive and negative values.

    Raises:
        UsageError: It has one value, or too many to tell which are positive.
    """
    counts = data.column(label, "the label").value_counts()
    by_text = {_text(value): _plain(value) for value in counts.index}
    if len(by_text) < 2:  # noqa: PLR2004 - two classes
        raise UsageError(f"The label '{label}' has one class: {', '.join(by_text) or 'none'}.")
    if given:
        for value in given:
            if value not in by_text:
                near = did_you_mean(value, by_text)
                raise UsageError(f"The label '{label}' has no value '{value}'.{near}")
        return _classes(by_text, given, "said by --positive")
    texts = list(by_text)
    if len(texts) > 2:  # noqa: PLR2004 - two classes
        shown = ", ".join(f"{text} ({counts.iloc[at]:,} rows)" for at, text in enumerate(texts[:10]))
        raise UsageError(
            f"The label '{label}' has {len(texts):,} values: {shown}{' ...' if len(texts) > 10 else ''}.",  # noqa: PLR2004 - as many as are shown
            remedy="Say which of them are to be predicted: --positive VALUE, once for each.",
        )
    known = [text for text in texts if text.lower() in _POSITIVE]
    others = [text for text in texts if text.lower() in _NEGATIVE]
    if len(known) == 1 and len(others) == 1:
        return _classes(by_text, known, "as is usual")
    return _classes(by_text, texts[-1:], "the rarer class; turn them round if it is the other one")


def find_candidates(data: Data, key: str, label: str, positive: pd.Series) -> list[Candidate]:
    """Every column but key and label, with what it could be.

    Args:
        data: The rows.
        key: Name of the key.
        label: Name of the label's column.
        positive: Whether each row is of the positive class; the others are of the negative one.
    """
    names = [name for name in data.frame.columns if name not in (key, label)]
    return [_candidate(str(name), data.frame[name], positive) for name in names]


def is_date(values: pd.Series) -> bool:
    """Whether these are dates or times, or texts that Spark takes for them."""
    from pandas.api import types

    if types.is_datetime64_any_dtype(values):
        return True
    known = values.dropna()
    if not types.is_object_dtype(values) or known.empty:
        return False
    if isinstance(known.iloc[0], date):
        return True
    return _is_text(known) and bool(known.str.fullmatch(_DATE).all())


def _candidate(name: str, values: pd.Series, positive: pd.Series) -> Candidate:
    from pandas.api import types

    if _RESERVED.match(name):
        return Candidate(name, "out", "a name that the models need themselves")
    if is_date(values):
        return Candidate(name, "date", f"a date; derive a number from it, such as year({name})")
    is_number = types.is_numeric_dtype(values)
    if not is_number and not _is_text(values.dropna()):
        return Candidate(name, "out", "neither numbers nor text")
    if reason := _out(name, values, positive, is_number=is_number):
        return Candidate(name, "out", reason)
    return Candidate(name, "numeric" if is_number else "categorical")


def _out(name: str, values: pd.Series, positive: pd.Series, *, is_number: bool) -> str:
    """Why a column of numbers or text is no feature; empty where it may be one."""
    distinct = values.nunique()
    if distinct < 2:  # noqa: PLR2004 - one value tells nothing
        return "the same in every row"
    if _ID.search(name) and _can_be_key(values):
        return "names a row, and says nothing of another"
    if leak := _leak(values, positive, is_number=is_number):
        return leak
    if not is_number and distinct > _MOST_CATEGORIES:
        return f"text with {distinct:,} values, too many for an indicator each"
    return ""


def _leak(values: pd.Series, positive: pd.Series, *, is_number: bool) -> str:
    """Why a column knows the label too well; empty where it does not."""
    reason = "tells the label by itself, without a mistake: is it known before the outcome?"
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


def _classes(by_text: dict[str, Value], positive: Sequence[str], reason: str) -> Classes:
    negative = [value for text, value in by_text.items() if text not in positive]
    if not negative:
        raise UsageError("All of the label's values are positive: leave one of --positive out.")
    if len(negative) > _MOST_CLASSES:
        raise UsageError(f"The label has {len(by_text):,} values, which are no classes; derive one first.")
    return Classes(tuple(by_text[text] for text in positive), tuple(negative), reason)


def _refuse_no_key(data: Data, name: str) -> None:
    values = data.column(name, "the key")
    nulls, twice = int(values.isna().sum()), int(values.dropna().duplicated().sum())
    if nulls or twice:
        raise UsageError(
            f"The column '{name}' can't be the key: it is empty in {nulls:,} rows, "
            f"and has a value that stood before in {twice:,}."
        )


def _can_be_key(values: pd.Series) -> bool:
    from pandas.api import types

    if values.isna().any() or is_date(values):
        return False
    return (types.is_integer_dtype(values) or _is_text(values)) and bool(values.is_unique)


def _is_text(values: pd.Series) -> bool:
    from pandas.api import types

    return bool(types.infer_dtype(values, skipna=True) == "string")


def _text(value: object) -> str:
    return str(_plain(value))


def _plain(value: object) -> Value:
    """A value as YAML has it: whole numbers whole, also where gaps have made them fractions."""
    item = value.item() if hasattr(value, "item") else value
    if isinstance(item, float) and item.is_integer():
        return int(item)
    return item if isinstance(item, bool | int | float) else str(item)
