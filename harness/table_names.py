"""Names of tables in a catalog: ``catalog.schema.table``, or ``schema.table`` in a metastore with two levels.

Parts may be in backquotes, as in Spark. Neither a folder that exists nor a path with a slash is taken for a
name.
"""

from __future__ import annotations

import re

# Unity Catalog allows no dots, slashes and spaces in names.
_PART = r"(?:[\w-]+|`[\w-]+`)"
_NAME = re.compile(rf"{_PART}(?:\.{_PART}){{1,2}}")


def is_table_name(text: str) -> bool:
    """Return whether a text is the name of a table in a catalog, rather than a URI or a path."""
    return _NAME.fullmatch(text) is not None


def normalize_table_name(name: str) -> str:
    """Return a name without backquotes."""
    return name.replace("`", "")


def quote_table_name(name: str) -> str:
    """Return a name as Spark's SQL takes it, whatever its parts consist of."""
    return ".".join(f"`{part}`" for part in normalize_table_name(name).split("."))
