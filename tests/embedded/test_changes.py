from __future__ import annotations

import random
from itertools import pairwise

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.job.check_version import CheckedVersion, check_version
from harness.job.row_diff import attach_previous_keys, count_row_changes, select_keys
from harness.pipelines import KEY
from harness.results import RowChanges
from tests.embedded.tables import scenario

pytestmark = pytest.mark.spark

SCHEMA = "id long, k string, x double, y string"
Row = tuple[int | None, str | None, float | None, str | None]


def checked(table: DataFrame) -> CheckedVersion:
    """Return a version with a two-column key at which no model is trained."""
    return check_version(table, scenario(key=["id", "k"], train=False), "first", 0)


def changes_of(spark: SparkSession, before: list[Row], after: list[Row]) -> RowChanges | None:
    return count_row_changes([checked(spark.createDataFrame(rows, SCHEMA)) for rows in (before, after)])[1]


def by_python(before: list[Row], after: list[Row]) -> RowChanges:
    old, new = ({row[:2]: row for row in rows} for rows in (before, after))
    changed = sum(old[key] != new[key] for key in old.keys() & new.keys())
    return RowChanges(
        added=len(new.keys() - old.keys()), removed=len(old.keys() - new.keys()), changed=changed
    )


def _random_rows(chance: random.Random) -> list[Row]:
    """Generate up to 12 of 16 keys with few values, some of them null, so that many rows stay unchanged."""
    keys = chance.sample([(number, kind) for number in range(8) for kind in "ab"], chance.randrange(1, 12))
    return [(*key, chance.choice([None, 0.0, 1.0]), chance.choice([None, "", "good"])) for key in keys]


def test_agrees_with_a_count_by_hand(spark: SparkSession) -> None:
    """Added, removed and changed rows are counted correctly for random tables with a two-column key."""
    chance = random.Random(5)  # noqa: S311 - a table, no secret
    for _ in range(4):
        before, after = _random_rows(chance), _random_rows(chance)
        assert changes_of(spark, before, after) == by_python(before, after)


def test_each_version_is_compared_with_the_previous_one(spark: SparkSession) -> None:
    """Each version is compared with the previous one, including versions without rows or valid keys."""
    chance = random.Random(8)  # noqa: S311 - a table, no secret
    odd: list[Row] = [(1, "a", 0.5, "good"), (1, "a", 0.7, "good"), (None, "a", 0.5, "good")]
    some = [_random_rows(chance) for _ in range(5)]
    tables = [*some[:3], odd, some[3], some[3], [], some[4], some[0]]
    found = count_row_changes([checked(spark.createDataFrame(rows, SCHEMA)) for rows in tables])
    expected = [by_python(*pair) for pair in pairwise(tables)]
    assert found == [None, *expected[:2], None, None, *expected[4:]]


def test_the_same_rows_in_another_order_have_not_changed(spark: SparkSession) -> None:
    """Rows that are only rewritten in another order are not counted as changed."""
    rows: list[Row] = [(number, "a", number / 3, "good") for number in range(20)]
    assert changes_of(spark, rows, rows[::-1]) == RowChanges(added=0, removed=0, changed=0)


def test_a_null_for_an_empty_text_is_a_change(spark: SparkSession) -> None:
    """A null in place of an empty string is counted as a changed row."""
    assert changes_of(spark, [(1, "a", 0.5, None)], [(1, "a", 0.5, "")]) == RowChanges(
        added=0, removed=0, changed=1
    )


def test_keys_that_look_alike_are_distinguished(spark: SparkSession) -> None:
    """The parts of a key are compared separately: (1, 1a) is not (11, a)."""
    found = changes_of(spark, [(1, "1a", 0.5, "good")], [(11, "a", 0.5, "good")])
    assert found == RowChanges(added=1, removed=1, changed=0)


def test_the_first_rows_of_an_empty_table_are_all_added(spark: SparkSession) -> None:
    """All rows of a table that was empty are added, and all are removed if it becomes empty."""
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
def test_only_common_columns_are_compared(spark: SparkSession, columns: list[str]) -> None:
    """A changed schema alone does not count as changed rows; changed values in common columns do."""
    rows: list[Row] = [(number, "a", number / 3, "good") for number in range(9)]
    after = spark.createDataFrame([(0, "a", 77.0, "good"), *rows[1:8], (9, "a", 0.0, "good")], SCHEMA)
    versions = [checked(spark.createDataFrame(rows, SCHEMA)), checked(after.selectExpr(*columns))]
    assert count_row_changes(versions)[1] == RowChanges(added=1, removed=1, changed=1)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([(None, "a", 0.5, "good")], id="a null key"),
        pytest.param([(1, None, 0.5, "good")], id="half a key"),
        pytest.param([(1, "a", 0.5, "good"), (1, "a", 0.7, "good")], id="a key twice"),
    ],
)
def test_null_and_duplicate_keys_can_not_be_compared(spark: SparkSession, odd: list[Row]) -> None:
    """Versions with null or duplicate keys on either side are not compared."""
    good: list[Row] = [(1, "a", 0.5, "good")]
    assert (changes_of(spark, odd, good), changes_of(spark, good, odd)) == (None, None)


def test_a_version_without_the_key_can_not_be_compared(spark: SparkSession) -> None:
    """A version without the key column has no changes, even if it has no rows."""
    whole = spark.createDataFrame([(1, "a", 0.5, "good")], SCHEMA)
    without = whole.drop("k").limit(0)
    assert count_row_changes([checked(without), checked(whole)]) == [None, None]
    assert select_keys(without, scenario(key=["id", "k"])) is None


def test_each_version_has_the_keys_of_the_previous_one(spark: SparkSession) -> None:
    """Each version gets the keys of the previous one, unless that is the first or has no valid keys."""
    whole = spark.createDataFrame([(1, "a", 0.5, "good"), (2, "b", 0.5, "good")], SCHEMA)
    found = attach_previous_keys(
        [checked(table) for table in (whole, whole.where("id = 1"), whole.drop("k"), whole)]
    )
    keys = [each.previous_keys and sorted(row[KEY] for row in each.previous_keys.collect()) for each in found]
    assert keys == [None, ["1:11:a", "1:21:b"], ["1:11:a"], None]


def test_the_first_version_has_no_previous_keys(spark: SparkSession) -> None:
    """A single version has no previous keys, and no versions lead to an empty result."""
    [one] = attach_previous_keys([checked(spark.createDataFrame([(1, "a", 0.5, "good")], SCHEMA))])
    assert (one.previous_keys, attach_previous_keys([])) == (None, [])


def test_does_not_depend_on_the_partitions(spark: SparkSession) -> None:
    """The counts of changes do not depend on the partitions."""
    chance = random.Random(6)  # noqa: S311 - a table, no secret
    tables = [spark.createDataFrame(_random_rows(chance), SCHEMA) for _ in range(2)]
    [one, other] = [
        count_row_changes([checked(table.repartition(parts)) for table in tables]) for parts in (1, 7)
    ]
    assert one == other
