"""The rows that each version adds, removes and changes, compared with plain Python."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.job.changed_columns import EXAMPLES, describe_changed_columns
from harness.job.check_version import CheckedVersion, check_version
from harness.job.row_diff import attach_previous_keys, count_row_changes, select_keys
from harness.pipelines import KEY
from harness.results import ChangedColumns, RowChanges
from tests.embedded.tables import scenario

pytestmark = pytest.mark.spark

SCHEMA = "id long, k string, x double, y string"
Row = tuple[int | None, str | None, float | None, str | None]


def check(table: DataFrame) -> CheckedVersion:
    """Return a version with a two-column key at which no model is trained."""
    return check_version(table, scenario(key=["id", "k"], train=False), "first", 0)


def count_changes(spark: SparkSession, before: list[Row], after: list[Row]) -> RowChanges | None:
    return count_row_changes([check(spark.createDataFrame(rows, SCHEMA)) for rows in (before, after)])[1]


def count_in_python(before: list[Row], after: list[Row]) -> RowChanges:
    old, new = ({row[:2]: row for row in rows} for rows in (before, after))
    changed = sum(old[key] != new[key] for key in old.keys() & new.keys())
    return RowChanges(
        added=len(new.keys() - old.keys()), removed=len(old.keys() - new.keys()), changed=changed
    )


def _random_rows(chance: random.Random) -> list[Row]:
    """Generate up to 12 of 16 keys with few values, some of them null, so that many rows stay unchanged."""
    keys = chance.sample([(number, kind) for number in range(8) for kind in "ab"], chance.randrange(1, 12))
    return [(*key, chance.choice([None, 0.0, 1.0]), chance.choice([None, "", "good"])) for key in keys]


def test_counts_agree_with_plain_python(spark: SparkSession) -> None:
    """Added, removed and changed rows are counted correctly for random tables with a two-column key."""
    chance = random.Random(5)  # noqa: S311 - not a secret
    for _ in range(4):
        before, after = _random_rows(chance), _random_rows(chance)
        assert count_changes(spark, before, after) == count_in_python(before, after)


def test_each_version_is_compared_with_the_previous_one(spark: SparkSession) -> None:
    """Each version is compared with the previous one, even if one has no rows or invalid keys."""
    chance = random.Random(8)  # noqa: S311 - not a secret
    odd: list[Row] = [(1, "a", 0.5, "good"), (1, "a", 0.7, "good"), (None, "a", 0.5, "good")]
    some = [_random_rows(chance) for _ in range(5)]
    tables = [*some[:3], odd, some[3], some[3], [], some[4], some[0]]
    actual = count_row_changes([check(spark.createDataFrame(rows, SCHEMA)) for rows in tables])
    expected = [count_in_python(*pair) for pair in pairwise(tables)]
    assert actual == [None, *expected[:2], None, None, *expected[4:]]


def test_reordered_rows_have_not_changed(spark: SparkSession) -> None:
    """Rows in a different order don't count as changed."""
    rows: list[Row] = [(number, "a", number / 3, "good") for number in range(20)]
    assert count_changes(spark, rows, rows[::-1]) == RowChanges(added=0, removed=0, changed=0)


def test_a_null_and_an_empty_string_differ(spark: SparkSession) -> None:
    """A row in which a null becomes an empty string counts as changed."""
    assert count_changes(spark, [(1, "a", 0.5, None)], [(1, "a", 0.5, "")]) == RowChanges(
        added=0, removed=0, changed=1
    )


def test_parts_of_a_key_are_compared_separately(spark: SparkSession) -> None:
    """The key (1, 1a) is not the key (11, a)."""
    actual = count_changes(spark, [(1, "1a", 0.5, "good")], [(11, "a", 0.5, "good")])
    assert actual == RowChanges(added=1, removed=1, changed=0)


def test_rows_of_an_empty_table_are_added(spark: SparkSession) -> None:
    """All rows of a table that was empty are added, and all are removed if it becomes empty."""
    rows: list[Row] = [(1, "a", 0.5, "good"), (2, "a", 0.5, "good")]
    assert count_changes(spark, [], rows) == RowChanges(added=2, removed=0, changed=0)
    assert count_changes(spark, rows, []) == RowChanges(added=0, removed=2, changed=0)


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
    """A change of the schema alone changes no row; a changed value in a common column does."""
    rows: list[Row] = [(number, "a", number / 3, "good") for number in range(9)]
    after = spark.createDataFrame([(0, "a", 77.0, "good"), *rows[1:8], (9, "a", 0.0, "good")], SCHEMA)
    versions = [check(spark.createDataFrame(rows, SCHEMA)), check(after.selectExpr(*columns))]
    assert count_row_changes(versions)[1] == RowChanges(added=1, removed=1, changed=1)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([(None, "a", 0.5, "good")], id="a null key"),
        pytest.param([(1, None, 0.5, "good")], id="half a key"),
        pytest.param([(1, "a", 0.5, "good"), (1, "a", 0.7, "good")], id="a key twice"),
    ],
)
def test_versions_with_invalid_keys_are_not_compared(spark: SparkSession, odd: list[Row]) -> None:
    """Versions with null or duplicate keys on either side are not compared."""
    good: list[Row] = [(1, "a", 0.5, "good")]
    assert (count_changes(spark, odd, good), count_changes(spark, good, odd)) == (None, None)


