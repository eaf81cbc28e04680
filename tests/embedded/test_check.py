from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.errors import Location, ScenarioError
from harness.job.check import CheckedVersion, check_version
from harness.job.fingerprint import fingerprint
from harness.job.prepare import KEY, make_samples
from harness.job.table import build_version, read_version
from harness.scenario.model import Append
from tests.embedded.runner import make_plan
from tests.embedded.tables import problems, readings, scenario

pytestmark = pytest.mark.spark

FEATURE: Location = ("pipeline", "features", 0)
CATEGORY: Location = ("pipeline", "categorical", 0)
_NO_VALUE = "feature 'x' is null in all training rows of version 'first'."


def check(table: DataFrame, **changes: Any) -> CheckedVersion:
    return check_version(table, scenario(**changes), 0)


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    return readings(spark).localCheckpoint()


def test_counts_what_is_left_out(table: DataFrame) -> None:
    """Rows that do not meet the filter, and of the others those whose label is in neither list."""
    labels = {"column": "id", "positive": list(range(0, 30, 2)), "negative": list(range(1, 25, 2))}
    found = check(table, label=labels, filter="id < 30")
    # 25, 27 and 29 have no label; 30 to 39 do not meet the filter.
    assert (found.rows, found.filtered_rows, found.unlabelled_rows) == (40, 10, 3)


def test_a_filter_that_can_not_be_told_leaves_out(table: DataFrame) -> None:
    """A condition that is null for a row is not met by it."""
    assert check(table, filter="if(id < 30, true, null)").filtered_rows == 10


def test_fingerprints_the_table_as_it_lies_there(table: DataFrame) -> None:
    """Neither derived columns nor the filter nor the label change the fingerprint or the schema."""
    renamed = table.withColumnRenamed("y", "label")
    label = {"column": "label", "positive": ["bad"], "negative": ["good"]}
    found = check(renamed, label=label, derive={"z": "x + 1"}, features=["z"], filter="id < 30")
    assert (found.fingerprint, found.schema) == (
        fingerprint(renamed),
        {"id": "bigint", "x": "double", "label": "string"},
    )


def test_passes_what_can_be_trained_on(table: DataFrame) -> None:
    """A sound table: its name, its version and its rows."""
    found = check(table)
    assert (found.name, found.version, found.rows) == ("first", 0, 40)


def test_a_null_or_a_nan_here_and_there_is_no_fault(table: DataFrame) -> None:
    """One value in the training rows is enough; what is missing is imputed."""
    columns = ["id", "y", "if(id % 9 = 0, x, if(id % 2 = 0, null, double('nan'))) AS x"]
    assert check(table.selectExpr(*columns)).rows == 40


@pytest.mark.parametrize(
    ("columns", "changes", "location", "message"),
    [
        pytest.param(
            ["nullif(id, 7) AS id", "x", "y"],
            {},
            ("table", "key"),
            "key 'id' is null in 1 rows of version 'first'.",
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
            "label 'y' has one class only in version 'first': 40 rows are negative, none is positive; "
            "0 rows have a value in neither list.",
            id="negatives only",
        ),
        pytest.param(
            ["id", "x", "if(id = 4, 'worse', 'bad') AS y"],
            {},
            ("pipeline", "label", "negative"),
            "label 'y' has one class only in version 'first': 39 rows are positive, none is negative; "
            "1 rows have a value in neither list.",
            id="positives only",
        ),
        pytest.param(
            ["id", "if(y = 'bad', double('nan'), x) AS x", "y"],
            {"filter": "not isnan(x)"},
            ("pipeline", "label", "positive"),
            "label 'y' has one class only in version 'first': 26 rows are negative, none is positive; "
            "0 rows have a value in neither list.",
            id="no positives behind the filter",
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
            ["id", "y", "x AS z"],
            {},
            FEATURE,
            "the table has no column 'x'.",
            id="no such feature",
        ),
        pytest.param(
            ["id", "x"], {}, ("pipeline", "label", "column"), "the table has no column 'y'.", id="no label"
        ),
        pytest.param(
            ["x", "y"],
            {"key": ["x", "id"]},
            ("table", "key", 1),
            "the table has no column 'id'.",
            id="no key",
        ),
        pytest.param(
            ["*", "x AS Probability"],
            {},
            ("table",),
            "column 'Probability' of the table has a name that the models need; rename it.",
            id="a name of Spark's",
        ),
        pytest.param(
            ["*"],
            {"derive": {"harness_key": "x"}},
            ("pipeline", "derive", "harness_key"),
            "'harness_key' is a name that the models need; take another.",
            id="a name of ours",
        ),
    ],
)
def test_a_fault_is_named_where_it_is(
    table: DataFrame, columns: list[str], changes: dict[str, Any], location: Location, message: str
) -> None:
    """One fault of the table or the scenario: one message, with the numbers, at one place."""
    with pytest.raises(ScenarioError) as caught:
        check(table.selectExpr(*columns), **changes)
    assert problems(caught.value) == [(location, message)]


