"""The checks of a version before any training, and the location of each problem."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.errors import Location, ScenarioError
from harness.job.check_version import CheckedVersion, check_version
from harness.job.fingerprint import compute_fingerprint
from harness.job.prepare import LABEL_VALUE
from harness.pipelines import KEY
from tests.embedded.tables import list_problems, make_readings, make_small_samples, scenario

pytestmark = pytest.mark.spark

FEATURE: Location = ("pipeline", "features", 0)
CATEGORY: Location = ("pipeline", "categorical", 0)
_NO_VALUE = "feature 'x' is null in all training rows of version 'first'."


def check(table: DataFrame, **changes: Any) -> CheckedVersion:
    return check_version(table, scenario(**changes), "first", 0)


def check_untrained(table: DataFrame, **changes: Any) -> CheckedVersion:
    """Check a version at which no model is trained."""
    return check(table, train=False, **changes)


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    return make_readings(spark).localCheckpoint()


def test_excluded_rows_are_counted(table: DataFrame) -> None:
    """Rows that the filter excludes are counted, and separately the others without a known label."""
    labels = {"column": "id", "positive": list(range(0, 30, 2)), "negative": list(range(1, 25, 2))}
    checked = check(table, label=labels, filter="id < 30")
    # 25, 27 and 29 have no label; 30 to 39 do not meet the filter.
    assert (checked.rows, checked.filtered_rows, checked.unlabelled_rows) == (40, 10, 3)


def test_a_null_condition_excludes_the_row(table: DataFrame) -> None:
    """A row for which the filter is null is excluded."""
    assert check(table, filter="if(id < 30, true, null)").filtered_rows == 10


def test_the_fingerprint_is_that_of_the_unchanged_table(table: DataFrame) -> None:
    """Derived columns, filter and label change neither the fingerprint nor the schema."""
    renamed = table.withColumnRenamed("y", "label")
    label = {"column": "label", "positive": ["bad"], "negative": ["good"]}
    checked = check(renamed, label=label, derive={"z": "x + 1"}, features=["z"], filter="id < 30")
    assert (checked.fingerprint, checked.schema) == (
        compute_fingerprint(renamed),
        {"id": "bigint", "x": "double", "label": "string"},
    )


def test_a_trainable_version_passes(table: DataFrame) -> None:
    """A valid version keeps all its rows, each with a label."""
    checked = check(table)
    assert (checked.rows, checked.filtered_rows, checked.unlabelled_rows) == (40, 0, 0)
    assert (checked.null_keys, checked.duplicate_keys, checked.nulls) == (
        0,
        0,
        {"id": 0.0, "x": 0.0, "y": 0.0},
    )
    assert checked.ranges == {"x": (0.5, 6.5)}
    labels = {row["id"]: row[LABEL_VALUE] for row in checked.frame.collect()}
    assert labels == {key: float(key % 3 == 0) for key in range(40)}


def test_some_missing_values_are_allowed(table: DataFrame) -> None:
    """A feature is valid if a single training row has a value."""
    columns = ["id", "y", "if(id % 9 = 0, x, if(id % 2 = 0, null, double('nan'))) AS x"]
    assert check(table.selectExpr(*columns)).rows == 40


@pytest.mark.parametrize(
    ("columns", "changes", "location", "message"),
    [
        pytest.param(
            ["nullif(id, 7) AS id", "x", "y"],
            {},
            ("table", "key"),
            "key 'id' is null in 1 row of version 'first'.",
            id="a null key",
        ),
        pytest.param(
            ["if(id < 3, 17, id) AS id", "x", "y"],
            {},
            ("table", "key"),
            "key 'id' is not unique in version 'first': 3 rows too many, such as '17' (4 times).",
            id="a key four times",
        ),
        pytest.param(
            ["id % 20 AS id", "'a' AS k", "x", "y"],
            {"key": ["id", "k"]},
            ("table", "key"),
            "key 'id, k' is not unique in version 'first': 20 rows too many, such as '0, a' (2 times).",
            id="a key of two columns twice",
        ),
        pytest.param(
            ["id", "x", "'good' AS y"],
            {},
            ("pipeline", "label", "positive"),
            "label 'y' has only one class in version 'first': 40 negative rows, no positive one, "
            "and 0 rows with a value in none of the lists.",
            id="negatives only",
        ),
        pytest.param(
            ["id", "x", "if(id = 4, 'worse', 'bad') AS y"],
            {},
            ("pipeline", "label", "negative"),
            "label 'y' has only one class in version 'first': 39 positive rows, no negative one, "
            "and 1 row with a value in none of the lists.",
            id="positives only",
        ),
        pytest.param(
            ["id", "if(y = 'bad', double('nan'), x) AS x", "y"],
            {"filter": "not isnan(x)"},
            ("pipeline", "label", "positive"),
            "label 'y' has only one class in version 'first': 26 negative rows, no positive one, "
            "and 0 rows with a value in none of the lists.",
            id="no positives after the filter",
        ),
        pytest.param(["id", "null + 1D AS x", "y"], {}, FEATURE, _NO_VALUE, id="nulls"),
        pytest.param(["id", "double('nan') AS x", "y"], {}, FEATURE, _NO_VALUE, id="NaN"),
        pytest.param(["id", "float('nan') AS x", "y"], {}, FEATURE, _NO_VALUE, id="NaN of floats"),
        pytest.param(["id", "CAST(NULL AS DECIMAL(9,2)) AS x", "y"], {}, FEATURE, _NO_VALUE, id="decimals"),
        pytest.param(["id", "CAST(NULL AS BOOLEAN) AS x", "y"], {}, FEATURE, _NO_VALUE, id="booleans"),
        pytest.param(
            ["id", "CAST(NULL AS STRING) AS x", "y"], {"categorical": ["x"]}, CATEGORY, _NO_VALUE, id="texts"
        ),
        pytest.param(
            ["id", "if(id % 20 = 0, double('-infinity'), x) AS x", "y"],
            {},
            FEATURE,
            "feature 'x' is infinite in 2 rows of version 'first'.",
            id="infinities",
        ),
        pytest.param(
            ["id", "if(id % 20 = 0, -1e300D * id, x) AS x", "y"],
            {},
            FEATURE,
            "feature 'x' is too large to compute with in 1 row of version 'first', such as -2e+301: its "
            "square overflows. If the value stands for a missing one, make it null in 'derive'; otherwise, "
            "derive a feature of another scale.",
            id="huge numbers",
        ),
        pytest.param(
            ["id", "y", "x AS z"],
            {},
            FEATURE,
            "the table has no column 'x'.",
            id="missing feature",
        ),
        pytest.param(
            ["id", "x"],
            {},
            ("pipeline", "label", "column"),
            "the table has no column 'y'.",
            id="missing label",
        ),
        pytest.param(
            ["x", "y"],
            {"key": ["x", "id"]},
            ("table", "key", 1),
            "the table has no column 'id'.",
            id="missing key",
        ),
        pytest.param(
            ["*", "x AS Probability"],
            {},
            ("table",),
            "the table's column 'Probability' has a name that is reserved for the models; rename it.",
            id="a name that Spark uses",
        ),
        pytest.param(
            ["*"],
            {"derive": {"harness_key": "x"}},
            ("pipeline", "derive", "harness_key"),
            "'harness_key' is reserved for the models; choose another name.",
            id="a name that the harness uses",
        ),
    ],
)
def test_a_problem_has_its_location(
    table: DataFrame, columns: list[str], changes: dict[str, Any], location: Location, message: str
) -> None:
    """Each mistake in the table or the scenario is one message, with its numbers and its location."""
    with pytest.raises(ScenarioError) as caught:
        check(table.selectExpr(*columns), **changes)
    assert list_problems(caught.value) == [(location, message)]


def test_a_table_with_odd_names_is_checked(spark: SparkSession) -> None:
    """A table is checked whatever characters its column names have."""
    names = ["the id", "amount (EUR)", "a.b", "y"]
    source = make_readings(spark).selectExpr("id", "x", "x AS z", "y").toDF(*names)
    checked = check(source, key="the id", features=["amount (EUR)", "a.b"])
    assert (checked.rows, list(checked.nulls), checked.fingerprint) == (
        40,
        names,
        compute_fingerprint(source),
    )


def test_an_empty_table_is_reported(table: DataFrame) -> None:
    """A version without rows is reported as empty, not as a problem of its label."""
    with pytest.raises(ScenarioError) as caught:
        check(table.limit(0))
    assert list_problems(caught.value) == [(("versions", 0), "version 'first' has no rows.")]


def test_a_filter_that_excludes_every_row_is_reported(table: DataFrame) -> None:
    """A filter that excludes every row is reported as such, not as a label with one class."""
    with pytest.raises(ScenarioError) as caught:
        check(table, filter="id < 0")
    assert list_problems(caught.value) == [
        (("pipeline", "filter"), "the filter excludes all 40 rows of version 'first'.")
    ]


def test_an_invalid_filter_is_reported(table: DataFrame) -> None:
    """An invalid filter is reported with Spark's message on one line."""
    with pytest.raises(ScenarioError) as caught:
        check(table, filter="id +")
    [(where, what)] = list_problems(caught.value)
    assert where == ("pipeline", "filter")
    assert re.fullmatch("the filter can't be applied: [^\n]*", what)


