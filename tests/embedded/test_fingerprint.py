"""The fingerprint of a version, compared with a reference implementation."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession, functions as F, types as T

from harness.job.fingerprint import (
    DIGEST,
    combine_sums,
    compute_fingerprint,
    format_schema,
    row_digest,
    sum_digests,
)
from tests.embedded.reference_fingerprint import compute_reference, digest_row

pytestmark = pytest.mark.spark

Rows = list[tuple[Any, ...]]


DIFFERENT = {
    "one value": ("1", "2"),
    "null and the empty string": ("CAST(NULL AS STRING)", "''"),
    "null and its mark": ("CAST(NULL AS STRING)", "'-'"),
    "NaN and null": ("double('nan')", "CAST(NULL AS DOUBLE)"),
    "NaN and null of floats": ("float('nan')", "CAST(NULL AS FLOAT)"),
    "both infinities": ("double('infinity')", "double('-infinity')"),
    "the smallest subnormal and 0": ("4.9E-324D", "0.0D"),
    "two subnormals": ("4.9E-324D", "9.9E-324D"),
    "bytes that are not text": ("X'00FF'", "X'00FE'"),
    "a boolean": ("true", "false"),
    "a date": ("date'2020-01-01'", "date'2020-01-02'"),
    "a microsecond": ("timestamp'2020-01-01 00:00:00.000001Z'", "timestamp'2020-01-01 00:00:00Z'"),
    "a microsecond of NTZ": (
        "timestamp_ntz'2020-01-01 00:00:00.000001'",
        "timestamp_ntz'2020-01-01 00:00:00'",
    ),
    "a day-time interval": ("interval '1' day", "interval '2' day"),
    "a year-month interval": ("interval '1' year", "interval '2' year"),
    "a value in a struct in a struct": (
        "named_struct('a', 1, 'b', named_struct('c', 2))",
        "named_struct('a', 1, 'b', named_struct('c', 3))",
    ),
    "a struct of nulls and a null struct": (
        "named_struct('a', CAST(NULL AS INT))",
        "CAST(NULL AS STRUCT<a: INT NOT NULL>)",
    ),
    "a null moved inside a struct": (
        "named_struct('a', 'x', 'b', CAST(NULL AS STRING))",
        "named_struct('a', CAST(NULL AS STRING), 'b', 'x')",
    ),
    "an array's order": ("array(1, 2)", "array(2, 1)"),
    "array boundaries": ("array(array('a', 'b'), array('c'))", "array(array('a'), array('b', 'c'))"),
    "elements of an array": ("array('a', 'b')", "array('ab')"),
    "a comma in an element": ("array('a,b')", "array('a', 'b')"),
    "an empty array and an empty element": ("CAST(array() AS ARRAY<STRING>)", "array('')"),
    "empty and null": ("CAST(array() AS ARRAY<STRING>)", "CAST(NULL AS ARRAY<STRING>)"),
    "a null element and an empty one": ("array(CAST(NULL AS STRING))", "array('')"),
    "a null element and its mark": ("array(CAST(NULL AS STRING))", "array('-')"),
    "a struct of nulls and a null struct in an array": (
        "array(named_struct('a', CAST(NULL AS INT)))",
        "array(CAST(NULL AS STRUCT<a: INT NOT NULL>))",
    ),
    "a null array in an array": ("array(array(), NULL)", "array(NULL, array())"),
    "a map's value": ("map('a', 1)", "map('a', 2)"),
    "a map's key": ("map('a', 1)", "map('b', 1)"),
    "a map's pairing": ("map('a', 'b', 'c', 'd')", "map('a', 'd', 'c', 'b')"),
    "null and the empty string in a map": ("map('a', CAST(NULL AS STRING))", "map('a', '')"),
}
SAME = {
    "both zeros": ("-0.0D", "0.0D"),
    "both zeros of floats": ("CAST('-0.0' AS FLOAT)", "CAST(0.0 AS FLOAT)"),
    "zeros in an array": ("array(-0.0D)", "array(0.0D)"),
    "zeros in a struct": ("named_struct('a', -0.0D)", "named_struct('a', 0.0D)"),
    "a map's order": ("map('a', 1, 'b', 2)", "map('b', 2, 'a', 1)"),
    "a map's order in an array": ("array(map('a', 1, 'b', 2))", "array(map('b', 2, 'a', 1))"),
}
OTHER_TYPES = {
    "a decimal's scale": ("CAST(1.5 AS DECIMAL(10,1))", "CAST(1.5 AS DECIMAL(10,2))"),
    "a decimal's precision": ("CAST(1.5 AS DECIMAL(10,1))", "CAST(1.5 AS DECIMAL(11,1))"),
    "int and long": ("CAST(1 AS INT)", "CAST(1 AS BIGINT)"),
    "double and float": ("1.5D", "CAST(1.5 AS FLOAT)"),
    "a number and its text": ("1", "'1'"),
    "text and bytes": ("'a'", "X'61'"),
    "both kinds of timestamp": ("timestamp'2020-01-01 00:00:00'", "timestamp_ntz'2020-01-01 00:00:00'"),
    "a field's name in a struct": ("named_struct('a', 1)", "named_struct('b', 1)"),
}

Pairs = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def digests(spark: SparkSession) -> dict[str, tuple[str, str]]:
    """Return every pair of values as the digests of two one-column rows, in two jobs."""
    pairs = DIFFERENT | SAME
    first, second = (_digests(spark, [pair[side] for pair in pairs.values()]) for side in (0, 1))
    return dict(zip(pairs, zip(first, second, strict=True), strict=True))


def _digests(spark: SparkSession, expressions: list[str]) -> list[str]:
    columns = [F.expr(expression).alias(f"c{number}") for number, expression in enumerate(expressions)]
    table = spark.range(1).select(*columns).localCheckpoint()
    [row] = table.select(*[row_digest(T.StructType([field])) for field in table.schema]).collect()
    return list(row)


@pytest.mark.parametrize("pair", DIFFERENT)
def test_different_rows_have_different_digests(digests: Pairs, pair: str) -> None:
    """Two rows that differ in this respect have different digests."""
    one, other = digests[pair]
    assert one != other


@pytest.mark.parametrize("pair", SAME)
def test_equal_rows_have_the_same_digest(digests: Pairs, pair: str) -> None:
    """Two rows that differ only in this respect have the same digest."""
    one, other = digests[pair]
    assert one == other


@pytest.mark.parametrize("pair", OTHER_TYPES)
def test_different_types_have_different_schemas(spark: SparkSession, pair: str) -> None:
    """Two schemas that differ in this respect are formatted differently."""
    one, other = (format_schema(spark.sql(f"SELECT {value} AS v").schema) for value in OTHER_TYPES[pair])
    assert one != other


def fingerprint_rows(spark: SparkSession, rows: Rows, schema: str | T.StructType) -> str:
    """Return the fingerprint of rows."""
    return compute_fingerprint(spark.createDataFrame(rows, schema))


TWO = [("a", None), ("b", "c")]


@pytest.fixture(scope="module")
def two(spark: SparkSession) -> str:
    """Return the fingerprint of a small table."""
    return fingerprint_rows(spark, TWO, "one string, two string")


@pytest.mark.parametrize(
    ("rows", "schema"),
    [
        pytest.param([("a", None), ("b", "d")], "one string, two string", id="one value"),
        pytest.param([("a", ""), ("b", "c")], "one string, two string", id="null and the empty string"),
        pytest.param([(None, "a"), ("b", "c")], "one string, two string", id="a null in the next column"),
        pytest.param([("a", None), ("bc", "")], "one string, two string", id="a string's boundary"),
        pytest.param([("a", "c"), ("b", None)], "one string, two string", id="a value in the next row"),
        pytest.param(TWO, "two string, one string", id="the names' order"),
        pytest.param([(b, a) for a, b in TWO], "two string, one string", id="the columns' order"),
        pytest.param(TWO, "one string, three string", id="a column's name"),
        pytest.param(TWO, "one string, Two string", id="the case of a column's name"),
        pytest.param([*TWO, TWO[0]], "one string, two string", id="a doubled row"),
        pytest.param([*TWO, TWO[0], TWO[0]], "one string, two string", id="a trebled row"),
        pytest.param(TWO[:1], "one string, two string", id="a removed row"),
        pytest.param([], "one string, two string", id="all rows removed"),
        pytest.param([("a",), ("b",)], "one string", id="a column of nulls removed"),
    ],
)
def test_different_tables_have_different_fingerprints(
    spark: SparkSession, two: str, rows: Rows, schema: str
) -> None:
    """Two tables that differ in this respect have different fingerprints."""
    assert two != fingerprint_rows(spark, rows, schema)


def test_the_order_of_rows_does_not_matter(spark: SparkSession, two: str) -> None:
    """The fingerprint doesn't depend on the order of rows."""
    assert two == fingerprint_rows(spark, TWO[::-1], "one string, two string")


