"""The scenarios that ship with something changed in them or in their data: what they prove and refuse."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.results import Verdict
from harness.scenario.model import Scenario
from tests.embedded.runner import (
    LOANS,
    change_scenario,
    keep_last_version,
    list_failed_bounds,
    load,
    run_job,
    run_shipped,
)

pytestmark = pytest.mark.spark


def bad_batch(*, shuffled: bool = True) -> Scenario:
    """The scenario's last two versions, with few rows explained."""
    shipped = load("bad_batch")
    versions = shipped.model_dump(exclude_none=True)["versions"][-2:]
    if not shuffled:
        del versions[-1]["append"]["shuffle"]
    return change_scenario(
        shipped, {"versions": versions, "pipeline": {"explainer": {"rows": 2, "samples": 50}}}
    )


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_bad_batch_is_caught_whatever_the_seed(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    """Other rows are held out, and the outcomes are dealt out in another way: the bound sees it each time."""
    scenario = change_scenario(bad_batch(), {"seed": seed})
    result = run_shipped(spark, "bad_batch", tmp_path, scenario)
    assert Verdict.PASS == result.verdict
    assert {"y2017.added_test_roc_auc"} == list_failed_bounds(result)


def test_a_batch_that_is_not_bad_is_none(spark: SparkSession, tmp_path: Path) -> None:
    """The same year without the shuffle holds the bound, so that a scenario that waits for it says fail."""
    result = run_shipped(spark, "bad_batch", tmp_path, bad_batch(shuffled=False))
    assert (Verdict.FAIL, set()) == (result.verdict, list_failed_bounds(result))


def test_without_the_leak_its_bounds_hold(spark: SparkSession, tmp_path: Path) -> None:
    """No other feature has so large a share; without the leak, the scores are what they are in truth."""
    shipped = load("leak")
    honest = {"derive": {"paid_back": "crc32(CAST(id AS STRING)) % 100"}, "explainer": {"rows": 10}}
    result = run_shipped(spark, "leak", tmp_path, change_scenario(shipped, {"pipeline": honest}))
    assert {"quarter.test_roc_auc"} == list_failed_bounds(result)


def shuffled_loans(folder: Path, seed: int) -> Path:
    """The loans with their labels shuffled among all of them."""
    head, *lines = (line.split(",") for line in LOANS.read_text().splitlines())
    at = head.index("loan_status")
    labels = [line[at] for line in lines]
    random.Random(seed).shuffle(labels)  # noqa: S311 - a shuffle, no secret
    rows = [[*line[:at], label, *line[at + 1 :]] for line, label in zip(lines, labels, strict=True)]
    file = folder / "loans.csv"
    file.write_text("".join(",".join(row) + "\n" for row in (head, *rows)))
    return file


def test_shuffled_labels_fail(spark: SparkSession, tmp_path: Path) -> None:
    """With the labels of all loans shuffled, three_versions says fail.

    March alone is run, the version with the most loans: its failing fails the whole.
    """
    fewer = {"pipeline": {"explainer": {"rows": 2}}}
    scenario = keep_last_version(change_scenario(load("three_versions"), fewer))
    result = run_job(spark, scenario, shuffled_loans(tmp_path, 0), tmp_path)
    assert Verdict.FAIL == result.verdict


def test_categories_of_another_table_are_features(spark: SparkSession, tmp_path: Path) -> None:
    """E-mails from Parquet, with categorical features and columns named like SQL's own words."""
    fewer = {"pipeline": {"model": {"folds": 2}, "explainer": {"rows": 10}}}
    scenario = keep_last_version(change_scenario(load("spam"), fewer))
    result = run_shipped(spark, "spam", tmp_path, scenario)
    assert {"winner=yes", "number=none"} <= result.versions[0].explanation.keys()