def test_held_out_positives_are_reported(table: DataFrame) -> None:
    """A version whose positive rows are all held out is reported."""
    held_out = [row[KEY] for row in make_small_samples(check(table).frame, scenario(), 40).test.collect()]
    label = {
        "column": "id",
        "positive": [int(held_out[0])],
        "negative": list(range(40))[int(held_out[0]) + 1 :],
    }
    with pytest.raises(ScenarioError) as caught:
        check(table, label=label)
    [(where, what)] = list_problems(caught.value)
    assert where == ("pipeline", "label", "positive")
    assert what.startswith("version 'first' has 1 positive row, but none is in the training rows: lower")


def test_training_rows_in_one_fold_are_reported(table: DataFrame) -> None:
    """A version whose training rows are all in one fold is reported."""
    frame = check(table, split={"test": 0.1}, model={"folds": 2}).frame
    folds = frame.where("not harness_held_out and harness_fold = 0").select("id", "y").collect()
    keep = [next(row["id"] for row in folds if row["y"] == label) for label in ("bad", "good")]
    with pytest.raises(ScenarioError) as caught:
        check(table.where(f"id in ({keep[0]}, {keep[1]})"), split={"test": 0.1}, model={"folds": 2})
    assert list_problems(caught.value) == [
        (
            ("pipeline", "model", "folds"),
            ("version 'first' has only 2 training rows, all in one fold: choose another seed, or add rows."),
        )
    ]


