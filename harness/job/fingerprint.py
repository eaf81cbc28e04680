"""The fingerprint of a version: of its schema, and of its rows as a multiset.

A row is encoded in binary so that different rows have different encodings, and digested to 128 bits. Each
value is encoded as a null mark, or as another mark, its length and its bytes; a struct as a mark and its
fields; an array as the number of its elements and each of them in hexadecimal.

A table's fingerprint is the digest of its schema (ordered names and types), its row count and the sum of
its row digests modulo 2^128. The sum makes the order of rows, files and partitions irrelevant, while a
duplicated row still changes it (an XOR would cancel it).

Spark computes it in one pass, with SQL functions only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.reading.column_naming import quote_name
from harness.reading.row_content import encode_name

# Row digests are summed in six limbs: a sum of longs overflows only after 2^39 rows. Two limbs at a time are
# parsed, which takes longer than anything else.
_LIMB_BITS = 24
_PAIR_HEX_DIGITS = 2 * _LIMB_BITS // 4
_DIGEST_HEX_DIGITS = 32
_PAIRS = range(_DIGEST_HEX_DIGITS, 0, -_PAIR_HEX_DIGITS)
"""The last digit of each pair of limbs, the least significant first."""
DIGEST = "harness_row_digest"
_COUNT = "fingerprint_count"
_NULL, _PRESENT, _EMPTY = "X'2D'", "X'2B'", "X''"
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


def compute_fingerprint(frame: DataFrame) -> str:
    """Return the fingerprint of a frame: 128 bits as 32 hexadecimal digits.

    Raises:
        TypeError: A column's type has no encoding.
    """
    sums = (F.expr(f"{sql} AS {name}") for name, sql in sum_digests().items())
    row = frame.select(row_digest(frame.schema).alias(DIGEST)).agg(*sums).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return combine_sums(frame.schema, row.asDict())


def row_digest(schema: T.StructType) -> Column:
    """Return the column of a row's digest as 32 hexadecimal digits; select it under the name ``DIGEST``."""
    # As SQL text, parsed at once: built function by function, it takes hundreds of calls into the JVM.
    return F.expr(f"md5({_encode_fields(schema)})")


def hash_values(fields: Iterable[T.StructField]) -> Column:
    """Return the column of an array with a hash of each field's value: equal values have equal hashes."""
    hashes = (f"xxhash64({_encode(quote_name(field.name), field.dataType)})" for field in fields)
    return F.expr(f"CAST(array({', '.join(hashes)}) AS ARRAY<BIGINT>)")


def digest_content(schema: T.StructType) -> Column:
    """Return the column of a digest of the values that are not null, each with its column's name.

    Neither the order of the columns nor a column of nulls changes it. Without Spark:
    :func:`harness.reading.row_content.digest_row`.
    """
    parts = []
    for field in sorted(schema, key=lambda each: each.name.lower()):
        value = quote_name(field.name)
        name = encode_name(field.name).hex().upper()
        parts.append(f"IF({value} IS NULL, {_EMPTY}, concat(X'{name}', {_encode(value, field.dataType)}))")
    return F.expr(f"md5(concat({', '.join(parts)}))")


def sum_digests() -> dict[str, str]:
    """Return the sums over the digests, by name, from which ``combine_sums`` computes the fingerprint."""
    sums = {_COUNT: "count(1)"}
    for pair, last in enumerate(_PAIRS):
        first = max(0, last - _PAIR_HEX_DIGITS)
        value = f"CAST(conv(substring({DIGEST}, {first + 1}, {last - first}), 16, 10) AS BIGINT)"
        sums[_limb_name(2 * pair)] = f"coalesce(sum({value} & {2**_LIMB_BITS - 1}), 0)"
        sums[_limb_name(2 * pair + 1)] = f"coalesce(sum(shiftright({value}, {_LIMB_BITS})), 0)"
    return sums


def combine_sums(schema: T.StructType, sums: Mapping[str, int]) -> str:
    """Return the fingerprint for a schema and the sums that ``sum_digests`` computes."""
    total = sum(int(sums[_limb_name(at)]) << (at * _LIMB_BITS) for at in range(2 * len(_PAIRS)))
    text = f"{format_schema(schema)}\n{sums[_COUNT]}\n{total % 2**128:032x}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def format_schema(schema: T.StructType) -> str:
    """Format the ordered names and types of a schema, without nullability and metadata."""
    return "\n".join(f"{len(field.name)}:{field.name} {field.dataType.simpleString()}" for field in schema)


def _limb_name(index: int) -> str:
    return f"fingerprint_limb_{index}"


def _encode_fields(schema: T.StructType, parent: str = "") -> str:
    """Return SQL that encodes the fields of a row or a struct, one after the other."""
    parts = [_encode(f"{parent}{quote_name(field.name)}", field.dataType) for field in schema]
    return f"concat({', '.join(parts)})" if parts else _EMPTY


def _encode(value: str, kind: T.DataType) -> str:
    """Return SQL that encodes a value of any type, with its mark."""
    content = _encode_content(value, kind)
    # A struct needs no length, because its fields have theirs. With one, Spark would compute the fields
    # twice, and those of a struct in a struct in a struct eight times.
    parts = (
        [content] if isinstance(kind, T.StructType) else [_encode_number(f"octet_length({content})"), content]
    )
    return f"IF({value} IS NULL, {_NULL}, concat({_PRESENT}, {', '.join(parts)}))"


def _encode_content(value: str, kind: T.DataType) -> str:
    if isinstance(kind, T.BinaryType):
        return value
    if isinstance(kind, T.StructType):
        return _encode_fields(kind, f"{value}.")
    if isinstance(kind, T.ArrayType):
        return _join_elements(f"transform({value}, each -> {_encode_element('each', kind.elementType)})")
    if isinstance(kind, T.MapType):
        return _join_elements(
            f"array_sort(transform(map_entries({value}), each -> {_encode_entry('each', kind)}))"
        )
    return f"CAST({_format_scalar(value, kind)} AS BINARY)"


def _format_scalar(value: str, kind: T.DataType) -> str:
    """Return SQL that formats a scalar as text, the same in every session."""
    if isinstance(kind, _BY_BITS):
        # xxhash64 of one value of up to 64 bits maps its bits one to one (every step can be reversed), so
        # this identifies the value by its bits. To Spark all NaN are equal; -0.0 becomes 0.0 here.
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
    return f"IF({element} IS NOT NULL, hex({_encode_content(element, kind)}), NULL)"


def _encode_entry(entry: str, kind: T.MapType) -> str:
    return (
        f"hex(concat({_encode(f'{entry}.key', kind.keyType)}, {_encode(f'{entry}.value', kind.valueType)}))"
    )


def _join_elements(parts: str) -> str:
    """Return SQL that joins the number of an array's elements and the elements in hexadecimal.

    They are joined as text, all at once: appended one by one, a thousand take twenty times as long.
    """
    return f"concat({_encode_number(f'size({parts})')}, CAST(array_join({parts}, ',', '-') AS BINARY))"


def _encode_number(number: str) -> str:
    return f"CAST(concat(CAST({number} AS STRING), ':') AS BINARY)"
