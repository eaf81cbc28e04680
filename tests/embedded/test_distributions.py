"""The distributions of the features' values, compared with NumPy's histogram."""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.job.check_version import CheckedVersion, check_version
from harness.job.distributions import BINS, OTHER, Bins, choose_bins, count_distributions, split_range
from tests.embedded.tables import scenario

pytestmark = pytest.mark.spark

LABELS = "if(id % 3 = 0, 'bad', 'good') AS y"


def check(table: DataFrame, *, train: bool = True, **pipeline: Any) -> CheckedVersion:
    """Return a version; if it is trained, all of its rows are training rows."""
    small = scenario(train=train, **{"split": {"test": 1e-9}, **pipeline})
    return check_version(table, small, "first", 0)


def count_rows(version: CheckedVersion, bins: Bins, feature: str) -> list[int]:
    return [each.rows for each in count_distributions([version], bins)[0][feature]]


def check_values(spark: SparkSession, values: list[float | None]) -> CheckedVersion:
    """Return a version whose feature ``x`` has these values."""
    table = spark.createDataFrame(list(enumerate(values)), "id long, x double")
    return check(table.selectExpr("id", "x", LABELS))


def check_texts(spark: SparkSession, values: list[str | None]) -> CheckedVersion:
    """Return a version whose categorical feature ``v`` has these values."""
    table = spark.createDataFrame(list(enumerate(values)), "id long, v string")
    return check(table.selectExpr("id", "v", LABELS), categorical=["v"])


@pytest.fixture(scope="module")
def values() -> list[float | None]:
    chance = random.Random(2)  # noqa: S311 - not a secret
    return [chance.gauss(-3, 7) for _ in range(500)]


def test_numbers_are_counted_as_numpy_counts_them(spark: SparkSession, values: list[float | None]) -> None:
    """Numbers are counted in twelve bins of equal width, as NumPy's histogram counts them."""
    version = check_values(spark, values)
    bins = choose_bins([version])
    expected, edges = np.histogram([value for value in values if value is not None], bins=12)
    assert bins.numbers["x"] == pytest.approx(list(edges[:-1]))
    assert count_rows(version, bins, "x") == list(expected)


def test_the_bins_are_those_of_the_first_version(spark: SparkSession, values: list[float | None]) -> None:
    """Later versions use the bins of the first one; values outside of them count in the outer bins."""
    bins = choose_bins([check_values(spark, values), check_values(spark, [1e6, *values])])
    later = check_values(spark, [-1e9, -1e8, 1e6, -2.0, 0.5, 1.5, 2.5])
    actual = count_rows(later, bins, "x")
    assert (len(actual), actual[0], actual[-1], sum(actual)) == (12, 2, 1, 7)


def test_a_value_on_an_edge_is_in_the_bin_above(spark: SparkSession) -> None:
    """A value on an edge is in the bin above it; the greatest value is in the last bin."""
    version = check_values(spark, [float(value) for value in range(13)])
    assert count_rows(version, choose_bins([version]), "x") == [1] * 11 + [2]


def test_missing_numbers_are_in_no_bin(spark: SparkSession) -> None:
    """Nulls and NaN are in no bin and do not affect the bins."""
    version = check_values(spark, [0.0, math.nan, None, 12.0, 12.0, math.nan])
    bins = choose_bins([version])
    assert bins.numbers["x"] == tuple(float(value) for value in range(12))
    assert count_rows(version, bins, "x") == [1] + [0] * 10 + [2]


def test_filtered_infinities_do_not_affect_the_bins(spark: SparkSession) -> None:
    """Infinities in filtered rows count in the outer bins and do not affect the bins."""
    table = spark.range(15).selectExpr(
        "id",
        "CASE id WHEN 13 THEN double('infinity') WHEN 14 THEN double('-infinity') ELSE id + 0D END AS x",
        LABELS,
    )
    version = check(table, filter="id < 13")
    assert count_rows(version, choose_bins([version]), "x") == [2, *[1] * 10, 3]


@pytest.mark.parametrize(
    ("least", "greatest"),
    [
        (0.0, 1.0),
        (-7.5, 3e12),
        (5.0, 5.0),
        (0.0, 0.0),
        (-1e17, -1e17),
        (1e17, 1e17 + 16),
        (5e-324, 1e-323),
        (-sys.float_info.max, sys.float_info.max),
        (sys.float_info.max, sys.float_info.max),
        (-sys.float_info.max, -sys.float_info.max),
    ],
)
def test_starts_of_bins_are_finite_and_rise(least: float, greatest: float) -> None:
    """The starts of bins are finite and increasing, even for extreme values."""
    actual = split_range(least, greatest)
    assert 1 <= len(actual) <= BINS
    assert all(math.isfinite(start) for start in actual)
    assert all(one < other for one, other in pairwise(actual))
    assert actual[0] <= least
    assert actual[-1] <= greatest or least == greatest