def test_a_version_without_the_key_is_not_compared(spark: SparkSession) -> None:
    """A version that lacks a column of the key is not compared, even if it has no rows."""
    whole = spark.createDataFrame([(1, "a", 0.5, "good")], SCHEMA)
    without = whole.drop("k").limit(0)
    assert count_row_changes([check(without), check(whole)]) == [None, None]
    assert select_keys(without, scenario(key=["id", "k"])) is None


def test_each_version_has_the_keys_of_the_previous_one(spark: SparkSession) -> None:
    """Each version gets the keys of the previous one, if there is one and it has all columns of the key."""
    whole = spark.createDataFrame([(1, "a", 0.5, "good"), (2, "b", 0.5, "good")], SCHEMA)
    actual = attach_previous_keys(
        [check(table) for table in (whole, whole.where("id = 1"), whole.drop("k"), whole)]
    )
    keys = [
        each.previous_keys and sorted(row[KEY] for row in each.previous_keys.collect()) for each in actual
    ]
    assert keys == [None, ["1:11:a", "1:21:b"], ["1:11:a"], None]


def test_the_first_version_has_no_previous_keys(spark: SparkSession) -> None:
    """A single version has no previous keys, and an empty list stays empty."""
    [one] = attach_previous_keys([check(spark.createDataFrame([(1, "a", 0.5, "good")], SCHEMA))])
    assert (one.previous_keys, attach_previous_keys([])) == (None, [])


def test_counts_do_not_depend_on_the_partitions(spark: SparkSession) -> None:
    """The counts of changed rows don't depend on the partitions."""
    chance = random.Random(6)  # noqa: S311 - not a secret
    tables = [spark.createDataFrame(_random_rows(chance), SCHEMA) for _ in range(2)]
    [one, other] = [
        count_row_changes([check(table.repartition(parts)) for table in tables]) for parts in (1, 7)
    ]
    assert one == other


def test_changed_columns_are_counted_with_examples(spark: SparkSession) -> None:
    """Each column's changed rows are counted; examples have the changed values, and no sensitive ones."""
    wide = "id long, k string, x double, y string, secret string, same int"
    before = [(at, "a", at / 2, "good", f"s{at}", 1) for at in range(20)]
    after = [
        *(
            (at, "a", float("nan") if at < 3 else x, None if at < 8 else y, secret if at else "told", same)
            for at, _, x, y, secret, same in before[:18]
        ),
        (18, "a", 9.0, "good", "told", 1),
        (20, "a", 0.5, "new", "s20", 1),
    ]
    checked = [check(spark.createDataFrame(rows, wide)) for rows in (before, after)]
    table = checked[1].scenario.table
    hidden = [
        replace(
            each,
            scenario=each.scenario.model_copy(
                update={"table": table.model_copy(update={"sensitive": columns})}
            ),
        )
        for columns in (("secret",), ("k",))
        for each in checked
    ]
    shown = describe_changed_columns(hidden[0], hidden[1])
    assert ({"y": 8, "x": 3}, 2, EXAMPLES) == (shown.columns, shown.sensitive, len(shown.examples))
    assert list(shown.columns) == ["y", "x"]
    for row in shown.examples:
        at = int(row.key.partition(",")[0])
        expected: dict[str, tuple[str | None, str | None]] = {"y": ("good", None)}
        if at < 3:
            expected["x"] = (str(at / 2), "NaN")
        assert (f"{at}, a", expected) == (row.key, row.values)
    of_key = describe_changed_columns(hidden[2], hidden[3])
    assert ({"y": 8, "x": 3, "secret": 2}, 0) == (of_key.columns, of_key.sensitive)
    assert all(row.key.startswith("#") for row in of_key.examples)


def test_a_row_that_only_changed_in_a_sensitive_column_is_no_example(spark: SparkSession) -> None:
    """If only sensitive columns changed, the rows are counted, and nothing else is shown."""
    rows: list[list[Row]] = [[(1, "a", 0.5, "good")], [(1, "a", 0.5, "bad")]]
    checked = []
    for each in rows:
        version = check(spark.createDataFrame(each, SCHEMA))
        table = version.scenario.table.model_copy(update={"sensitive": ("Y",)})
        checked.append(replace(version, scenario=version.scenario.model_copy(update={"table": table})))
    assert ChangedColumns(columns={}, sensitive=1) == describe_changed_columns(*checked)