def test_all_problems_are_reported_at_once(table: DataFrame) -> None:
    """All mistakes of a version are reported at once."""
    columns = ["id", "null + 1D AS a", "double('nan') AS b", "double('infinity') AS c", "x", "'bad' AS y"]
    with pytest.raises(ScenarioError) as caught:
        check(table.selectExpr(*columns), features=["a", "x", "b", "c"])
    assert [where for where, _ in list_problems(caught.value)] == [
        ("pipeline", "label", "negative"),
        ("pipeline", "features", 0),
        ("pipeline", "features", 2),
        ("pipeline", "features", 3),
    ]


def test_nulls_of_every_column_are_counted(table: DataFrame) -> None:
    """The share of nulls is counted over all rows; NaN and empty strings are not nulls."""
    columns = ["id", "if(id < 10, null, double('nan')) AS u", "if(id = 0, null, x) AS x", "y", "'' AS v"]
    checked = check(table.selectExpr(*columns), filter="id > 20")
    assert checked.nulls == {"id": 0.0, "u": 0.25, "x": 0.025, "y": 0.0, "v": 0.0}


def test_a_trained_version_has_unique_keys(table: DataFrame) -> None:
    """A trained version has neither null nor duplicate keys."""
    checked = check(table)
    assert (checked.is_trained, checked.null_keys, checked.duplicate_keys) == (True, 0, 0)


@pytest.mark.parametrize(
    ("columns", "key", "nulls", "doubled"),
    [
        pytest.param(["nullif(id, 7) AS id", "x", "y"], "id", 1, 0, id="a null key"),
        pytest.param(["if(id < 3, 17, id) AS id"], "id", 0, 3, id="a key four times"),
        pytest.param(["if(id < 5, null, 17) AS id"], "id", 5, 34, id="null keys and one more"),
        pytest.param(["id % 20 AS id", "if(id = 0, null, 'a') AS k"], ["id", "k"], 1, 19, id="two columns"),
        pytest.param(["x AS z", "y"], "id", 40, 0, id="no column of the key"),
        pytest.param(["id AS other", "x AS id"], ["id", "k"], 40, 0, id="half of the key"),
    ],
)
def test_keys_of_an_untrained_version_are_counted(
    table: DataFrame, columns: list[str], key: str | list[str], nulls: int, doubled: int
) -> None:
    """Null and duplicate keys are counted, not refused, if no model is trained."""
    checked = check_untrained(table.selectExpr(*columns), key=key)
    assert (checked.is_trained, checked.null_keys, checked.duplicate_keys) == (False, nulls, doubled)