def test_nullability_and_metadata_do_not_matter(spark: SparkSession) -> None:
    """The fingerprint doesn't depend on nullability and comments of columns."""
    strict = T.StructType(
        [
            T.StructField("a", T.StringType(), nullable=False, metadata={"comment": "a remark"}),
            T.StructField("b", T.ArrayType(T.LongType(), containsNull=False), nullable=False),
        ]
    )
    assert fingerprint_rows(spark, [("x", [1])], strict) == fingerprint_rows(
        spark, [("x", [1])], "a string, b array<bigint>"
    )


@pytest.fixture(scope="module")
def everything(spark: SparkSession) -> DataFrame:
    """Return a thousand rows with a column of every type that Delta stores."""
    return (
        spark.range(1000)
        .selectExpr(
            "id",
            "if(id % 5 = 0, NULL, 'word ' || id % 50) AS text",
            "CAST(id % 2 AS BOOLEAN) AS flag",
            "CAST(id % 100 AS TINYINT) AS tiny",
            "CAST(id % 100 AS SMALLINT) AS small",
            "CAST(id AS INT) AS number",
            "CAST(id / 3 AS FLOAT) AS single",
            "CASE WHEN id % 7 = 0 THEN double('nan') WHEN id % 7 = 1 THEN -0.0D ELSE sqrt(id) END AS double",
            "CAST(id / 1e7 AS DECIMAL(20,10)) AS small_decimal",
            "CAST(id * 1e15 AS DECIMAL(38,10)) AS big_decimal",
            "date_add(date'1600-01-01', CAST(id * 300 AS INT)) AS day",
            "timestamp_micros(id * 86400123456 - 5000000) AS instant",
            "CAST('2020-03-29 02:30:00.000001' AS TIMESTAMP_NTZ) + make_dt_interval(0, 0, id) AS wall_clock",
            "CAST(CAST(id AS STRING) AS BINARY) AS bytes",
            "named_struct('a', id, 'b', named_struct('c', CAST(id AS STRING))) AS nested",
            "array(id, NULL, id * 2) AS numbers",
            "map('a', id, 'b', id + 1) AS entries",
        )
        .localCheckpoint()
    )