def test_a_table_with_spaces_in_its_names_is_built(spark: SparkSession, tmp_path: Path) -> None:
    """Names that Parquet can't have are those of the table all the same, in every version."""
    names = ["the id", "amount (EUR)", "a=b", "y"]
    source = readings(spark).selectExpr("id", "x", "x AS z", "y").toDF(*names)
    features = ["amount (EUR)", "a=b"]
    small = scenario(key="the id", features=features, versions=["first", "second"])
    plan = make_plan(small, tmp_path / "none.csv", tmp_path)
    for number, where in enumerate(["`the id` < 30", "`the id` >= 30"]):
        build_version(source, Append(where=where), plan, number, ("versions", number))
    versions = [read_version(spark, plan.table_uri, number) for number in range(2)]
    found = [check_version(table, small, number) for number, table in enumerate(versions)]
    assert [(each.rows, list(each.schema)) for each in found] == [(30, names), (40, names)]
    assert found[1].fingerprint == fingerprint(source)


def test_an_empty_table_is_named(table: DataFrame) -> None:
    """No row at all: the version is at fault, not the label."""
    with pytest.raises(ScenarioError) as caught:
        check(table.limit(0))
    assert problems(caught.value) == [(("versions", 0), "version 'first' has no rows.")]


def test_a_filter_that_leaves_nothing_is_named(table: DataFrame) -> None:
    """No row meets it: that is what is said, not that the label has one class."""
    with pytest.raises(ScenarioError) as caught:
        check(table, filter="id < 0")
    assert problems(caught.value) == [
        (("pipeline", "filter"), "no row of version 'first' meets the filter; it leaves out all 40 rows.")
    ]


def test_a_filter_that_is_no_condition_is_named(table: DataFrame) -> None:
    """Spark's own words, in one line."""
    with pytest.raises(ScenarioError) as caught:
        check(table, filter="id +")
    [(where, what)] = problems(caught.value)
    assert where == ("pipeline", "filter")
    assert re.fullmatch("the filter can't be applied: [^\n]*", what)


def test_positives_that_are_all_held_out_are_named(table: DataFrame) -> None:
    """There would be nothing to learn from."""
    held_out = [row[KEY] for row in make_samples(check(table).frame, scenario(), 40).test.collect()]
    label = {
        "column": "id",
        "positive": [int(held_out[0])],
        "negative": list(range(40))[int(held_out[0]) + 1 :],
    }
    with pytest.raises(ScenarioError) as caught:
        check(table, label=label)
    [(where, what)] = problems(caught.value)
    assert where == ("pipeline", "label", "positive")
    assert what.startswith("version 'first' has 1 positive rows, but all of them are held out; lower")


def test_training_rows_in_one_fold_are_named(table: DataFrame) -> None:
    """Where the rows of the other folds are none there is nothing to train on."""
    frame = check(table, split={"test": 0.1}, model={"folds": 2}).frame
    folds = frame.where("not harness_held_out and harness_fold = 0").select("id", "y").collect()
    keep = [next(row["id"] for row in folds if row["y"] == label) for label in ("bad", "good")]
    with pytest.raises(ScenarioError) as caught:
        check(table.where(f"id in ({keep[0]}, {keep[1]})"), split={"test": 0.1}, model={"folds": 2})
    assert problems(caught.value) == [
        (
            ("pipeline", "model", "folds"),
            (
                "version 'first' has 2 training rows only, which all fall into one fold; "
                "take another seed, or bring more rows."
            ),
        )
    ]


def test_every_fault_is_told_at_once(table: DataFrame) -> None:
    """Two features without a value, one with infinities, and a label of one class: four messages."""
    columns = ["id", "null + 1D AS a", "double('nan') AS b", "double('infinity') AS c", "x", "'bad' AS y"]
    with pytest.raises(ScenarioError) as caught:
        check(table.selectExpr(*columns), features=["a", "x", "b", "c"])
    assert [where for where, _ in problems(caught.value)] == [
        ("pipeline", "label", "negative"),
        ("pipeline", "features", 0),
        ("pipeline", "features", 2),
        ("pipeline", "features", 3),
    ]
