"""The split of a table into the three versions of a first scenario."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.authoring.column_profile import is_date
from harness.authoring.data_file import Data

if TYPE_CHECKING:
    import pandas as pd

MIN_CLASS_ROWS = 30
"""Minimum number of rows of each class in a trained version; fewer do not prove anything."""
_NAMES = ("first", "second", "third")


@dataclass(frozen=True)
class Part:
    """One version: the rows it adds, and the number of rows that the table then has."""

    name: str
    where: str
    """SQL condition on the added rows; empty for all rows."""
    rows: int


@dataclass(frozen=True)
class VersionSplit:
    """The versions and the reason for this split."""

    parts: tuple[Part, ...]
    reason: str


def split_versions(data: Data, key: str, positive: pd.Series, labelled: pd.Series) -> VersionSplit:
    """Split a table by a date or by a hash of the key; not at all if the parts would be too small."""
    for name in data.frame.columns:
        values = data.frame[name]
        if is_date(values) and not values.isna().any() and (days := _days(values)) is not None:
            parts = _by_day(str(name), days)
            if parts is not None and _is_enough(parts, positive, labelled):
                return _parts(parts, f"split by '{name}', as the table may have grown")
    by_hash = list(_by_hash(data, key))
    if _is_enough(by_hash, positive, labelled):
        reason = "split by a hash of the key, as no date column shows how the table has grown"
        return _parts(by_hash, reason)
    return VersionSplit((Part("all", "", len(data.frame)),), "a third of the rows is too few to train on")


def quote_column(name: str) -> str:
    """Return a column name as SQL, quoted if necessary."""
    is_plain = name.isidentifier() and name.isascii()
    return name if is_plain else "`" + name.replace("`", "``") + "`"


def _days(values: pd.Series) -> pd.Series | None:
    import pandas as pd

    try:
        times = pd.to_datetime(values, utc=True, format=None if values.dtype.kind == "M" else "ISO8601")
    except (ValueError, TypeError):
        return None
    return times.dt.strftime("%Y-%m-%d")


def _by_day(name: str, days: pd.Series) -> list[tuple[str, pd.Series]] | None:
    ordered = days.sort_values()
    early, late = (str(ordered.iloc[len(ordered) * at // 3]) for at in (1, 2))
    if not str(ordered.iloc[0]) < early < late:
        return None
    column = quote_column(name)
    return [
        (f"{column} < '{early}'", days < early),
        (f"{column} >= '{early}' and {column} < '{late}'", (days >= early) & (days < late)),
        (f"{column} >= '{late}'", days >= late),
    ]


def _by_hash(data: Data, key: str) -> Iterator[tuple[str, pd.Series]]:
    thirds = data.frame[key].map(lambda value: zlib.crc32(str(value).encode()) % 3)
    for third in range(3):
        yield f"crc32(cast({quote_column(key)} as string)) % 3 = {third}", thirds == third


def _is_enough(parts: list[tuple[str, pd.Series]], positive: pd.Series, labelled: pd.Series) -> bool:
    """Return whether the first version has enough rows of each class and every later one adds rows."""
    first = parts[0][1]
    smaller = min((first & labelled & positive).sum(), (first & labelled & ~positive).sum())
    return bool(smaller >= MIN_CLASS_ROWS and all(chosen.any() for _where, chosen in parts))


def _parts(parts: list[tuple[str, pd.Series]], reason: str) -> VersionSplit:
    rows = 0
    versions = []
    for name, (where, chosen) in zip(_NAMES, parts, strict=True):
        rows += int(chosen.sum())
        versions.append(Part(name, where, rows))
    return VersionSplit(tuple(versions), reason)
