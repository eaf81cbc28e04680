"""Types of columns, as Spark writes them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location, Problem
from harness.suggestions import asked, nearest

_TYPES = (
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "string",
    "binary",
    "date",
    "timestamp",
    "timestamp_ntz",
)
_SYNONYMS = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "dec": "decimal",
    "numeric": "decimal",
    "timestamp_ltz": "timestamp",
}
"""What SQL takes, and Spark writes otherwise."""
_WORDS = {"text": "string", "str": "string", "varchar": "string", "bool": "boolean", "datetime": "timestamp"}
"""What people write, and SQL does not take so."""


def type_problems(column: str, kind: str, at: Location, *, as_written: bool = False) -> Iterator[Problem]:
    """A type that is none, as far as it is one word.

    Args:
        column: Whose type it is.
        kind: The type.
        at: Where it stands.
        as_written: Whether it must be written as Spark writes it, and not only as SQL takes it.
    """
    word = kind.strip().lower()
    known = word in _TYPES or (word in _SYNONYMS and not as_written)
    if known or not (word.isidentifier() or not word):
        return
    hint = asked(_SYNONYMS.get(word) or _WORDS.get(word) or nearest(word, _TYPES))
    yield Problem(f"'{kind}' of column '{column}' is no type that Spark writes.{hint}", at)
