"""Names of columns: of those that a file leaves without a name or names twice, and in SQL."""

from __future__ import annotations

from collections.abc import Sequence


def quote_name(name: str) -> str:
    """Quote a column's name for Spark's SQL; it may contain any characters."""
    return "`" + name.replace("`", "``") + "`"


def name_columns(header: Sequence[str | None]) -> tuple[str, ...]:
    """Return a distinct name for each column, as pandas names them.

    A name loses the spaces around it. A column without a name is called by its position, from 0, such as
    ``Unnamed: 0``. A name that occurred before gets a number: ``age``, ``age.1``, ``age.2``; so does one that
    differs from an earlier one only in case, which Spark ignores.

    Args:
        header: The names in the file, in order; empty or ``None`` for a column without a name.
    """
    plain = [(name or "").replace("\r\n", "\n").strip() for name in header]
    written = [name or f"Unnamed: {index}" for index, name in enumerate(plain)]
    taken = {name.lower() for name in written}
    seen: set[str] = set()
    names = []
    for name in written:
        unique = name if name.lower() not in seen else _number(name, taken | seen)
        seen.add(unique.lower())
        names.append(unique)
    return tuple(names)


def number_columns(count: int) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header, as Spark has them: ``_c0``, ``_c1``."""
    return tuple(f"_c{index}" for index in range(count))


def _number(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}.{number}".lower() in taken:
        number += 1
    return f"{name}.{number}"