def test_partitions_do_not_matter(everything: DataFrame) -> None:
    """The fingerprint doesn't depend on partitions, for any type."""
    assert compute_fingerprint(everything) == compute_fingerprint(
        everything.repartition(7, "text").sortWithinPartitions("day")
    )


def test_the_time_zone_does_not_matter(spark: SparkSession, everything: DataFrame) -> None:
    """The fingerprint doesn't depend on the session's time zone."""
    with override_setting(spark, "spark.sql.session.timeZone", "Asia/Kolkata"):
        abroad = compute_fingerprint(everything)
    assert compute_fingerprint(everything) == abroad


def test_ansi_mode_does_not_matter(spark: SparkSession, everything: DataFrame) -> None:
    """The fingerprint doesn't depend on the ANSI mode, in which decimals are formatted differently."""
    with override_setting(spark, "spark.sql.ansi.enabled", "true"):
        strict = compute_fingerprint(everything)
    assert compute_fingerprint(everything) == strict


def test_the_layout_of_a_delta_table_does_not_matter(
    spark: SparkSession, everything: DataFrame, tmp_path: Path
) -> None:
    """The fingerprint doesn't depend on how a Delta table's rows are spread over its files."""
    path = str(tmp_path / "table")
    everything.repartition(5).write.format("delta").save(path)
    DeltaTable.forPath(spark, path).optimize().executeCompaction()
    everything.repartition(2, "day").write.format("delta").mode("overwrite").save(path)
    versions = [spark.read.format("delta").option("versionAsOf", number).load(path) for number in range(3)]
    assert [len(version.inputFiles()) for version in versions] == [5, 1, 2]
    assert [compute_fingerprint(everything)] * 3 == [compute_fingerprint(version) for version in versions]


def test_sums_do_not_overflow(spark: SparkSession) -> None:
    """The sum over a hundred thousand equal rows is the count times the digest, modulo 2^128."""
    rows = spark.range(100_000).select(F.lit("z").alias("v"))
    assert digest_row(["z"]) * 100_000 > 2**128
    assert compute_fingerprint(rows) == compute_reference(rows.schema, 100_000, digest_row(["z"]) * 100_000)


