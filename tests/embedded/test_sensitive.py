"""Values of sensitive columns, which no result and no message of the job has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from harness.errors import ScenarioError
from harness.job.added_rows import describe_added_rows
from harness.job.check_version import CheckedVersion, check_version
from harness.job.data_checks import require_sensitive_columns
from harness.job.distributions import choose_bins, count_distributions
from harness.job.row_diff import select_keys
from harness.job.source_reader import read_source
from harness.plan import SourceData
from harness.scenario.model import Scenario
from harness.scenario.sensitive import hide_value
from tests.embedded.tables import list_problems, make_readings, scenario

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    return (
        make_readings(spark)
        .selectExpr(
            "*",
            "if(id < 30, 'old', concat('new ', id % 2)) AS kind",
            "date_add('2024-01-01', int(id)) AS day",
        )
        .localCheckpoint()
    )


def hide(*columns: str, **changes: Any) -> Scenario:
    """Return a small scenario with sensitive columns."""
    small = scenario(**changes)
    return small.model_copy(update={"table": small.table.model_copy(update={"sensitive": columns})})


def check(table: DataFrame, small: Scenario) -> CheckedVersion:
    return check_version(table, small, "first", 0)


def test_a_sensitive_column_that_no_version_has_is_a_mistake(table: DataFrame) -> None:
    """A sensitive column must be a column of some version, or a derived one."""
    narrow = table.select("id")
    require_sensitive_columns(hide("X", "twice", derive={"twice": "x * 2"}), [narrow, table])
    with pytest.raises(ScenarioError) as caught:
        require_sensitive_columns(hide("kind", "knid"), [narrow, table])
    expected = [(("table", "sensitive", 1), "no version of the table has a column 'knid'.")]
    assert expected == list_problems(caught.value)


def test_unexpected_labels_are_digests(table: DataFrame) -> None:
    """Unexpected values of a sensitive label are counted by digest."""
    label = {"column": "y", "positive": ["bad"], "negative": ["fine"]}
    odd = table.selectExpr("id", "x", "if(id % 2 = 0, y, 'fine') AS y")
    assert {hide_value("good")} == check(odd, hide("y", label=label)).unlabelled.keys()
    assert {"'good'"} == check(odd, hide(label=label)).unlabelled.keys()


def test_a_repeated_key_is_not_named(table: DataFrame) -> None:
    """The message about a key that is not unique has no example if the key is sensitive."""
    twice = table.selectExpr("if(id < 3, 17, id) AS id", "x", "y")
    with pytest.raises(ScenarioError) as caught:
        check(twice, hide("id"))
    [(_, message)] = list_problems(caught.value)
    assert message.endswith("3 rows too many.")


def test_values_of_another_type_are_not_named(spark: SparkSession, tmp_path: Path) -> None:
    """The message about values of another type names a line instead of the values."""
    file = tmp_path / "rows.csv"
    file.write_text("id,x,y\n1,1,bad\n2,Smith,good\n3,Jones,good\n")
    small = hide("x")
    typed = small.table.model_copy(update={"columns": {"x": "double"}})
    with pytest.raises(ScenarioError) as caught:
        read_source(spark, SourceData(uri=str(file), format="csv"), typed)
    [problem] = caught.value.problems
    assert problem.message.endswith("is not of type double in 2 rows: see line 3.")


def test_added_rows_and_distributions_have_no_values(table: DataFrame) -> None:
    """New values and the bins of texts are digests, and dates have no range."""
    small = hide("kind", "day", features=["x"], categorical=["kind"])
    version = replace(check(table, small), previous_keys=select_keys(table.where("id < 30"), small))
    bins = choose_bins([version])
    [distribution] = count_distributions([version], bins)
    digests = [hide_value(value) for value in ("old", "new 0", "new 1")]
    assert [*digests, "other"] == [each.start for each in distribution["kind"]]
    assert 0.5 == distribution["x"][0].start
    found = describe_added_rows(version, bins.categories)
    assert found is not None
    assert (set(digests[1:]), []) == (set(found.new_values["kind"]), list(found.added.dates))
    shown = describe_added_rows(replace(version, scenario=scenario(categorical=["kind"], features=["x"])), {})
    assert shown is not None
    assert ({"new 0", "new 1"}, ["day"]) == (set(shown.new_values["kind"]), list(shown.added.dates))
