"""A reference implementation of the fingerprint, in plain Python."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pyspark.sql import types as T

from harness.job.fingerprint import format_schema

_MASK = 2**64 - 1
_PRIMES = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_SPARK_SEED = 42


def xxhash64(data: bytes) -> int:
    """Return XXH64 of 8 bytes with Spark's seed, signed (xxhash.com, the specification's short path)."""
    first, second, third, fourth, fifth = _PRIMES
    lane = _rotate(int.from_bytes(data, "little") * second & _MASK, 31) * first & _MASK
    value = (_SPARK_SEED + fifth + len(data)) ^ lane
    value = (_rotate(value & _MASK, 27) * first + fourth) & _MASK
    value = (value ^ value >> 33) * second & _MASK
    value = (value ^ value >> 29) * third & _MASK
    value ^= value >> 32
    return value - 2**64 if value >= 2**63 else value


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK


def encode_value(value: object) -> bytes:
    """Encode a value as the fingerprint does: its mark, its length and its bytes."""
    if value is None:
        return b"-"
    content = format_value(value).encode()
    return b"+%d:%s" % (len(content), content)


def format_value(value: object) -> str:
    """Format a value as the fingerprint does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(xxhash64(struct.pack("<d", value + 0.0)))
    if isinstance(value, datetime):
        return str((value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    return str(value)


def digest_row(row: Iterable[object]) -> int:
    """Return the digest of a row as a number."""
    return int.from_bytes(hashlib.md5(b"".join(map(encode_value, row)), usedforsecurity=False).digest())


def compute_reference(schema: T.StructType, count: int, total: int) -> str:
    """Return the fingerprint for a schema, a number of rows and the sum of their digests."""
    content = f"{format_schema(schema)}\n{count}\n{total % 2**128:032x}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]
