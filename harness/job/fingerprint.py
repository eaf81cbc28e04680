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
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.job.table_io import quoted

# Each row digest is added up in eight limbs of 16 bits: a sum of longs overflows after 2^47 rows only.
_LIMBS = 8
_LIMB_BITS = 16
_LIMB_HEX_DIGITS = _LIMB_BITS // 4
DIGEST = "harness_row_digest"
_COUNT = "fingerprint_count"
_NULL, _THERE, _EMPTY = "X'2D'", "X'2B'", "X''"
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
    # As SQL text, parsed in one go: built function by function, it takes hundreds of calls into the JVM.
    return F.expr(f"md5({_encode_fields(schema)})")


def aggregates() -> list[Column]:
    """What one pass over the digests has to add up; ``combine`` makes the fingerprint of it."""
    limb = "CAST(conv(substring({digest}, {start}, {digits}), 16, 10) AS BIGINT)"
    limbs = [
        limb.format(digest=DIGEST, start=1 + index * _LIMB_HEX_DIGITS, digits=_LIMB_HEX_DIGITS)
        for index in range(_LIMBS)
    ]
    return [
        F.expr(f"count(1) AS {_COUNT}"),
        *(F.expr(f"coalesce(sum({limb}), 0) AS {_limb_name(index)}") for index, limb in enumerate(limbs)),
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


def _encode_fields(schema: T.StructType, parent: str = "") -> str:
    """SQL of a row's or a struct's fields, one behind the other."""
    parts = [_encode(f"{parent}{quoted(field.name)}", field.dataType) for field in schema]
    return f"concat({', '.join(parts)})" if parts else _EMPTY


def _encode(value: str, kind: T.DataType) -> str:
    """SQL of a value of any type behind its mark."""
    content = _content(value, kind)
    # A struct's fields say themselves where they end. With a length before them Spark would work them out
    # twice, and a struct in a struct in a struct eight times.
    parts = [content] if isinstance(kind, T.StructType) else [_before(f"octet_length({content})"), content]
    return f"IF({value} IS NULL, {_NULL}, concat({_THERE}, {', '.join(parts)}))"


def _content(value: str, kind: T.DataType) -> str:
    if isinstance(kind, T.BinaryType):
        return value
    if isinstance(kind, T.StructType):
        return _encode_fields(kind, f"{value}.")
    if isinstance(kind, T.ArrayType):
        return _joined(f"transform({value}, each -> {_encode_element('each', kind.elementType)})")
    if isinstance(kind, T.MapType):
        return _joined(f"array_sort(transform(map_entries({value}), each -> {_encode_entry('each', kind)}))")
    return f"CAST({_text(value, kind)} AS BINARY)"


def _text(value: str, kind: T.DataType) -> str:
    """SQL of a scalar as text that is the same in every session."""
    if isinstance(kind, _BY_BITS):
        # xxhash64 of one value of up to 64 bits maps the bits one to one (every step of it can be undone),
        # so this is the value by its bits. Spark takes all NaN for one; -0.0 is made 0.0 here.
        zero = f"CAST(0 AS {kind.simpleString()})"
        return f"CAST(xxhash64(IF({value} = 0, {zero}, {value})) AS STRING)"
    if isinstance(kind, T.TimestampType):
        return f"CAST(unix_micros({value}) AS STRING)"
    if isinstance(kind, T.DecimalType):
        # A cast writes 0.00000001 in ANSI mode and 1E-8 in the other.
        return f"format_string('%s', {value})"
    if isinstance(kind, _BY_TEXT):
        return f"CAST({value} AS STRING)"
    raise TypeError(f"values of type {kind.simpleString()} have no fingerprint")


def _encode_element(element: str, kind: T.DataType) -> str:
    return f"IF({element} IS NOT NULL, hex({_content(element, kind)}), NULL)"


def _encode_entry(entry: str, kind: T.MapType) -> str:
    return (
        f"hex(concat({_encode(f'{entry}.key', kind.keyType)}, {_encode(f'{entry}.value', kind.valueType)}))"
    )


def _joined(parts: str) -> str:
    """SQL of the elements of an array in hexadecimal, one behind the other, behind their number.

    Joined as text in one go: appended one by one, a thousand elements take twenty times as long.
    """
    return f"concat({_before(f'size({parts})')}, CAST(array_join({parts}, ',', '-') AS BINARY))"


def _before(number: str) -> str:
    return f"CAST(concat(CAST({number} AS STRING), ':') AS BINARY)"
