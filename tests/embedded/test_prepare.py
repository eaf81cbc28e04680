"""The rows of a version as feature vectors, and the split into training and held-out rows."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.errors import ScenarioError
from harness.job.prepare import HELD_OUT, PROBE, PreparedRows
from harness.job.spark_session import fit_in_memory
from harness.pipelines import FEATURES, FOLD, KEY, LABEL
from harness.scenario.model import Scenario
from tests.embedded.tables import (
    add_columns,
    list_problems,
    make_readings,
    make_small_samples,
    scenario,
)

pytestmark = pytest.mark.spark

Sides = dict[str, tuple[bool, int, float]]
"""Key to side, fold and probe order."""


def read_sides(table: DataFrame, small: Scenario) -> Sides:
    """Return the side, fold and probe order of each row by key."""
    rows = add_columns(table, small).select(KEY, HELD_OUT, FOLD, PROBE).collect()
    return {row[KEY]: (row[HELD_OUT], row[FOLD], row[PROBE]) for row in rows}


def make_samples_of(table: DataFrame, small: Scenario) -> PreparedRows:
    """Return the feature vectors of a small table."""
    return make_small_samples(add_columns(table, small), small, rows=1)


def read_vectors(samples: PreparedRows) -> dict[str, list[float]]:
    """Return the feature vector of each row by key, training and held-out rows alike."""
    rows = samples.train.unionAll(samples.test).select(KEY, FEATURES).collect()
    return {row[KEY]: list(row[FEATURES].toArray()) for row in rows}


def read_slots(samples: PreparedRows) -> list[dict[str, float]]:
    """Return the feature vectors in the order of their keys, each as names and values."""
    by_key = read_vectors(samples)
    return [dict(zip(samples.names, by_key[key], strict=True)) for key in sorted(by_key, key=int)]


def train_on_all_rows(**pipeline: Any) -> Scenario:
    """Return a scenario that trains on all rows with a key from 0 to 9."""
    return scenario(seed=0, split={"test": 1e-9}, **pipeline)


@pytest.fixture(scope="module")
def ten_thousand(spark: SparkSession) -> Sides:
    return read_sides(make_readings(spark, 10_000), scenario())


def test_a_row_keeps_its_side_when_rows_are_added(spark: SparkSession, ten_thousand: Sides) -> None:
    """Split, fold and probe order of a row depend only on its key, not on other rows or partitions."""
    some = make_readings(spark, 3000).repartition(3).orderBy(F.desc("id")).where("id % 2 = 1")
    actual = read_sides(some, scenario())
    assert actual == {key: ten_thousand[key] for key in actual}


def test_another_seed_is_another_split(spark: SparkSession, ten_thousand: Sides) -> None:
    """Another seed moves about half of the rows, as expected by chance: 2 x 0.4 x 0.6."""
    other = read_sides(make_readings(spark, 10_000), scenario(seed=1))
    moved = sum(other[key][0] != ten_thousand[key][0] for key in other)
    assert moved / 10_000 == pytest.approx(0.48, abs=0.02)


def test_the_held_out_share_is_the_requested_one(ten_thousand: Sides) -> None:
    """The share of held-out rows is the requested one, within four standard deviations."""
    assert sum(held_out for held_out, _, _ in ten_thousand.values()) == pytest.approx(4000, abs=200)


def test_folds_and_probe_order_are_independent_of_the_split(ten_thousand: Sides) -> None:
    """The same share is held out of each fold, and of both halves of the probe order."""
    shares = []
    for fold in range(5):
        inside = [held_out for held_out, its, _ in ten_thousand.values() if its == fold]
        shares.append(sum(inside) / len(inside))
    late = [held_out for held_out, _, probe in ten_thousand.values() if probe > 0.5]
    shares.append(sum(late) / len(late))
    assert shares == [pytest.approx(0.4, abs=0.05)] * 6


def test_folds_are_of_equal_size(ten_thousand: Sides) -> None:
    """Each of five folds has about a fifth of the rows."""
    sizes = [sum(its == fold for _, its, _ in ten_thousand.values()) for fold in range(5)]
    assert sizes == [pytest.approx(2000, abs=200)] * 5


def test_parts_of_a_key_are_separate(spark: SparkSession) -> None:
    """The key (a, bc) is not (ab, c), and a null in one column makes the key null."""
    table = spark.createDataFrame(
        [("a", "bc", 1.0, "bad"), ("ab", "c", 1.0, "bad"), ("1:a", "", 1.0, "bad"), ("a", None, 1.0, "bad")],
        "k string, l string, x double, y string",
    )
    keys = [row[KEY] for row in add_columns(table, scenario(key=["k", "l"])).select(KEY).collect()]
    assert (len(set(keys)), keys[3]) == (4, None)


def test_features_are_derived_cast_and_filtered(spark: SparkSession) -> None:
    """Features, derived or not, become doubles; rows that don't meet the filter are dropped."""
    table = spark.createDataFrame(
        [(0, 3, True, None, "bad"), (1, 4, False, 1, "good"), (2, 5, None, 0, "good"), (3, 6, True, 1, "?")],
        "id int, n int, flag boolean, keep int, y string",
    )
    small = train_on_all_rows(
        derive={"half": "n / 2 -- of the number", "text_length": "length(concat(y, 'x'))"},
        features=["N", "flag", "half", "text_length"],
        filter="keep = 1 or half > 2.4",
    )
    assert read_slots(make_samples_of(table, small)) == [
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
def test_label_values_match_in_any_notation(
    spark: SparkSession, label: dict[str, Any], column: str, expected: list[float | None]
) -> None:
    """Booleans, and numbers in any notation, match the values in the label's column."""
    table = spark.range(2).selectExpr("id", "1.0D AS x", f"{column} AS b")
    actual = add_columns(table, scenario(label=label)).select("harness_label").collect()
    assert expected == [row[0] for row in actual]


def test_the_label_may_be_a_column_named_label(spark: SparkSession) -> None:
    """A label column named 'label' stays unchanged, so that the filter can read it."""
    table = spark.createDataFrame(
        [(0, 1.0, "bad"), (1, 2.0, "good"), (2, 3.0, "odd")], "id int, x double, label string"
    )
    small = train_on_all_rows(
        label={"column": "label", "positive": ["bad", "odd"], "negative": ["good"]}, filter="label != 'odd'"
    )
    rows = make_samples_of(table, small).train.select(KEY, LABEL).collect()
    assert {row[KEY]: row[LABEL] for row in rows} == {"0": 1.0, "1": 0.0}


@pytest.mark.parametrize(
    ("impute", "surrogate"), [("mean", statistics.fmean), ("median", statistics.median_low)]
)
def test_missing_numbers_are_imputed_from_the_training_rows(
    spark: SparkSession, impute: str, surrogate: Any
) -> None:
    """Nulls and NaN get the exact mean or median of the training rows, not of the held-out ones."""
    numbers = "CASE WHEN id % 10 = 0 THEN NULL WHEN id % 10 = 1 THEN double('nan') ELSE id * id END"
    table = spark.range(2000).selectExpr("id", f"{numbers} AS x", "'bad' AS y")
    samples = make_samples_of(table, scenario(impute=impute, model={"partitions": 3}))
    trained = [row[KEY] for row in samples.train.select(KEY).collect()]
    expected = surrogate([int(key) ** 2 for key in trained if int(key) % 10 > 1])
    actual = {vector[0] for key, vector in read_vectors(samples).items() if int(key) % 10 < 2}
    assert len(trained) < 1300
    assert list(actual) == [pytest.approx(expected, rel=1e-12)]


def test_the_median_does_not_depend_on_the_partitions(spark: SparkSession) -> None:
    """The median is exact, unlike Spark's default, which depends on the partitions."""
    table = spark.range(20_000).selectExpr(
        "id", "if(id % 2 = 0, NULL, xxhash64(id) / 1e9) AS x", "'bad' AS y"
    )
    medians = []
    for partitions in (1, 6):
        small = train_on_all_rows(impute="median", model={"partitions": partitions})
        by_key = read_vectors(make_samples_of(table, small))
        medians.append(by_key["0"])
    assert medians[0] == medians[1]


@pytest.fixture(scope="module")
def categories(spark: SparkSession) -> DataFrame:
    """Return a table in which keys 0 to 4 are trained on, and 5 and 6 are held out."""
    rows = [
        (0, "red", 10, 1.0),
        (1, "", 9, 2.0),
        (2, "blue", 9, None),
        (3, None, 10, 3.0),
        (4, "red", None, 4.0),
        (5, "green", 8, 5.0),
        (6, None, None, None),
    ]
    return spark.createDataFrame(
        [(*row, "bad") for row in rows], "id int, color string, size int, x double, y string"
    )


@pytest.fixture(scope="module")
def encoded(categories: DataFrame) -> PreparedRows:
    # The first seed that holds out these two and no others.
    small = scenario(seed=18, features=["x"], categorical=["color", "size"])
    return make_samples_of(categories, small)


def test_an_indicator_is_named_by_its_value(encoded: PreparedRows) -> None:
    """Each value seen in training, even an empty text, has an indicator 'column=value', by alphabet."""
    assert encoded.names == ("x", "color=", "color=blue", "color=red", "size=10", "size=9")


def test_a_value_sets_its_indicator(encoded: PreparedRows) -> None:
    """A value sets its own indicator and no other indicator of its column."""
    assert read_slots(encoded)[0] == {
        "x": 1.0,
        "color=": 0.0,
        "color=blue": 0.0,
        "color=red": 1.0,
        "size=10": 1.0,
        "size=9": 0.0,
    }


def test_an_unseen_value_sets_no_indicator(encoded: PreparedRows) -> None:
    """Null, and values that only held-out rows have, set no indicator."""
    actual = [{value for name, value in read_slots(encoded)[key].items() if name != "x"} for key in (5, 6)]
    assert actual == [{0.0}, {0.0}]


def test_a_saved_featurizer_makes_the_same_vectors(
    categories: DataFrame, encoded: PreparedRows, tmp_path: Path
) -> None:
    """A featurizer that is saved, loaded and applied to raw rows makes the same vectors."""
    encoded.featurizer.save(str(tmp_path / "featurizer"))
    loaded = PipelineModel.load(str(tmp_path / "featurizer"))
    rows = loaded.transform(categories.orderBy(F.desc("id"))).select("id", FEATURES).collect()
    assert {str(row["id"]): list(row[FEATURES].toArray()) for row in rows} == read_vectors(encoded)


def test_any_column_name_is_supported(spark: SparkSession) -> None:
    """Keys, labels, features and categories may have spaces, dots, backticks and quotes in their names."""
    names = ["the id", "loan.amnt", "a `b`", "it's", "Ü %", "In.Or `Out`"]
    table = spark.createDataFrame([(0, 1.5, 2, "v", "w", "bad"), (1, 2.5, 3, "v", "w", "good")], names)
    small = train_on_all_rows(
        key="the id",
        label={"column": "In.Or `Out`", "positive": ["bad"], "negative": ["good"]},
        derive={"twice": "`loan.amnt` * 2"},
        features=["loan.amnt", "a `b`", "twice"],
        categorical=["it's", "Ü %"],
    )
    assert read_slots(make_samples_of(table, small))[1] == {
        "loan.amnt": 2.5,
        "a `b`": 3.0,
        "twice": 5.0,
        "it's=v": 1.0,
        "Ü %=w": 1.0,
    }


@pytest.mark.parametrize(
    ("pipeline", "location", "message"),
    [
        pytest.param(
            {"features": ["x", "y"]},
            ("features", 1),
            "feature 'y' is of type string, not a number: "
            "list it under 'categorical', or derive a number from it.",
            id="text",
        ),
        pytest.param(
            {"features": ["z"]},
            ("features",),
            "the features can't be computed: .*`z` cannot be resolved. Did you mean one of [^;\n]*",
            id="unknown feature",
        ),
        pytest.param(
            {"categorical": ["z"]},
            ("features",),
            "the features can't be computed: .*`z` cannot be resolved[^;\n]*",
            id="unknown category",
        ),
        pytest.param(
            {"derive": {"X": "id + 1"}},
            ("derive", "X"),
            "the table already has a column 'X'; rename the derived column.",
            id="overwritten",
        ),
        pytest.param(
            {"derive": {"z": "idd + 1"}},
            ("derive", "z"),
            "'z' can't be derived: .*`idd` cannot be resolved. Did you mean one of [^\n]* \\[`id`.*",
            id="misspelled",
        ),
        pytest.param(
            {"derive": {"z": "id +"}},
            ("derive", "z"),
            "'z' can't be derived: .*PARSE_SYNTAX_ERROR[^\n]*",
            id="invalid SQL",
        ),
        pytest.param(
            {"derive": {"z": "id AS w"}},
            ("derive", "z"),
            "'z' can't be derived: [^\n]*",
            id="an alias",
        ),
        pytest.param(
            {"derive": {"z": "sum(id)"}}, ("derive", "z"), "'z' can't be derived: [^\n]*", id="an aggregate"
        ),
        pytest.param(
            {"derive": {"z": "year(true)"}},
            ("derive", "z"),
            "'z' can't be derived: .*DATATYPE_MISMATCH[^\n]*",
            id="a wrong type",
        ),
        pytest.param(
            {"label": {"column": "x", "positive": [True], "negative": [False]}},
            ("label",),
            "the label can't be computed: .*DATATYPE_MISMATCH[^\n]*",
            id="a label of another type",
        ),
    ],
)
def test_a_mistake_has_its_location(
    spark: SparkSession, pipeline: dict[str, Any], location: tuple[str | int, ...], message: str
) -> None:
    """A mistake is one line that names the column, at its location in the scenario."""
    with pytest.raises(ScenarioError) as caught:
        add_columns(make_readings(spark), scenario(**pipeline))
    [(where, what)] = list_problems(caught.value)
    assert where == ("pipeline", *location)
    assert re.fullmatch(message, what)


def test_the_free_memory_of_the_executors_is_known(spark: SparkSession) -> None:
    """A small cached table leaves room for many trainings; more tables of the same size leave no less."""
    rows = spark.range(100_000).persist()
    try:
        rows.count()
        assert fit_in_memory(spark, 1) > 4
        assert fit_in_memory(spark, 4) >= fit_in_memory(spark, 1)
    finally:
        rows.unpersist()
