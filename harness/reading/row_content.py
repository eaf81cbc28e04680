"""Keys from the content of rows, computed as the job computes them (:mod:`harness.job.fingerprint`)."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from harness.reading.value_typing import TypedValue

REPEAT = "-"
"""Stands between the digest of a repeated row and its number, from 2."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPARK_SEED = 42
_FLOATS = {"float": "<f", "double": "<d"}
_SCALARS = (str, bool, int, float, Decimal, date)


def number_rows(
    columns: Mapping[str, Sequence[TypedValue]], kinds: Mapping[str, str | None]
) -> list[str] | None:
    """Return the key of each row: a digest of its content, with a number if it repeats an earlier row.

    Args:
        columns: Columns by name. A timestamp has a time zone if Spark's type is one of instants.
        kinds: Columns to their types, as Spark writes them.

    Returns:
        The keys; ``None`` if there are values that only the job can encode, such as lists.
    """
    for values in columns.values():
        if not all(value is None or isinstance(value, _SCALARS) for value in values):
            return None
    names = sorted(columns, key=str.lower)
    seen: Counter[str] = Counter()
    keys = []
    for row in zip(*(columns[name] for name in names), strict=True):
        digest = digest_row(zip(names, row, strict=True), kinds)
        seen[digest] += 1
        keys.append(digest if seen[digest] == 1 else f"{digest}{REPEAT}{seen[digest]}")
    return keys


def digest_row(row: Iterable[tuple[str, TypedValue]], kinds: Mapping[str, str | None]) -> str:
    """Return the digest of a row: 128 bits as 32 hexadecimal digits.

    Args:
        row: Names and values, in the order of the names in lower case.
        kinds: Columns to their types, as Spark writes them.
    """
    parts = [
        encode_name(name) + _encode(_format(value, kinds[name]).encode())
        for name, value in row
        if value is not None
    ]
    return hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()


def encode_name(name: str) -> bytes:
    """Encode a column's name, whatever its case."""
    text = name.lower().encode()
    return b"%d:%s" % (len(text), text)


def _encode(content: bytes) -> bytes:
    return b"+%d:%s" % (len(content), content)


def _format(value: TypedValue, kind: str | None) -> str:
    if kind in _FLOATS:
        import xxhash  # Not in the job, which imports this module for its names.

        # Zero has one form, and so has NaN.
        bits = xxhash.xxh64_intdigest(struct.pack(_FLOATS[kind], value or 0.0), seed=_SPARK_SEED)
        return str(bits - (1 << 64) if bits >> 63 else bits)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _format_time(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _format_time(value: datetime) -> str:
    if value.tzinfo is not None:
        return str((value - _EPOCH) // timedelta(microseconds=1))
    return value.isoformat(sep=" ").rstrip("0") if value.microsecond else value.isoformat(sep=" ")
