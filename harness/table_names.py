"""Names of tables in a catalog: ``catalog.schema.table``, or ``schema.table`` in a metastore with two levels.

Parts may be in backquotes, as in Spark. Neither a folder that exists nor a path with a slash is taken for a
name.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

# Unity Catalog allows no dots, slashes and spaces in names.
_PART = r"(?:[\w-]+|`[\w-]+`)"
_RUN, _UNTIL = "_run_", "_until_"
_WEEK = 7
_BUILT = re.compile(rf"{_RUN}\w+{_UNTIL}(?P<until>\d{{8}})$")
"""End of the name of a table that a run has built: the run's ID and a day."""
_LEVELS = 3
_NAME = re.compile(rf"{_PART}(?:\.{_PART}){{1,2}}")


def is_table_name(text: str) -> bool:
    """Return whether a text is the name of a table in a catalog, rather than a URI or a path."""
    return _NAME.fullmatch(text) is not None


def is_full_table_name(text: str) -> bool:
    """Return whether a text is the name of a table with its catalog: ``catalog.schema.table``."""
    return is_table_name(text) and text.count(".") == _LEVELS - 1


def normalize_table_name(name: str) -> str:
    """Return a name without backquotes."""
    return name.replace("`", "")


def name_built_table(schema: str, table: str, run_id: str, until: str) -> str:
    """Return the name of a table that a run builds in a schema, such as ``main.harness``.

    Args:
        schema: The schema, with its catalog.
        table: The table's name in the scenario.
        run_id: The run.
        until: The day after which it may be removed, as ``YYYYMMDD``.
    """
    return f"{schema}.{table}{_RUN}{_make_word(run_id)}{_UNTIL}{until}"


def choose_expiry(today: date, days: int) -> str:
    """Return the day after which what is made today may be removed, as ``YYYYMMDD``: always a Monday.

    Args:
        today: The day.
        days: Number of days for which it is needed at least.
    """
    until = today + timedelta(days=days)
    until += timedelta(days=-until.weekday() % _WEEK)
    return f"{until:%Y%m%d}"


def is_built_by(name: str, run_id: str) -> bool:
    """Return whether a name is that of a table that a run has built."""
    return f"{_RUN}{_make_word(run_id)}{_UNTIL}" in name


def find_expiry(name: str) -> str | None:
    """Return the day after which a table that a run has built may be removed; ``None`` for other tables."""
    found = _BUILT.search(name)
    return None if found is None else found["until"]


def _make_word(run_id: str) -> str:
    """Return a run's ID without hyphens, which Spark's own catalog doesn't allow in names."""
    return run_id.replace("-", "_")


def quote_table_name(name: str) -> str:
    """Return a name as Spark's SQL takes it, whatever its parts consist of."""
    return ".".join(f"`{part}`" for part in normalize_table_name(name).split("."))
