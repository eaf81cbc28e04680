"""The facts that a run reports about three versions, two of which are trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from harness.job.distributions import BINS
from harness.results import Result, RowChanges, VersionResult
from tests.embedded.runner import change_scenario, run_job
from tests.embedded.small import SMALL, make_rows, write_table

pytestmark = pytest.mark.spark

# The second version is only built; no version has the optional feature.
FACTS = change_scenario(
    SMALL,
    {
        "versions": [
            {"name": "first", "append": {"where": "id < 100"}},
            {"name": "second", "append": {"where": "id >= 100 AND batch = 1"}, "train": False},
            {"name": "third", "append": {"where": "batch = 2"}},
        ],
        "pipeline": {"features": ["heat", "pressure", "load"], "optional": ["pressure"]},
        "publish": {"when": "never"},
    },
)
NAMES = ("first", "second", "third")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@pytest.fixture(scope="module")
def result(spark: SparkSession, home: Path) -> Result:
    completed = run_job(spark, FACTS, write_table(home), home)
    assert completed.failure is None
    return completed


@pytest.fixture(scope="module")
def versions(result: Result) -> dict[str, VersionResult]:
    return {version.name: version for version in result.versions}


def test_an_untrained_version_is_only_built(versions: dict[str, VersionResult]) -> None:
    """An untrained version has its rows counted, but has neither a run nor metrics nor curves."""
    second = versions["second"]
    assert ["trained", "built", "trained"] == [versions[name].status for name in NAMES]
    assert (second.rows, second.run_id, second.metrics, second.roc) == (200, None, {}, ())


def test_changes_are_since_the_previous_version(versions: dict[str, VersionResult]) -> None:
    """Changes are counted from the previous version, trained or not; the first version has none."""
    changes = RowChanges(added=100, removed=0, changed=0)
    assert [versions[name].changes for name in NAMES] == [None, changes, changes]


def test_added_rows_are_since_the_previous_version(versions: dict[str, VersionResult]) -> None:
    """Added rows are those added since the previous version, even if that was not trained."""
    first, third = versions["first"].metrics, versions["third"].metrics
    assert not [name for name in first if name.startswith("added_")]
    held_out = third["test_rows"]
    added = third["added_test_rows"]
    assert held_out is not None
    assert added is not None
    # This version added a third of all rows, and about two fifths of these are held out.
    assert 25 <= added <= 55 < held_out
    assert third["added_test_roc_auc"] != third["test_roc_auc"]


def test_every_version_is_counted_in_the_same_bins(versions: dict[str, VersionResult]) -> None:
    """Every version is counted in the same bins; a feature that no version has is missing."""
    for name in NAMES:
        distributions = versions[name].distributions
        assert list(distributions) == ["heat", "load"]
        assert {sum(each.rows for each in bins) for bins in distributions.values()} == {versions[name].rows}
    starts = [[each.start for each in versions[name].distributions["heat"]] for name in NAMES]
    assert starts[0] == starts[1] == starts[2]
    assert len(starts[0]) == BINS
    least = min(float(str(row["heat"])) for row in make_rows()[:100])
    assert starts[0][0] == pytest.approx(least)


def test_curves_are_of_the_held_out_rows(versions: dict[str, VersionResult]) -> None:
    """The curves cover the held-out rows that were measured."""
    third = versions["third"]
    corners = [(point.false_positive_rate, point.true_positive_rate) for point in third.roc]
    assert (corners[0], corners[-1]) == ((0.0, 0.0), (1.0, 1.0))
    assert sum(each.rows for each in third.calibration) == third.metrics["test_rows"]


def test_every_version_has_its_nulls_and_keys(versions: dict[str, VersionResult]) -> None:
    """Nulls and invalid keys are counted at every version, trained or not."""
    for name in NAMES:
        version = versions[name]
        assert set(version.nulls.values()) == {0.0}
        assert list(version.nulls) == list(version.data_schema)
        assert (version.null_keys, version.duplicate_keys) == (0, 0)


def test_parameters_name_the_existing_features(versions: dict[str, VersionResult]) -> None:
    """The logged parameters list only the features that the version has."""
    assert versions["third"].parameters["features"] == "heat, load"
    assert list(versions["third"].coefficients) == ["heat", "load"]


def test_mlflow_has_the_changes(home: Path, versions: dict[str, VersionResult]) -> None:
    """MLflow has the metrics on added rows and the number of added rows."""
    third = versions["third"]
    assert third.run_id is not None
    logged = MlflowClient(f"sqlite:///{home}/mlflow.db").get_run(third.run_id).data.metrics
    assert logged["rows_added"] == 100.0
    assert logged["added_test_roc_auc"] == third.metrics["added_test_roc_auc"]


def test_a_scenario_may_train_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """A scenario without training builds and measures its versions."""
    version = {"name": "first", "append": {"where": "id < 10"}, "train": False}
    result = run_job(spark, change_scenario(FACTS, {"versions": [version]}), write_table(tmp_path), tmp_path)
    assert (result.failure, [each.status for each in result.versions]) == (None, ["built"])