def test_the_largest_digests_are_added(spark: SparkSession) -> None:
    """The largest digests are added without losing a carry."""
    largest = spark.range(1000).select(F.lit("f" * 32).alias(DIGEST))
    sums = largest.agg(*(F.expr(f"{sql} AS {name}") for name, sql in sum_digests().items())).first()
    assert sums is not None
    schema = T.StructType()
    assert combine_sums(schema, sums.asDict()) == compute_reference(schema, 1000, (2**128 - 1) * 1000)


def test_doubles_differ_by_their_bits(spark: SparkSession) -> None:
    """Doubles with different bits have different digests."""
    doubles = [*_special_doubles(), *_random_doubles(4000)]
    distinct = {struct.pack("<d", value + 0.0) for value in doubles if not math.isnan(value)}
    frame = spark.createDataFrame([(value,) for value in doubles], "v double")
    actual = frame.select(row_digest(frame.schema).alias("d")).distinct().count()
    # All NaN count as one value.
    assert len(distinct) + 1 == actual


def _special_doubles() -> Iterator[float]:
    for value in (
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.1,
        1e300,
        5e-324,
        2.2250738585072014e-308,
        math.inf,
        -math.inf,
        math.nan,
    ):
        yield value
        yield math.nextafter(value, math.inf)
        yield math.nextafter(value, -math.inf)


def _random_doubles(count: int) -> Iterator[float]:
    """Generate doubles from random bits, many of them NaN."""
    chance = random.Random(0)  # noqa: S311 - not a secret
    for _ in range(count):
        bits = chance.getrandbits(64) | (0x7FF << 52 if chance.random() < 0.1 else 0)
        yield struct.unpack("<d", struct.pack("<Q", bits))[0]


def test_all_nan_are_equal(spark: SparkSession) -> None:
    """All NaN have the same digest, whatever their bits."""
    patterns = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FFFFFFFFFFFFFFF]
    values = [struct.unpack("<d", struct.pack("<Q", bits)) for bits in patterns]
    frame = spark.createDataFrame(values, "v double")
    assert frame.select(row_digest(frame.schema).alias("d")).distinct().count() == 1


def test_agrees_with_the_definition_in_python(spark: SparkSession) -> None:
    """Random rows have the fingerprint that the reference implementation computes."""
    schema = (
        "text string, number bigint, double double, day date, instant timestamp, flag boolean,"
        " money decimal(12,3)"
    )
    rows = list(_random_rows(200))
    frame = spark.createDataFrame(rows, schema)
    assert compute_fingerprint(frame) == compute_reference(
        frame.schema, len(rows), sum(map(digest_row, rows))
    )


def _random_rows(count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(1)  # noqa: S311 - not a secret
    for _ in range(count):
        row = (
            "".join(chance.choices("ab:+-é😀 0", k=chance.randrange(6))),
            chance.randrange(-(2**63), 2**63),
            chance.choice([chance.gauss(0, 1), 0.0, -0.0, math.inf, 5e-324]),
            date.fromordinal(chance.randrange(1, 800_000)),
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(-(10**15), 10**15)),
            chance.random() < 0.5,
            Decimal(chance.randrange(-(10**9), 10**9)).scaleb(-3),
        )
        yield tuple(None if chance.random() < 0.1 else value for value in row)


def test_an_unsupported_type_is_refused(spark: SparkSession) -> None:
    """A type without an encoding is refused with its name."""
    frame = spark.createDataFrame([(Vectors.dense(1.0),)], T.StructType([T.StructField("v", VectorUDT())]))
    with pytest.raises(TypeError, match="vector"):
        compute_fingerprint(frame)


def test_an_empty_table_has_a_fingerprint(spark: SparkSession) -> None:
    """An empty table's fingerprint is the digest of its schema, zero rows and a zero sum."""
    frame = spark.createDataFrame([], "a string")
    assert compute_reference(frame.schema, 0, 0) == compute_fingerprint(frame)


def test_any_column_name_is_supported(spark: SparkSession) -> None:
    """Column names may contain spaces, dots and backticks, even inside structs."""
    inner = T.StructType([T.StructField("x.y `z`", T.LongType())])
    schema = T.StructType(
        [T.StructField("a.b", T.LongType()), T.StructField("a", inner), T.StructField("c `d` É", inner)]
    )
    rows = [(1, (2,), (3,))]
    assert fingerprint_rows(spark, rows, schema) != fingerprint_rows(spark, [(1, (3,), (3,))], schema)


@contextmanager
def override_setting(spark: SparkSession, name: str, value: str) -> Iterator[None]:
    """Change a setting of the session for the duration of a block."""
    before = spark.conf.get(name) or ""
    spark.conf.set(name, value)
    try:
        yield
    finally:
        spark.conf.set(name, before)
