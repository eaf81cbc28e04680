"""Bounds on the difference to another run."""

from typing import Any

import pytest

from harness.results import Measured, Verdict, VersionResult
from tests.unit.bounds_samples import judge_one, measured, version

PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN
AUC = "test_roc_auc"
RUN = "good/result.json"


def _bound(**said: Any) -> dict[str, Any]:
    return {"metrics": {"test_accuracy": {"baseline": {"from": RUN, **said}}}}


@pytest.mark.parametrize(
    ("said", "now", "verdict", "change"),
    [
        ({"min": -0.1}, 0.7, PASS, -0.1),
        ({"min": -0.1}, 0.69, FAIL, -0.11),
        ({"max": 0.1}, 0.9, PASS, 0.1),
        ({"max": 0.1}, 0.91, FAIL, 0.11),
        ({"min": -0.1, "relative": True}, 0.72, PASS, -0.1),
        ({"min": -0.1, "relative": True}, 0.71, FAIL, -0.1125),
        ({"min": -0.1}, None, NOT_PROVEN, None),
    ],
)
def test_a_number_is_held_against_that_of_another_run(
    said: dict[str, Any], now: Measured, verdict: Verdict, change: Measured
) -> None:
    """Of the version of the same name; absolute, or as a share."""
    found = judge_one(
        _bound(**said),
        measured("march", test_accuracy=now),
        baselines={RUN: {"march": {"test_accuracy": 0.8}}},
    )
    assert (verdict, change, f"march of {RUN}") == (found.verdict, found.measured, found.since)


def test_another_version_of_the_run_can_be_meant() -> None:
    """The one that is named."""
    run = {RUN: {"march": {"test_accuracy": 0.8}, "best": {"test_accuracy": 0.9}}}
    found = judge_one(_bound(version="best", min=-0.1), measured("march", test_accuracy=0.75), baselines=run)
    assert (FAIL, f">= -0.1 since best of {RUN}") == (found.verdict, found.text)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({}, f"the run {RUN} has no version march"),
        ({RUN: {"april": {"test_accuracy": 0.8}}}, f"the run {RUN} has no version march"),
        ({RUN: {"march": {}}}, f"test_accuracy could not be measured at march of {RUN}"),
        ({RUN: {"march": {"test_accuracy": None}}}, f"test_accuracy could not be measured at march of {RUN}"),
    ],
    ids=["no run", "no version", "no metric", "not measured"],
)
def test_what_the_other_run_lacks_is_not_proven(run: dict[str, Any], reason: str) -> None:
    """The reason says which part of it is not there."""
    found = judge_one(_bound(min=-1), measured("march", test_accuracy=0.7), baselines=run)
    assert (NOT_PROVEN, reason) == (found.verdict, found.reason)


def test_without_other_runs_nothing_is_proven() -> None:
    """As where bounds are only named, before a run."""
    assert NOT_PROVEN == judge_one(_bound(min=-1), measured("march", test_accuracy=0.7)).verdict


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ({AUC: 0.8, "test_positives": 10}, PASS),
        ({AUC: 0.8, "test_positives": 9}, NOT_PROVEN),
        ({AUC: 0.8}, NOT_PROVEN),
    ],
    ids=["enough", "few", "unknown"],
)
def test_the_other_run_must_rest_on_enough_positives_too(
    numbers: dict[str, Measured], verdict: Verdict
) -> None:
    """A change since what proves nothing proves nothing."""
    now = measured("march", test_roc_auc=0.8, test_positives=50)
    bound = {"metrics": {AUC: {"baseline": {"from": RUN, "min": -0.1}}}}
    assert verdict == judge_one(bound, now, baselines={RUN: {"march": numbers}}).verdict


@pytest.mark.parametrize(
    ("expect", "name", "now"),
    [
        ({"rows": {"baseline": {"from": RUN, "min": 0}}}, "rows", version(rows=100)),
        (
            {"nulls": {"dti": {"baseline": {"from": RUN, "max": 0}}}},
            "nulls(dti)",
            version(nulls={"dti": 100}),
        ),
    ],
)
def test_numbers_of_the_data_have_baselines_too(
    expect: dict[str, Any], name: str, now: VersionResult
) -> None:
    """By the names that reports call them by."""
    found = judge_one(expect, now, baselines={RUN: {"march": {name: 100.0}}})
    assert (name, PASS, 0.0) == (found.metric, found.verdict, found.measured)


def test_added_rows_are_held_against_added_rows() -> None:
    """The other run's number of the same name."""
    bound = {"metrics": {"test_accuracy": {"on": "added", "baseline": {"from": RUN, "min": 0}}}}
    run = {RUN: {"march": {"test_accuracy": 0.9, "added_test_accuracy": 0.5}}}
    now = measured("march", test_accuracy=0.1, added_test_accuracy=0.6)
    found = judge_one(bound, now, measured("january"), baselines=run)
    assert ("added_test_accuracy", PASS, 0.1) == (found.metric, found.verdict, found.measured)
