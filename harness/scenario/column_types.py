"""Names of column types, as Spark writes them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem, find_nearest, suggest
from harness.reading.stated_types import SYNONYMS

INTEGERS = ("tinyint", "smallint", "int", "bigint")
_NUMBERS = (*INTEGERS, "float", "double")
_DATES = ("date", "timestamp", "timestamp_ntz")
_TYPES = ("boolean", *_NUMBERS, "decimal", "string", "binary", *_DATES)
_SYNONYMS = {
    **SYNONYMS,
    "dec": "decimal",
    "numeric": "decimal",
    "timestamp_ltz": "timestamp",
}
"""Names that SQL accepts and Spark writes differently."""
_COMMON_NAMES = {
    "text": "string",
    "str": "string",
    "varchar": "string",
    "bool": "boolean",
    "datetime": "timestamp",
}
"""Names that people write and SQL doesn't accept."""


def is_number(kind: str) -> bool:
    """Return whether a type is one of numbers, as Spark writes it; ``boolean`` is not."""
    return kind in _NUMBERS or kind.startswith("decimal")


def is_date(kind: str) -> bool:
    """Return whether a type is one of dates or times."""
    return kind in _DATES


def check_type(column: str, kind: str, at: Location, *, as_written: bool = False) -> Iterator[Problem]:
    """Report an unknown type, if it is one word.

    Args:
        column: Name of the column.
        kind: The type.
        at: Its location in the scenario.
        as_written: Whether the type must be written as Spark writes it; otherwise, as SQL accepts it.
    """
    word = kind.strip().lower()
    is_known = word in _TYPES or (word in _SYNONYMS and not as_written)
    if is_known or not (word.isidentifier() or not word):
        return
    hint = suggest(_SYNONYMS.get(word) or _COMMON_NAMES.get(word) or find_nearest(word, _TYPES))
    yield Problem(f"unknown type '{kind}' of column '{column}'.{hint}", at)
