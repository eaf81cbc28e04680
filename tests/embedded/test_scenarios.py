"""Shipped scenarios with changes in the scenario or its data, and their verdicts."""

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


def load_bad_batch(*, shuffled: bool = True) -> Scenario:
    """Return the last two versions of the scenario bad_batch, with few explained rows."""
    shipped = load("bad_batch")
    versions = shipped.model_dump(exclude_none=True)["versions"][-2:]
    if not shuffled:
        del versions[-1]["append"]["shuffle"]
    return change_scenario(
        shipped, {"versions": versions, "pipeline": {"explainer": {"rows": 2, "samples": 50}}}
    )


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_bad_batch_is_caught_whatever_the_seed(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    """The bad batch fails its bound with any seed, which changes the held-out rows and the shuffle."""
    scenario = change_scenario(load_bad_batch(), {"seed": seed})
    result = run_shipped(spark, "bad_batch", tmp_path, scenario)
    assert Verdict.PASS == result.verdict
    assert {"y2017.added_test_roc_auc"} == list_failed_bounds(result)


def test_a_good_batch_is_not_caught(spark: SparkSession, tmp_path: Path) -> None:
    """Without the shuffle, the batch meets its bound, so that a scenario that expects a failure fails."""
    result = run_shipped(spark, "bad_batch", tmp_path, load_bad_batch(shuffled=False))
    assert (Verdict.FAIL, set()) == (result.verdict, list_failed_bounds(result))


def test_without_the_leak_only_the_score_fails(spark: SparkSession, tmp_path: Path) -> None:
    """Without the leak, no feature has too large a share, and the score is the real, lower one."""
    shipped = load("leak")
    honest = {"derive": {"paid_back": "crc32(CAST(id AS STRING)) % 100"}, "explainer": {"rows": 10}}
    result = run_shipped(spark, "leak", tmp_path, change_scenario(shipped, {"pipeline": honest}))
    assert {"quarter.test_roc_auc"} == list_failed_bounds(result)


def shuffle_loans(folder: Path, seed: int) -> Path:
    """Write the loans with their labels shuffled, and return the file."""
    head, *lines = (line.split(",") for line in LOANS.read_text().splitlines())
    at = head.index("loan_status")
    labels = [line[at] for line in lines]
    random.Random(seed).shuffle(labels)  # noqa: S311 - not a secret
    rows = [[*line[:at], label, *line[at + 1 :]] for line, label in zip(lines, labels, strict=True)]
    file = folder / "loans.csv"
    file.write_text("".join(",".join(row) + "\n" for row in (head, *rows)))
    return file


def test_shuffled_labels_fail(spark: SparkSession, tmp_path: Path) -> None:
    """If the labels of all loans are shuffled, three_versions fails.

    Only its last version is run, which has all the loans: if it fails, the scenario fails.
    """
    fewer = {"pipeline": {"explainer": {"rows": 2}}}
    scenario = keep_last_version(change_scenario(load("three_versions"), fewer))
    result = run_job(spark, scenario, shuffle_loans(tmp_path, 0), tmp_path)
    assert Verdict.FAIL == result.verdict


def test_categories_are_features(spark: SparkSession, tmp_path: Path) -> None:
    """Categorical features of a Parquet file, with columns named like SQL keywords, are explained."""
    fewer = {"pipeline": {"model": {"folds": 2}, "explainer": {"rows": 10}}}
    scenario = keep_last_version(change_scenario(load("spam"), fewer))
    result = run_shipped(spark, "spam", tmp_path, scenario)
    assert {"winner=yes", "number=none"} <= result.versions[0].explanation.keys()
