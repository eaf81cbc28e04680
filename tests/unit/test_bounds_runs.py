"""Bounds on the difference to another run."""

from typing import Any

import pytest

from harness.results import MeasuredValue, Verdict, VersionResult
from tests.unit.bounds_samples import judge_one, measured, version

PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN
AUC = "test_roc_auc"
RUN = "good/result.json"


def _bound(**baseline: Any) -> dict[str, Any]:
    return {"metrics": {"test_accuracy": {"baseline": {"from": RUN, **baseline}}}}


@pytest.mark.parametrize(
    ("baseline", "now", "verdict", "change"),
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
def test_a_number_is_compared_with_that_of_another_run(
    baseline: dict[str, Any], now: MeasuredValue, verdict: Verdict, change: MeasuredValue
) -> None:
    """A number is compared with that of the version of the same name, absolutely or as a share."""
    result = judge_one(
        _bound(**baseline),
        measured("march", test_accuracy=now),
        baselines={RUN: {"march": {"test_accuracy": 0.8}}},
    )
    assert (verdict, change, f"march of {RUN}") == (result.verdict, result.measured, result.since)


def test_a_baseline_can_name_another_version() -> None:
    """A baseline that names a version is compared with that one instead of the one of the same name."""
    run = {RUN: {"march": {"test_accuracy": 0.8}, "best": {"test_accuracy": 0.9}}}
    result = judge_one(_bound(version="best", min=-0.1), measured("march", test_accuracy=0.75), baselines=run)
    assert (FAIL, f">= -0.1 compared with best of {RUN}") == (result.verdict, result.text)


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
def test_a_bound_with_an_incomplete_baseline_is_not_proven(run: dict[str, Any], reason: str) -> None:
    """A bound whose baseline lacks the run, the version or the metric is not proven, with a reason."""
    result = judge_one(_bound(min=-1), measured("march", test_accuracy=0.7), baselines=run)
    assert (NOT_PROVEN, reason) == (result.verdict, result.reason)


def test_a_bound_without_its_baseline_is_not_proven() -> None:
    """If no baselines are loaded, a bound on the difference to another run is not proven."""
    assert NOT_PROVEN == judge_one(_bound(min=-1), measured("march", test_accuracy=0.7)).verdict


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ({AUC: 0.8, "test_positives": 10}, PASS),
        ({AUC: 0.8, "test_positives": 9}, NOT_PROVEN),
        ({AUC: 0.8, "test_positives": None}, NOT_PROVEN),
    ],
    ids=["enough", "few", "unknown"],
)
def test_a_baseline_with_few_positives_is_not_proven(
    numbers: dict[str, MeasuredValue], verdict: Verdict
) -> None:
    """A ROC AUC is not proven to have changed if the other run's has too few positives."""
    now = measured("march", test_roc_auc=0.8, test_positives=50)
    bound = {"metrics": {AUC: {"baseline": {"from": RUN, "may_differ": ["rows"], "min": -0.1}}}}
    assert verdict == judge_one(bound, now, baselines={RUN: {"march": numbers}}).verdict


@pytest.mark.parametrize(("count", "other"), [("test_rows", 900), ("test_positives", 90)])
def test_a_metric_on_other_rows_is_not_proven(count: str, other: int) -> None:
    """A metric of the same version of another run is not compared if it was measured on other rows."""
    now = measured("march", test_roc_auc=0.8)
    run = {RUN: {"march": {AUC: 0.8, count: other}}}
    result = judge_one({"metrics": {AUC: {"baseline": {"from": RUN, "min": -0.1}}}}, now, baselines=run)
    here = f"{now.metrics[count]:,.0f}"
    reason = (
        f"it was measured on different rows: {count} was {other} at march of {RUN}, and is {here} now; "
        "'may_differ: [rows]' allows this"
    )
    assert (NOT_PROVEN, reason) == (result.verdict, result.reason)


@pytest.mark.parametrize(
    "allowed",
    [{"may_differ": ["rows"]}, {"may_differ": ["pipeline", "seed"]}, {"version": "best"}],
    ids=["rows", "seed", "version"],
)
def test_a_metric_on_other_rows_is_compared_if_the_bound_says_so(allowed: dict[str, Any]) -> None:
    """A bound compares with a metric on other rows if it allows that, or names another version."""
    now = measured("march", test_roc_auc=0.8)
    run = {RUN: {name: {AUC: 0.8, "test_rows": 900} for name in ("march", "best")}}
    bound = {"metrics": {AUC: {"baseline": {"from": RUN, "min": -0.1, **allowed}}}}
    assert judge_one(bound, now, baselines=run).verdict is PASS


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
def test_bounds_on_data_can_have_baselines(expect: dict[str, Any], name: str, now: VersionResult) -> None:
    """Bounds on data can have baselines, whose numbers have the names of reports."""
    result = judge_one(expect, now, baselines={RUN: {"march": {name: 100.0}}})
    assert (name, PASS, 0.0) == (result.metric, result.verdict, result.measured)


def test_added_rows_are_compared_with_added_rows() -> None:
    """A metric on added rows is compared with the other run's metric on added rows."""
    bound = {"metrics": {"test_accuracy": {"on": "added", "baseline": {"from": RUN, "min": 0}}}}
    run = {RUN: {"march": {"test_accuracy": 0.9, "added_test_accuracy": 0.5}}}
    now = measured("march", test_accuracy=0.1, added_test_accuracy=0.6)
    result = judge_one(bound, now, measured("january"), baselines=run)
    assert ("added_test_accuracy", PASS, 0.1) == (result.metric, result.verdict, result.measured)
