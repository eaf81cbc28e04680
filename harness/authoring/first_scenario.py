"""A first scenario of up to three versions, written from a data file."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.authoring.column_profile import find_candidates, find_classes, find_key, is_date, quote_column
from harness.authoring.data_file import CopyTable, Data, read_data
from harness.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


_PLAIN_SCALAR = re.compile(r"[A-Za-z_][\w./()%-]*( [\w./()%-]+)*\.?", re.ASCII)
_RESERVED_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_NAME_LENGTH = 64


def write_scenario(
    name: str,
    data: Path,
    label: str,
    positive: Sequence[str],
    key: str | None,
    folder: Path,
    copy_table: CopyTable | None = None,
) -> Path:
    """Write ``NAME.yaml`` into a folder, which is created if necessary.

    Raises:
        UsageError: The file exists, the name is invalid, or the data is not suitable.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"Invalid name '{name}': use letters, digits and underscores, starting with a letter."
        )
    if len(name) > _MAX_NAME_LENGTH:
        raise UsageError(f"Invalid name '{name}': use at most {_MAX_NAME_LENGTH} characters.")
    file = folder / f"{name}.yaml"
    if file.exists():
        raise UsageError(f"{file} already exists.", remedy="Choose another name, or delete the file.")
    text = render_scenario(name, read_data(data, copy_table), label, positive, key, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
    return file


def render_scenario(
    name: str, data: Data, label: str, positive: Sequence[str], key: str | None, folder: Path
) -> str:
    """Return the YAML of a first scenario, for a file in a folder.

    Raises:
        UsageError: The data has no suitable key, label or feature.
    """
    classes = find_classes(data, label, positive)
    columns = len(data.frame.columns)
    data, key = _choose_key(data, label, key)
    values = data.frame[label]
    is_positive, labeled = values.isin(classes.positive), values.notna()
    labeled_data = replace(data, frame=data.frame[labeled])
    candidates = find_candidates(labeled_data, key, label, is_positive[labeled])
    numeric, categorical, out = (
        [each for each in candidates if each.kind in kinds]
        for kinds in (("numeric",), ("categorical",), ("date", "out"))
    )
    if not numeric and not categorical:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in out)
        raise UsageError(
            f"No column of {data.path.name} can be a feature.", remedy=reasons or "It has no other columns."
        )
    smaller = min((is_positive & labeled).sum(), (~is_positive & labeled).sum())
    return _render_template(
        name=name,
        file=data.path.name,
        source=os.path.relpath(data.path.resolve(), folder.resolve()),
        options=data.options,
        reasons=data.reasons,
        rows=f"{len(data.frame):,}",
        columns=columns,
        key=key,
        has_content_key=key not in data.types,
        types={} if data.states_types else data.types,
        label=label,
        classes=classes,
        unlabeled=int((~labeled).sum()),
        numeric=numeric,
        categorical=categorical,
        out=out,
        split=split_versions(data, key, is_positive, labeled),
        enough=bool(smaller >= MIN_CLASS_ROWS),
        least=MIN_CLASS_ROWS,
    )


def _choose_key(data: Data, label: str, given: str | None) -> tuple[Data, str]:
    """Return the rows with their key, and its name: a column of theirs, or one from their content.

    Raises:
        UsageError: The specified column can't be the key, or no column can and the content can't be digested.
    """
    key = find_key(data, label, given)
    if key is not None:
        return data.with_key(key), key
    taken = {str(name).lower() for name in data.frame.columns}
    names = ("row_id", *(f"row_id_{number}" for number in range(2, len(taken) + 3)))
    key = next(name for name in names if name not in taken)
    if (with_key := data.with_content_key(key)) is None:
        raise UsageError(
            f"No column of {data.path.name} can be the key: "
            "none has a distinct whole number or text in each row, and some have lists or structs.",
            remedy="Add a column that numbers the rows and does not change when the file is regenerated.",
        )
    return with_key, key


def _render_template(**values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.authoring"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, in which the filters quote what needs it
    )
    environment.filters |= {"scalar": _format_scalar, "quoted": _quote}
    return environment.get_template("scenario.yaml.j2").render(values)


def _format_scalar(value: object) -> str:
    """Return a value as YAML, quoted if it would otherwise have another meaning."""
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _PLAIN_SCALAR.fullmatch(value) and value.lower() not in _RESERVED_WORDS else _quote(value)


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


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


def split_versions(data: Data, key: str, positive: pd.Series, labeled: pd.Series) -> VersionSplit:
    """Split a table by a date or by a hash of the key; leave it whole if the parts would be too small."""
    dates = [str(name) for name in data.frame.columns if is_date(data.frame[name])]
    for name in dates:
        values = data.frame[name]
        if not values.isna().any() and (days := _parse_days(values)) is not None:
            parts = _split_by_day(name, days)
            if parts is not None and _is_enough(parts, positive, labeled):
                return _make_split(
                    parts, f"split by '{name}', in the order in which the table may have grown"
                )
    by_hash = list(_split_by_hash(data, key))
    if _is_enough(by_hash, positive, labeled):
        why = "as no date column shows how the table has grown"
        if dates:
            why = f"as the parts by {' or '.join(map(repr, dates))} would have too few rows of a class"
        return _make_split(by_hash, f"split by a hash of the key, {why}")
    return VersionSplit((Part("all", "", len(data.frame)),), "a third of the rows is too few to train on")


def _parse_days(values: pd.Series) -> pd.Series | None:
    """Return the day that each value is compared by, as text; ``None`` if there is a value without one."""
    import pandas as pd

    first = values.iloc[0]
    if isinstance(first, str):
        # Spark compares text as text.
        return values.str[: len("2024-01-01")]
    try:
        times = pd.to_datetime(values, utc=True)
    except (ValueError, TypeError):
        return None
    return times.dt.strftime("%Y-%m-%d")


def _split_by_day(name: str, days: pd.Series) -> list[tuple[str, pd.Series]] | None:
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


def _split_by_hash(data: Data, key: str) -> Iterator[tuple[str, pd.Series]]:
    thirds = data.frame[key].map(lambda value: zlib.crc32(str(value).encode()) % 3)
    for third in range(3):
        yield f"crc32(cast({quote_column(key)} as string)) % 3 = {third}", thirds == third


def _is_enough(parts: list[tuple[str, pd.Series]], positive: pd.Series, labeled: pd.Series) -> bool:
    """Return whether the first version has enough rows of each class and every later one adds rows."""
    first = parts[0][1]
    smaller = min((first & labeled & positive).sum(), (first & labeled & ~positive).sum())
    return bool(smaller >= MIN_CLASS_ROWS and all(chosen.any() for _where, chosen in parts))


def _make_split(parts: list[tuple[str, pd.Series]], reason: str) -> VersionSplit:
    rows = 0
    versions = []
    for name, (where, chosen) in zip(_NAMES, parts, strict=True):
        rows += int(chosen.sum())
        versions.append(Part(name, where, rows))
    return VersionSplit(tuple(versions), reason)