def test_an_untrained_version_may_be_untrainable(table: DataFrame) -> None:
    """A version without label, features or valid names is measured if no model is trained."""
    odd = table.selectExpr("id", "x AS features", "y AS harness_label")
    checked = check_untrained(odd, filter="x > 0", features=["x"])
    assert (checked.rows, checked.fingerprint, checked.schema) == (
        40,
        compute_fingerprint(odd),
        {"id": "bigint", "features": "double", "harness_label": "string"},
    )


def test_an_untrained_version_may_be_empty(table: DataFrame) -> None:
    """A version without rows has no shares of nulls."""
    checked = check_untrained(table.limit(0))
    assert (checked.rows, checked.nulls, checked.null_keys, checked.duplicate_keys) == (0, {}, 0, 0)


def test_facts_do_not_depend_on_training(table: DataFrame) -> None:
    """What is measured of a version doesn't depend on whether a model is trained at it."""
    facts = [
        (each.fingerprint, each.schema, each.nulls, each.rows)
        for each in (check(table), check_untrained(table))
    ]
    assert facts[0] == facts[1]


def test_an_optional_feature_may_be_missing(table: DataFrame) -> None:
    """A missing optional feature is left out of the version's pipeline."""
    checked = check(table, features=["u", "x"], categorical=["v"], optional=["u", "v"])
    pipeline = checked.scenario.pipeline
    assert (("x",), ()) == (pipeline.features, pipeline.categorical)
    assert make_small_samples(checked.frame, checked.scenario, checked.rows).names == ("x",)


def test_an_existing_optional_feature_is_used(table: DataFrame) -> None:
    """An existing optional feature is used, whatever the case of its name."""
    checked = check(table.withColumn("U", F.col("x")), features=["u", "x"], optional=["u"])
    assert checked.scenario.pipeline.features == ("u", "x")


@pytest.mark.parametrize(
    ("columns", "changes", "location", "message"),
    [
        pytest.param(
            ["*"],
            {"features": ["u", "z"], "optional": ["u"]},
            ("pipeline", "features", 1),
            "the table has no column 'z'.",
            id="a required feature is missing",
        ),
        pytest.param(
            ["id", "y", "null + 1D AS x"],
            {"features": ["u", "x"], "optional": ["u"]},
            ("pipeline", "features", 1),
            _NO_VALUE,
            id="a later feature has no value",
        ),
        pytest.param(
            ["id", "y", "'a' AS x"],
            {"features": ["u", "x"], "optional": ["u"]},
            ("pipeline", "features", 1),
            "feature 'x' is of type string, not a number: "
            "list it under 'categorical', or derive a number from it.",
            id="a later feature is not a number",
        ),
        pytest.param(
            ["id", "y"],
            {"features": ["u", "x"], "categorical": ["v"], "optional": ["x", "u", "v"]},
            ("pipeline", "optional"),
            "version 'first' has none of the features, which are all optional: u, x, v. "
            "Set 'train: false' for it, or add a feature that it has.",
            id="all features are missing",
        ),
    ],
)
def test_a_problem_next_to_an_optional_feature_has_its_location(
    table: DataFrame, columns: list[str], changes: dict[str, Any], location: Location, message: str
) -> None:
    """A mistake has its location in the file even if an optional feature before it is missing."""
    with pytest.raises(ScenarioError) as caught:
        check(table.selectExpr(*columns), **changes)
    assert list_problems(caught.value) == [(location, message)]


def test_unexpected_labels_are_named(spark: SparkSession) -> None:
    """Values of the label in none of the lists are counted by value; null is one of them."""
    labels = ["bad", "good", "bad "] * 10 + ["late", None, None]
    rows = [(at, float(at), each) for at, each in enumerate(labels)]
    table = spark.createDataFrame(rows, "id INT, x DOUBLE, y STRING")
    label = {"column": "y", "positive": ["bad"], "negative": ["good"]}
    strict = check(table, label=label)
    assert (13, 0, {"'bad '": 10, "null": 2, "'late'": 1}) == (
        strict.unlabelled_rows,
        strict.ignored_rows,
        strict.unlabelled,
    )
    some = check(table, label={**label, "ignore": [None, "late"]})
    assert (10, 3, {"'bad '": 10}) == (some.unlabelled_rows, some.ignored_rows, some.unlabelled)
    only_null = check(table, label={**label, "ignore": [None]})
    assert (11, 2) == (only_null.unlabelled_rows, only_null.ignored_rows)
    only_text = check(table, label={**label, "ignore": ["bad ", "late"]})
    assert (2, 11, {"null": 2}) == (only_text.unlabelled_rows, only_text.ignored_rows, only_text.unlabelled)