def test_a_single_value_has_bins_on_both_sides(spark: SparkSession) -> None:
    """A feature with a single value has bins on both sides of it for later versions."""
    bins = choose_bins([check_values(spark, [5.0] * 9)])
    actual = count_rows(check_values(spark, [4.0, 5.0, 6.0]), bins, "x")
    assert (sum(actual), max(actual)) == (3, 1)


def test_the_most_frequent_texts_have_a_bin_each(spark: SparkSession) -> None:
    """Each of the most frequent texts has its own bin, all others share one, and nulls are in none."""
    texts: list[str | None] = [f"text {number:02d}" for number in range(16) for _ in range(1 + number % 5)]
    texts += ["", "", "", "", "", "", 'it\'s \\ "=" 1', None, None]
    version = check_texts(spark, texts)
    actual = count_distributions([version], choose_bins([version]))[0]["v"]
    frequencies = Counter(text for text in texts if text is not None)
    top = sorted(frequencies.items(), key=lambda item: (-item[1], item[0]))
    expected = [*top[:12], (OTHER, sum(count for _, count in top[12:]))]
    assert [(each.start, each.rows) for each in actual] == expected


def test_texts_keep_their_bins(spark: SparkSession) -> None:
    """The bins of texts stay the same at later versions, where new texts count as others."""
    odd = 'it\'s \\ "=" 1'
    bins = choose_bins([check_texts(spark, ["a", "a", "a", odd, odd, ""])])
    later = check_texts(spark, [odd, odd, "new", "newer", None, "a"])
    actual = count_distributions([later], bins)[0]["v"]
    assert [(each.start, each.rows) for each in actual] == [("a", 1), (odd, 2), ("", 0), (OTHER, 2)]


def test_a_later_feature_has_the_bins_of_its_first_version(spark: SparkSession) -> None:
    """A feature that is added later has the bins of the first version that has it."""
    with_it = spark.range(13).selectExpr("id", "id * 2D AS x", "id + 0D AS u", LABELS)
    versions = [check(table, features=["u", "x"], optional=["u"]) for table in (with_it.drop("u"), with_it)]
    bins = choose_bins([versions[0], check(with_it.withColumn("x", with_it["x"] * 5)), versions[1]])
    assert [list(actual) for actual in count_distributions(versions, bins)] == [["x"], ["u", "x"]]
    assert (bins.numbers["u"][1], bins.numbers["x"][1]) == (1.0, 2.0)


def test_booleans_and_derived_columns_are_features_too(spark: SparkSession) -> None:
    """Booleans and derived columns have distributions like any other feature."""
    table = spark.range(12).selectExpr("id", "id < 4 AS b", LABELS)
    version = check(table, features=["b", "z"], derive={"z": "id * 10"})
    bins = choose_bins([version])
    assert count_rows(version, bins, "b") == [8, *[0] * 10, 4]
    assert count_rows(version, bins, "z") == [1] * 12


def test_an_untrained_version_is_counted(spark: SparkSession) -> None:
    """An untrained version is counted in the same bins, whatever its keys and labels are."""
    table = spark.range(13).selectExpr("id", "id + 0D AS x", LABELS)
    bins = choose_bins([check(table)])
    odd = check(table.selectExpr("1 AS id", "x + 6 AS x"), train=False)
    assert count_rows(odd, bins, "x") == [0] * 6 + [1] * 5 + [8]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(["id", "y"], id="missing column"),
        pytest.param(["id", "'a' AS x"], id="a text"),
        pytest.param(["id", "x", "x AS z"], id="a column that the scenario derives"),
        pytest.param(["id", "x", "x AS harness_number_0"], id="a name that the harness uses"),
    ],
)
def test_an_untrained_version_may_have_no_distributions(spark: SparkSession, columns: list[str]) -> None:
    """An untrained version whose features can't be computed has no distributions."""
    table = spark.range(13).selectExpr("id", "id + 0D AS x", LABELS)
    derive: dict[str, Any] = {"derive": {"z": "x + 1"}, "features": ["x"]}
    good = check(table, **derive)
    odd = check(table.selectExpr(*columns), train=False, **derive)
    assert count_distributions([odd, good], choose_bins([good]))[0] == {}


def test_without_a_trained_version_there_are_no_bins(spark: SparkSession) -> None:
    """If no version is trained, there are no distributions."""
    table = spark.range(13).selectExpr("id", "id + 0D AS x", LABELS)
    assert count_distributions([check(table, train=False)], choose_bins([])) == [{}]


def test_distributions_do_not_depend_on_the_partitions(
    spark: SparkSession, values: list[float | None]
) -> None:
    """The distributions don't depend on the partitions."""
    table = spark.createDataFrame(list(enumerate(values)), "id long, x double").selectExpr(
        "id", "x", "CAST(CAST(x AS INT) AS STRING) AS v", LABELS
    )
    [one, other] = [check(table.repartition(parts), features=["x"], categorical=["v"]) for parts in (1, 7)]
    assert choose_bins([one]) == choose_bins([other])
    assert count_distributions([one], choose_bins([one])) == count_distributions(
        [other], choose_bins([other])
    )
