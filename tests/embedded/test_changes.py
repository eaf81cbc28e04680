from __future__ import annotations

import random
from itertools import pairwise

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.job.check_version import CheckedVersion, check_version
from harness.job.row_diff import in_order, keys_of, row_changes
from harness.pipelines import KEY
from harness.results import RowChanges
from tests.embedded.tables import scenario

pytestmark = pytest.mark.spark

SCHEMA = "id long, k string, x double, y string"
Row = tuple[int | None, str | None, float | None, str | None]


def checked(table: DataFrame) -> CheckedVersion:
    """A version with a key of two columns that no model is trained at."""
    return check_version(table, scenario(key=["id", "k"], train=False), "first", 0)


def changes_of(spark: SparkSession, before: list[Row], after: list[Row]) -> RowChanges | None:
    return row_changes([checked(spark.createDataFrame(rows, SCHEMA)) for rows in (before, after)])[1]


def by_python(before: list[Row], after: list[Row]) -> RowChanges:
    old, new = ({row[:2]: row for row in rows} for rows in (before, after))
    changed = sum(old[key] != new[key] for key in old.keys() & new.keys())
    return RowChanges(
        added=len(new.keys() - old.keys()), removed=len(old.keys() - new.keys()), changed=changed
    )


def _random_rows(chance: random.Random) -> list[Row]:
    """Up to 12 of 16 keys, with few values, so that many rows stay as they are; some are null."""
    keys = chance.sample([(number, kind) for number in range(8) for kind in "ab"], chance.randrange(1, 12))
    return [(*key, chance.choice([None, 0.0, 1.0]), chance.choice([None, "", "good"])) for key in keys]


def test_agrees_with_a_count_by_hand(spark: SparkSession) -> None:
    """Rows that came, went and changed, for random tables with a key of two columns."""
    chance = random.Random(5)  # noqa: S311 - a table, no secret
    for _ in range(4):
        before, after = _random_rows(chance), _random_rows(chance)
        assert changes_of(spark, before, after) == by_python(before, after)


def test_many_versions_are_each_held_against_the_one_before(spark: SparkSession) -> None:
    """Rows that come back, a version that names no row, one that is the same, and one without rows."""
    chance = random.Random(8)  # noqa: S311 - a table, no secret
    odd: list[Row] = [(1, "a", 0.5, "good"), (1, "a", 0.7, "good"), (None, "a", 0.5, "good")]
    some = [_random_rows(chance) for _ in range(5)]
    tables = [*some[:3], odd, some[3], some[3], [], some[4], some[0]]
    found = row_changes([checked(spark.createDataFrame(rows, SCHEMA)) for rows in tables])
    expected = [by_python(*pair) for pair in pairwise(tables)]
    assert found == [None, *expected[:2], None, None, *expected[4:]]


def test_the_same_rows_in_another_order_have_not_changed(spark: SparkSession) -> None:
    """As after a step that only writes the files anew."""
    rows: list[Row] = [(number, "a", number / 3, "good") for number in range(20)]
    assert changes_of(spark, rows, rows[::-1]) == RowChanges(added=0, removed=0, changed=0)


def test_a_null_for_an_empty_text_is_a_change(spark: SparkSession) -> None:
    """The smallest difference that the fingerprint sees."""
    assert changes_of(spark, [(1, "a", 0.5, None)], [(1, "a", 0.5, "")]) == RowChanges(
        added=0, removed=0, changed=1
    )


def test_keys_that_read_alike_are_not_mixed_up(spark: SparkSession) -> None:
    """1 and 1a are not 11 and a: each part of a key stands by itself."""
    found = changes_of(spark, [(1, "1a", 0.5, "good")], [(11, "a", 0.5, "good")])
    assert found == RowChanges(added=1, removed=1, changed=0)


def test_the_first_rows_of_an_empty_table_are_all_added(spark: SparkSession) -> None:
    """And when all are gone they are all removed."""
    rows: list[Row] = [(1, "a", 0.5, "good"), (2, "a", 0.5, "good")]
    assert changes_of(spark, [], rows) == RowChanges(added=2, removed=0, changed=0)
    assert changes_of(spark, rows, []) == RowChanges(added=0, removed=2, changed=0)


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(["*", "x + 1 AS z"], id="one more"),
        pytest.param(["id", "k", "x"], id="one less"),
        pytest.param(["y", "x", "k", "id"], id="another order"),
        pytest.param(["id", "k", "x AS X", "y"], id="another case"),
    ],
)
def test_columns_that_both_have_count_alone(spark: SparkSession, columns: list[str]) -> None:
    """Another schema changes no row by itself; a row that did change is counted all the same."""
    rows: list[Row] = [(number, "a", number / 3, "good") for number in range(9)]
    after = spark.createDataFrame([(0, "a", 77.0, "good"), *rows[1:8], (9, "a", 0.0, "good")], SCHEMA)
    versions = [checked(spark.createDataFrame(rows, SCHEMA)), checked(after.selectExpr(*columns))]
    assert row_changes(versions)[1] == RowChanges(added=1, removed=1, changed=1)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([(None, "a", 0.5, "good")], id="a null key"),
        pytest.param([(1, None, 0.5, "good")], id="half a key"),
        pytest.param([(1, "a", 0.5, "good"), (1, "a", 0.7, "good")], id="a key twice"),
    ],
)
def test_keys_that_name_no_row_can_not_be_compared(spark: SparkSession, odd: list[Row]) -> None:
    """On neither side."""
    good: list[Row] = [(1, "a", 0.5, "good")]
    assert (changes_of(spark, odd, good), changes_of(spark, good, odd)) == (None, None)


def test_a_version_without_the_key_can_not_be_compared(spark: SparkSession) -> None:
    """Nor has it keys, also where it has no rows whose key would be null."""
    whole = spark.createDataFrame([(1, "a", 0.5, "good")], SCHEMA)
    without = whole.drop("k").limit(0)
    assert row_changes([checked(without), checked(whole)]) == [None, None]
    assert keys_of(without, scenario(key=["id", "k"])) is None


def test_each_version_has_the_keys_of_the_one_before(spark: SparkSession) -> None:
    """Whether a model is trained at that one or not; the first has none, nor has one after a lack of keys."""
    whole = spark.createDataFrame([(1, "a", 0.5, "good"), (2, "b", 0.5, "good")], SCHEMA)
    found = in_order([checked(table) for table in (whole, whole.where("id = 1"), whole.drop("k"), whole)])
    keys = [each.before and sorted(row[KEY] for row in each.before.collect()) for each in found]
    assert keys == [None, ["1:11:a", "1:21:b"], ["1:11:a"], None]


def test_one_version_alone_has_none_before(spark: SparkSession) -> None:
    """And no versions at all are none in order."""
    [one] = in_order([checked(spark.createDataFrame([(1, "a", 0.5, "good")], SCHEMA))])
    assert (one.before, in_order([])) == (None, [])


def test_does_not_depend_on_the_partitions(spark: SparkSession) -> None:
    """However the rows lie."""
    chance = random.Random(6)  # noqa: S311 - a table, no secret
    tables = [spark.createDataFrame(_random_rows(chance), SCHEMA) for _ in range(2)]
    [one, other] = [row_changes([checked(table.repartition(parts)) for table in tables]) for parts in (1, 7)]
    assert one == other
