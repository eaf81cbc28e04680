from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.errors import ScenarioError
from harness.job.prepare import FEATURES, FOLD, HELD_OUT, KEY, LABEL, PROBE, Samples, make_samples
from harness.scenario.model import Scenario
from tests.embedded.tables import prepared, problems, readings, scenario

pytestmark = pytest.mark.spark

Sides = dict[str, tuple[bool, int, float]]
"""Key to side, fold and probe order."""


def sides(table: DataFrame, small: Scenario) -> Sides:
    rows = prepared(table, small).select(KEY, HELD_OUT, FOLD, PROBE).collect()
    return {row[KEY]: (row[HELD_OUT], row[FOLD], row[PROBE]) for row in rows}


def samples_of(table: DataFrame, small: Scenario) -> Samples:
    return make_samples(prepared(table, small), small, rows=1)


def vectors(samples: Samples) -> dict[str, list[float]]:
    """Key to feature vector, of both sides."""
    rows = samples.train.unionAll(samples.test).select(KEY, FEATURES).collect()
    return {row[KEY]: list(row[FEATURES].toArray()) for row in rows}


def slots(samples: Samples) -> list[dict[str, float]]:
    """The feature vectors in the order of their keys, each as names and values."""
    by_key = vectors(samples)
    return [dict(zip(samples.names, by_key[key], strict=True)) for key in sorted(by_key, key=int)]


def everything_in_training(**pipeline: Any) -> Scenario:
    """A scenario whose first rows, those with a key from 0 to 9, are all trained on."""
    return scenario(seed=0, split={"test": 1e-9}, **pipeline)


@pytest.fixture(scope="module")
def ten_thousand(spark: SparkSession) -> Sides:
    return sides(readings(spark, 10_000), scenario())


def test_a_row_keeps_its_side_when_rows_are_added(spark: SparkSession, ten_thousand: Sides) -> None:
    """Side, fold and probe order depend on the key alone, not on which rows there are or how they lie."""
    some = readings(spark, 3000).repartition(3).orderBy(F.desc("id")).where("id % 2 = 1")
    found = sides(some, scenario())
    assert found == {key: ten_thousand[key] for key in found}


def test_another_seed_is_another_split(spark: SparkSession, ten_thousand: Sides) -> None:
    """With another seed about half of the rows change sides, as by chance: 2 x 0.4 x 0.6."""
    other = sides(readings(spark, 10_000), scenario(seed=1))
    moved = sum(other[key][0] != ten_thousand[key][0] for key in other)
    assert moved / 10_000 == pytest.approx(0.48, abs=0.02)


def test_the_share_held_out_is_what_was_asked_for(ten_thousand: Sides) -> None:
    """40 in a hundred, give or take four standard deviations."""
    assert sum(held_out for held_out, _, _ in ten_thousand.values()) == pytest.approx(4000, abs=200)


def test_folds_and_probes_do_not_follow_the_split(ten_thousand: Sides) -> None:
    """Of each fold, and of both halves of the probe order, the same share is held out."""
    shares = []
    for fold in range(5):
        inside = [held_out for held_out, its, _ in ten_thousand.values() if its == fold]
        shares.append(sum(inside) / len(inside))
    late = [held_out for held_out, _, probe in ten_thousand.values() if probe > 0.5]
    shares.append(sum(late) / len(late))
    assert shares == [pytest.approx(0.4, abs=0.05)] * 6


def test_folds_are_of_one_size(ten_thousand: Sides) -> None:
    """A fifth each, give or take."""
    sizes = [sum(its == fold for _, its, _ in ten_thousand.values()) for fold in range(5)]
    assert sizes == [pytest.approx(2000, abs=200)] * 5


def test_keys_of_two_columns_are_not_run_together(spark: SparkSession) -> None:
    """'a' and 'bc' is another key than 'ab' and 'c', and a null in one column makes the key null."""
    table = spark.createDataFrame(
        [("a", "bc", 1.0, "bad"), ("ab", "c", 1.0, "bad"), ("1:a", "", 1.0, "bad"), ("a", None, 1.0, "bad")],
        "k string, l string, x double, y string",
    )
    keys = [row[KEY] for row in prepared(table, scenario(key=["k", "l"])).select(KEY).collect()]
    assert (len(set(keys)), keys[3]) == (4, None)


def test_derives_casts_and_filters(spark: SparkSession) -> None:
    """Features are doubles, derived ones too; a row that does not meet the filter, or may not, is left out."""
    table = spark.createDataFrame(
        [(0, 3, True, None, "bad"), (1, 4, False, 1, "good"), (2, 5, None, 0, "good"), (3, 6, True, 1, "?")],
        "id int, n int, flag boolean, keep int, y string",
    )
    small = everything_in_training(
        derive={"half": "n / 2 -- of the number", "text_length": "length(concat(y, 'x'))"},
        features=["N", "flag", "half", "text_length"],
        filter="keep = 1 or half > 2.4",
    )
    assert slots(samples_of(table, small)) == [
        {"N": 4.0, "flag": 0.0, "half": 2.0, "text_length": 5.0},
        {"N": 5.0, "flag": 0.0, "half": 2.5, "text_length": 5.0},
    ]


@pytest.mark.parametrize(
    ("label", "column", "expected"),
    [
        pytest.param(
            {"column": "b", "positive": [True], "negative": [False]},
            "id % 2 = 0",
            [1.0, 0.0],
            id="booleans of YAML",
        ),
        pytest.param(
            {"column": "b", "positive": [1], "negative": [0]},
            "CAST(id AS DOUBLE)",
            [0.0, 1.0],
            id="doubles as ints",
        ),
        pytest.param(
            {"column": "b", "positive": [1.0], "negative": [0]}, "id", [0.0, 1.0], id="longs as floats"
        ),
        pytest.param(
            {"column": "b", "positive": [1], "negative": [0]},
            "CAST(id AS STRING)",
            [0.0, 1.0],
            id="texts as ints",
        ),
        pytest.param(
            {"column": "b", "positive": ["1"], "negative": ["0"]}, "id", [0.0, 1.0], id="longs as texts"
        ),
        pytest.param(
            {"column": "b", "positive": [1, 0], "negative": [2]},
            "if(id = 0, NULL, id)",
            [None, 1.0],
            id="null",
        ),
    ],
)
def test_label_values_match(
    spark: SparkSession, label: dict[str, Any], column: str, expected: list[float | None]
) -> None:
    """Booleans, and numbers however they are written, are found in the column."""
    table = spark.range(2).selectExpr("id", "1.0D AS x", f"{column} AS b")
    found = prepared(table, scenario(label=label)).select("harness_label").collect()
    assert expected == [row[0] for row in found]
