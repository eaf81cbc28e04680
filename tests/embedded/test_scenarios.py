"""The scenarios that ship, run by the job: what they prove, and what they must refuse."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.results import Verdict
from tests.embedded.runner import SCENARIOS, changed, last_version_alone, load, run_job

pytestmark = pytest.mark.spark

LOANS = SCENARIOS / "data" / "lc_loan_2018q1.csv"


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


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_fail(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    """With the labels of all loans shuffled, three_versions says fail.

    March alone is run, the version with the most loans: its failing fails the whole.
    """
    fewer = {"pipeline": {"explainer": {"rows": 2}}}
    scenario = last_version_alone(changed(load("three_versions"), fewer))
    result = run_job(spark, scenario, shuffled_loans(tmp_path, seed), tmp_path)
    assert Verdict.FAIL == result.verdict


def test_another_table_runs_from_the_yaml_alone(spark: SparkSession, tmp_path: Path) -> None:
    """E-mails from Parquet, with categorical features and columns named like SQL's own words."""
    fewer = {"pipeline": {"model": {"folds": 2}, "explainer": {"rows": 10}}}
    scenario = last_version_alone(changed(load("spam"), fewer))
    result = run_job(spark, scenario, SCENARIOS / "data" / "email_2012q1.parquet", tmp_path)
    assert Verdict.PASS == result.verdict
    assert {"winner=yes", "number=none"} <= result.versions[0].explanation.keys()


def test_the_samples_own_features_run(spark: SparkSession, tmp_path: Path) -> None:
    """sample_features trains on the sample's seven features, and hands no model on."""
    fewer = {"pipeline": {"model": {"folds": 2}, "explainer": {"rows": 10}}}
    scenario = last_version_alone(changed(load("sample_features"), fewer))
    result = run_job(spark, scenario, LOANS, tmp_path)
    [version] = result.versions
    assert (Verdict.PASS, 7, None) == (result.verdict, len(version.explanation), version.bundle)
