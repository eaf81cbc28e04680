"""Sensitive columns: what belongs to them, and what is shown instead of their values."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

_MARK = "#"
_DIGITS = 16


def find_sensitive_columns(listed: Iterable[str], derived: Mapping[str, str]) -> frozenset[str]:
    """Return the listed columns, and those derived from them, in lower case.

    Args:
        listed: The columns that a scenario lists.
        derived: Derived column to its SQL expression; one that mentions a sensitive column is sensitive.
    """
    names = {name.lower() for name in listed}
    # One pass per derived column, because an expression may use another derived column.
    for _ in derived:
        names |= {name.lower() for name, expression in derived.items() if mentions(expression, names)}
    return frozenset(names)


def mentions(expression: str, names: Iterable[str]) -> bool:
    """Return whether a SQL expression mentions a column.

    Args:
        expression: The expression.
        names: The columns, in lower case.
    """
    text = expression.lower()
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in names)


def is_sensitive_slot(slot: str, columns: Iterable[str]) -> bool:
    """Return whether a slot of the feature vector belongs to a sensitive column.

    Args:
        slot: A feature, or a value of a categorical one, as ``FEATURE=VALUE``.
        columns: The sensitive columns, in lower case.
    """
    name = slot.lower()
    return any(name == column or name.startswith(f"{column}=") for column in columns)


def hide_slot(slot: str, columns: Iterable[str]) -> str:
    """Return the name of a slot as results show it: a digest replaces the value of a sensitive category.

    Args:
        slot: A feature, or a value of a categorical one, as ``FEATURE=VALUE``.
        columns: The sensitive columns, in lower case.
    """
    for column in columns:
        if slot.lower().startswith(f"{column}="):
            return slot[: len(column) + 1] + hide_value(slot[len(column) + 1 :])
    return slot


def hide_value(text: str) -> str:
    """Return the digest that stands for a sensitive value: the same in every version and run.

    It keeps readers from seeing the value, but whoever can guess a value can check the guess.
    """
    return _MARK + hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
