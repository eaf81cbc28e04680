"""The fingerprint of a version: its schema, and its rows as a multiset.

A row is encoded in binary so that no two different rows encode alike, and digested to 128 bits: each value
is a null mark, or another mark, its length and its bytes; a struct is a mark and its fields; an array's
bytes are the number of its elements and each of them in hexadecimal.

A table's fingerprint is the digest of its schema (ordered names and types), its row count and the sum of
its row digests modulo 2^128. The sum makes the order of rows, files and partitions irrelevant, while a
doubled row still changes it (an XOR would cancel it).

It is computed by Spark in one pass, with SQL functions alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.job.table import column

# Each row digest is added up in eight limbs of 16 bits: a sum of longs overflows after 2^47 rows only.
_LIMBS = 8
_LIMB_BITS = 16
_LIMB_HEX_DIGITS = _LIMB_BITS // 4
DIGEST = "harness_row_digest"
_COUNT = "fingerprint_count"
_BY_BITS = (T.DoubleType, T.FloatType)
_BY_TEXT = (
    T.StringType,
    T.BooleanType,
    T.ByteType,
    T.ShortType,
    T.IntegerType,
    T.LongType,
    T.DateType,
    T.TimestampNTZType,
    T.DayTimeIntervalType,
    T.YearMonthIntervalType,
    T.NullType,
)


def fingerprint(frame: DataFrame) -> str:
    """The fingerprint of a frame's rows: 128 bits as 32 hexadecimal digits.

    Raises:
        TypeError: A column's type has no encoding.
    """
    row = frame.select(row_digest(frame.schema).alias(DIGEST)).agg(*aggregates()).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return combine(frame.schema, row.asDict())


def row_digest(schema: T.StructType) -> Column:
    """The digest of one row as 32 hexadecimal digits, to be selected under the name ``DIGEST``."""
    return F.md5(_encode_fields(schema, column))


def aggregates() -> list[Column]:
    """What one pass over the digests has to add up; ``combine`` makes the fingerprint of it."""
    limbs = [
        F.conv(F.substring(DIGEST, 1 + index * _LIMB_HEX_DIGITS, _LIMB_HEX_DIGITS), 16, 10).cast("long")
        for index in range(_LIMBS)
    ]
    return [
        F.count(F.lit(1)).alias(_COUNT),
        *(F.coalesce(F.sum(limb), F.lit(0)).alias(_limb_name(index)) for index, limb in enumerate(limbs)),
    ]


def combine(schema: T.StructType, sums: Mapping[str, int]) -> str:
    """The fingerprint from a schema and what ``aggregates`` added up."""
    total = 0
    for index in range(_LIMBS):
        total = (total << _LIMB_BITS) + int(sums[_limb_name(index)])
    text = f"{schema_text(schema)}\n{sums[_COUNT]}\n{total % 2**128:032x}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def schema_text(schema: T.StructType) -> str:
    """Ordered names and types, without nullability and metadata."""
    return "\n".join(f"{len(field.name)}:{field.name} {field.dataType.simpleString()}" for field in schema)


def _limb_name(index: int) -> str:
    return f"fingerprint_limb_{index}"


def _encode_fields(schema: T.StructType, get: Callable[[str], Column]) -> Column:
    parts = [_encode(get(field.name), field.dataType) for field in schema]
    return F.concat(*parts) if parts else F.lit(b"")


def _encode(value: Column, kind: T.DataType) -> Column:
    """A value of any type behind its mark."""
    content = _content(value, kind)
    # A struct's fields say themselves where they end. With a length before them Spark would work them out
    # twice, and a struct in a struct in a struct eight times.
    parts = [content] if isinstance(kind, T.StructType) else [_before(F.octet_length(content)), content]
    return F.when(value.isNull(), F.lit(b"-")).otherwise(F.concat(F.lit(b"+"), *parts))


def _content(value: Column, kind: T.DataType) -> Column:
    if isinstance(kind, T.BinaryType):
        return value
    if isinstance(kind, T.StructType):
        return _encode_fields(kind, value.getField)
    if isinstance(kind, T.ArrayType):
        return _joined(F.transform(value, lambda each: _encode_element(each, kind.elementType)))
    if isinstance(kind, T.MapType):
        return _joined(
            F.array_sort(F.transform(F.map_entries(value), lambda each: _encode_entry(each, kind)))
        )
    return _text(value, kind).cast("binary")


def _text(value: Column, kind: T.DataType) -> Column:
    """A scalar as text that is the same in every session."""
    if isinstance(kind, _BY_BITS):
        # xxhash64 of one value of up to 64 bits maps the bits one to one (every step of it can be undone),
        # so this is the value by its bits. Spark takes all NaN for one; -0.0 is made 0.0 here.
        return F.xxhash64(F.when(value == 0, F.lit(0.0).cast(kind)).otherwise(value)).cast("string")
    if isinstance(kind, T.TimestampType):
        return F.unix_micros(value).cast("string")
    if isinstance(kind, T.DecimalType):
        # A cast writes 0.00000001 in ANSI mode and 1E-8 in the other.
        return F.format_string("%s", value)
    if isinstance(kind, _BY_TEXT):
        return value.cast("string")
    raise TypeError(f"values of type {kind.simpleString()} have no fingerprint")


def _encode_element(element: Column, kind: T.DataType) -> Column:
    return F.when(element.isNotNull(), F.hex(_content(element, kind)))


def _encode_entry(entry: Column, kind: T.MapType) -> Column:
    key, value = entry.getField("key"), entry.getField("value")
    return F.hex(F.concat(_encode(key, kind.keyType), _encode(value, kind.valueType)))


def _joined(parts: Column) -> Column:
    """The elements of an array in hexadecimal, one behind the other, behind their number.

    Joined as text in one go: appended one by one, a thousand elements take twenty times as long.
    """
    return F.concat(_before(F.size(parts)), F.array_join(parts, ",", "-").cast("binary"))


def _before(number: Column) -> Column:
    return F.concat(number.cast("string"), F.lit(":")).cast("binary")
