"""Bounds on numbers: when they hold, when they fail, and when nothing is proven."""

import math
from typing import Any

import pytest

from harness.bounds.judge import judge_versions
from harness.bounds.measured_values import assess_number
from harness.metrics import EXPLANATION_METRICS, METRICS, QUALITY_METRICS
from harness.results import BoundResult, MeasuredValue, Verdict, VersionResult
from harness.scenario.proof import Proof
from tests.properties import given, st
from tests.unit import bounds_samples as samples
from tests.unit.bounds_samples import judge_one, measured

AUC = "test_roc_auc"
PLAIN = "test_accuracy"
PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN

finite = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | finite


def _judge(bound: Any, now: VersionResult, *earlier: VersionResult, metric: str = PLAIN) -> list[BoundResult]:
    return samples.judge({"metrics": {metric: bound}}, now, *earlier)


def _one(bound: Any, now: VersionResult, *earlier: VersionResult, metric: str = PLAIN) -> BoundResult:
    [result] = _judge(bound, now, *earlier, metric=metric)
    return result


def _bound_with_all_parts(bound: float, tolerance: float) -> dict[str, Any]:
    change = {"since": "january", "min": bound, "max": bound}
    return {"min": bound, "max": bound, "equals": bound, "tolerance": tolerance, "change": change}


@pytest.mark.parametrize(
    ("bound", "value", "verdict", "distance"),
    [
        ({"min": 0.6}, 0.7, PASS, 0.1),
        ({"min": 0.6}, 0.6, PASS, 0.0),
        ({"min": 0.6}, math.nextafter(0.6, 0), FAIL, -1e-16),
        ({"min": 0.6}, 0.5, FAIL, -0.1),
        ({"min": 0}, 0.0, PASS, 0.0),
        ({"min": 0}, -0.0, PASS, 0.0),
        ({"max": 0.6}, 0.5, PASS, 0.1),
        ({"max": 0.6}, 0.6, PASS, 0.0),
        ({"max": 0.6}, math.nextafter(0.6, 1), FAIL, -1e-16),
        ({"max": 0.6}, 0.7, FAIL, -0.1),
        ({"equals": 0.6}, 0.6, PASS, 0.0),
        (0.6, 0.6, PASS, 0.0),
        (0.6, 0.7, FAIL, -0.1),
        (0, 1e-300, FAIL, -1e-300),
        ({"equals": 0.7, "tolerance": 0.1}, 0.8, PASS, 0.0),
        ({"equals": 0.7, "tolerance": 0.1}, 0.6, PASS, 0.0),
        ({"equals": 0.7, "tolerance": 0.1}, 0.75, PASS, 0.05),
        ({"equals": 0.7, "tolerance": 0.1}, 0.81, FAIL, -0.01),
        ({"equals": 0.7, "tolerance": 0.1}, 0.59, FAIL, -0.01),
        ({"min": -1e308}, 1e308, NOT_PROVEN, None),
    ],
)
def test_a_value_is_compared_with_its_bound(
    bound: Any, value: float, verdict: Verdict, distance: MeasuredValue
) -> None:
    """A value on the boundary meets the bound; the distance is negative only if the bound fails."""
    result = _one(bound, measured("march", test_accuracy=value))
    assert (verdict, distance) == (result.verdict, result.distance)


@pytest.mark.parametrize(
    ("change", "now", "verdict"),
    [
        ({"min": -0.1}, 0.75, PASS),
        ({"min": -0.1}, 0.7, PASS),
        ({"min": -0.1}, 0.69, FAIL),
        ({"min": 0}, 0.8, PASS),
        ({"max": 0.1}, 0.85, PASS),
        ({"max": 0.1}, 0.9, PASS),
        ({"max": 0.1}, 0.91, FAIL),
        ({"max": 0.1}, None, NOT_PROVEN),
    ],
)
def test_a_change_is_compared_with_its_bound(
    change: dict[str, float], now: MeasuredValue, verdict: Verdict
) -> None:
    """A change from 0.8 to 0.7 is exactly -0.1, which meets a bound of -0.1."""
    january, february = measured("january", test_accuracy=0.8), measured("february", test_accuracy=now)
    assert verdict == _one({"change": {"since": "january", **change}}, february, january).verdict


def test_a_change_is_reported_as_the_difference() -> None:
    """The measured value of a change is the difference, reported with the version that it refers to."""
    january, february = measured("january", test_accuracy=0.8), measured("february", test_accuracy=0.7)
    result = _one({"change": {"since": "january", "min": -0.2}}, february, january)
    assert (-0.1, "january", ">= -0.2 since january") == (result.measured, result.since, result.text)


@pytest.mark.parametrize(
    ("before", "now", "change", "verdict", "share"),
    [
        (0.8, 0.72, {"min": -0.1}, PASS, -0.1),
        (0.3, 0.27, {"min": -0.1}, PASS, -0.1),
        (0.8, 0.7199, {"min": -0.1}, FAIL, -0.100125),
        (0.5, 0.55, {"max": 0.1}, PASS, 0.1),
        (0.5, 0.56, {"max": 0.1}, FAIL, 0.12),
        (-0.5, -0.6, {"min": -0.1}, FAIL, -0.2),
        (-0.5, -0.4, {"max": 0.3}, PASS, 0.2),
        (0.5, 0.5, {"min": 0}, PASS, 0.0),
        (0.0, 0.5, {"min": -0.1}, NOT_PROVEN, None),
        (0.0, 0.0, {"min": -0.1}, NOT_PROVEN, None),
        (5e-324, 1e308, {"max": 1}, NOT_PROVEN, None),
        (None, 0.5, {"min": -0.1}, NOT_PROVEN, None),
    ],
)
def test_a_relative_change_is_a_share_of_the_earlier_value(
    before: MeasuredValue, now: float, change: dict[str, float], verdict: Verdict, share: MeasuredValue
) -> None:
    """A relative decrease is negative even for negative values, and undefined if the earlier value is 0."""
    bound = {"change": {"since": "january", "relative": True, **change}}
    result = _one(bound, measured("march", test_accuracy=now), measured("january", test_accuracy=before))
    assert (verdict, share) == (result.verdict, result.measured)


def test_a_relative_change_since_0_has_a_reason() -> None:
    """The reason for an undefined relative change names the version at which the value was 0."""
    bound = {"change": {"since": "january", "relative": True, "min": -0.1}}
    result = _one(bound, measured("march", test_accuracy=0.5), measured("january", test_accuracy=0.0))
    assert "it was 0 at january, so a relative change is undefined" == result.reason


def test_every_part_of_a_bound_is_judged_separately() -> None:
    """A bound with several parts leads to one result for each part."""
    bound = {"min": 0.6, "max": 0.9, "equals": 0.7, "change": {"since": "january", "min": -1, "max": 1}}
    results = _judge(bound, measured("march", test_accuracy=0.7), measured("january", test_accuracy=0.7))
    assert ["min", "max", "equals", "change_min", "change_max"] == [result.kind for result in results]


def test_every_bound_of_a_list_is_judged() -> None:
    """Each of several bounds on one number leads to a result."""
    results = _judge([{"min": 0.6}, {"max": 0.65}, 0.7], measured("march", test_accuracy=0.7))
    assert [PASS, FAIL, PASS] == [result.verdict for result in results]


@pytest.mark.parametrize("bound", [{"min": 0}, {"max": 1}, {"equals": 0.5}])
@pytest.mark.parametrize("metrics", [{}, {PLAIN: None}], ids=["missing", "None"])
def test_a_bound_on_a_missing_metric_is_not_proven(bound: dict[str, float], metrics: dict[str, Any]) -> None:
    """A bound of any kind on a missing metric is not proven."""
    result = _one(bound, measured("march", **metrics))
    expected = (NOT_PROVEN, None, None, "test_accuracy could not be measured at march")
    assert expected == (result.verdict, result.measured, result.distance, result.reason)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bound_on_nan_or_infinity_is_not_proven(value: float) -> None:
    """A bound on NaN or infinity is not proven, even if one gets into a result."""
    version = samples.version().model_copy(update={"metrics": {PLAIN: value}})
    assert NOT_PROVEN == _one({"min": 0}, version).verdict


@pytest.mark.parametrize(
    ("positives", "verdict"),
    [(0, NOT_PROVEN), (9, NOT_PROVEN), (10, PASS), (None, NOT_PROVEN), (math.nan, NOT_PROVEN)],
)
def test_an_auc_requires_ten_positives(positives: float | None, verdict: Verdict) -> None:
    """A ROC AUC on fewer than ten positives, or on an unknown number of them, is not proven."""
    version = samples.version().model_copy(
        update={"metrics": {AUC: 0.9, "test_positives": positives, "test_rows": 100}}
    )
    assert verdict == _one({"min": 0.6}, version, metric=AUC).verdict


@pytest.mark.parametrize(
    ("metric", "metrics", "why"),
    [
        (AUC, {"test_rows": 0.0}, "no row is held out"),
        (AUC, {"test_rows": 8.0, "test_positives": 0.0}, "all 8 held-out rows are negative"),
        (AUC, {"test_rows": 8.0, "test_positives": 8.0}, "all 8 held-out rows are positive"),
        (AUC, {"test_rows": 8.0, "test_positives": 3.0}, "a score is not a number"),
        (
            f"added_{AUC}",
            {"test_rows": 8.0},
            "there is no earlier version with the same key, so no row counts",
        ),
        (f"added_{AUC}", {"added_test_rows": 0.0, "test_rows": 8.0}, "no added row is held out"),
        ("cv_roc_auc", {"train_positives": 3.0}, "a fold has rows of one class only"),
        ("lime_r2_mean", {"explained_rows": 5.0}, "the prediction is the same for all samples around a row"),
    ],
)
def test_a_metric_that_could_not_be_measured_has_a_reason(
    metric: str, metrics: dict[str, float | None], why: str
) -> None:
    """The reason says what was missing: rows, a class, or a score."""
    assert (
        f"{metric} could not be measured at march: {why}"
        in assess_number(metric, None, metrics, "march", Proof()).reason
    )


def test_an_auc_without_a_count_of_positives_is_not_proven() -> None:
    """A ROC AUC without a number of positives is not proven."""
    for unknown in ("test_positives", "test_rows"):
        result = _one({"min": 0.6}, measured("march", test_roc_auc=0.9, **{unknown: None}), metric=AUC)
        assert (NOT_PROVEN, f"{unknown} could not be measured at march") == (result.verdict, result.reason)


_JUDGED = [name for name, metric in METRICS.items() if metric.classes is not None]


@pytest.mark.parametrize("metric", _JUDGED)
@pytest.mark.parametrize(("positives", "why"), [(4, "only 4 positives"), (96, "only 4 negatives")])
def test_a_metric_requires_enough_rows_of_the_smaller_class(metric: str, positives: float, why: str) -> None:
    """A metric of quality on four rows of either class is not proven, unless the scenario allows it."""
    classes = METRICS[metric].classes
    assert classes is not None
    metrics = {classes.rows: 100.0, classes.positives: positives}
    few = f"{why} at march, fewer than 10"
    assert few == assess_number(metric, 0.9, metrics, "march", Proof()).reason
    assert "" == assess_number(metric, 0.9, metrics, "march", Proof(min_class_rows=4)).reason


def test_every_metric_of_quality_depends_on_both_classes() -> None:
    """Every metric of the model's quality, also on added rows, requires enough rows of both classes."""
    assert set(QUALITY_METRICS) - set(EXPLANATION_METRICS) == set(_JUDGED)


def test_a_change_requires_enough_rows_at_both_versions() -> None:
    """A change of F1 since a version with four negatives is not proven."""
    before = measured("january", test_f1=0.5, test_rows=100, test_positives=96)
    result = _one({"change": {"min": -0.1}}, measured("march", test_f1=0.5), before, metric="test_f1")
    assert (NOT_PROVEN, "only 4 negatives at january, fewer than 10") == (result.verdict, result.reason)


def test_the_scenario_sets_how_few_rows_prove_something() -> None:
    """The limit is a part of the scenario."""
    expect = {"metrics": {"test_f1": {"min": 0.5}}}
    few = measured("march", test_f1=0.9, test_rows=100, test_positives=4)
    allowed = samples.scenario([{"name": "march", "expect": expect}], proof={"min_class_rows": 3})
    assert [PASS] == [bound.verdict for bound in judge_versions(allowed, [few])[0].bounds]
    assert NOT_PROVEN is judge_one(expect, few).verdict


def test_an_auc_on_few_positives_keeps_its_value() -> None:
    """A ROC AUC on too few positives is shown with its value and the reason why it is not proven."""
    result = _one({"min": 0.6}, measured("march", test_roc_auc=0.9, test_positives=7), metric=AUC)
    expected = (0.9, 0.3, "only 7 positives at march, fewer than 10")
    assert expected == (result.measured, result.distance, result.reason)


def test_an_auc_of_added_rows_requires_positives_among_them() -> None:
    """A ROC AUC of added rows is not proven if too few of these are positive."""
    now = measured("march", added_test_roc_auc=0.9, added_test_positives=9, test_positives=500)
    bound = {"min": 0.6, "on": "added"}
    assert NOT_PROVEN == _one(bound, now, measured("january"), metric=AUC).verdict


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        (measured("january"), "test_roc_auc could not be measured at january"),
        (
            measured("january", test_roc_auc=None, test_positives=50),
            "test_roc_auc could not be measured at january",
        ),
        (
            measured("january", test_roc_auc=0.7, test_positives=9),
            "only 9 positives at january, fewer than 10",
        ),
        (
            measured("january", test_roc_auc=0.7, test_positives=None),
            "test_positives could not be measured at january",
        ),
    ],
    ids=["no metric", "None", "few positives", "unknown positives"],
)
def test_a_change_since_an_unproven_value_is_not_proven(earlier: VersionResult, reason: str) -> None:
    """A change since a value that is not proven is not proven."""
    now = measured("march", test_roc_auc=0.9, test_positives=50)
    result = _one({"change": {"since": "january", "min": -0.1}}, now, earlier, metric=AUC)
    assert (NOT_PROVEN, reason) == (result.verdict, result.reason)


def test_a_change_to_an_unproven_value_is_not_proven() -> None:
    """A change to a value that is not proven is not proven."""
    january = measured("january", test_roc_auc=0.7, test_positives=50)
    now = measured("march", test_roc_auc=0.9, test_positives=9)
    bound = {"change": {"since": "january", "min": -1}}
    assert NOT_PROVEN == _one(bound, now, january, metric=AUC).verdict


@given(bound=finite, tolerance=finite.map(abs), metric=st.sampled_from([*METRICS]))
def test_an_unmeasured_metric_never_passes(bound: float, tolerance: float, metric: str) -> None:
    """No bound of any kind on any metric passes if the metric is None."""
    metrics: dict[str, Any] = {name: 100.0 for name in METRICS if name.endswith("positives")}
    now, before = (measured(name, **metrics | {metric: None}) for name in ("march", "january"))
    every_part = _bound_with_all_parts(bound, tolerance)
    assert {NOT_PROVEN} == {result.verdict for result in _judge(every_part, now, before, metric=metric)}


@given(value=maybe, before=maybe, bound=finite, tolerance=finite.map(abs), relative=st.booleans())
def test_a_pass_has_a_distance_of_at_least_0(
    value: MeasuredValue, before: MeasuredValue, bound: float, tolerance: float, *, relative: bool
) -> None:
    """Any finite number can be judged, and passes only if its distance is not negative."""
    every_part = _bound_with_all_parts(bound, tolerance)
    every_part["change"]["relative"] = relative
    results = _judge(
        every_part, measured("march", test_accuracy=value), measured("january", test_accuracy=before)
    )
    assert all(
        (result.verdict is PASS) == (result.distance is not None and result.distance >= 0)
        for result in results
    )


@given(value=finite, bound=finite)
def test_a_minimum_is_met_only_by_numbers_that_are_not_less(value: float, bound: float) -> None:
    """A minimum is met only by numbers that are not less than it, whatever the rounding of the distance."""
    result = _one({"min": bound}, measured("march", test_accuracy=value))
    assert result.verdict in {PASS if value >= bound else FAIL, NOT_PROVEN}


@given(now=maybe, before=maybe, positives=st.none() | st.integers(0, 20))
def test_judging_again_changes_nothing(
    now: MeasuredValue, before: MeasuredValue, positives: int | None
) -> None:
    """Judging versions again after a round trip through JSON gives the same verdicts."""
    bound = {"min": 0.6, "change": {"min": -0.1, "max": 0.1, "relative": True}}
    expected = samples.scenario([{"name": "january"}, {"name": "march"}], every={"metrics": {AUC: bound}})
    results = [
        measured("january", test_roc_auc=before, test_positives=positives),
        measured("march", test_roc_auc=now, test_positives=positives),
    ]
    job = judge_versions(expected, results)
    handed_over = [VersionResult.model_validate_json(each.model_dump_json(by_alias=True)) for each in job]
    assert job == judge_versions(expected, handed_over)


def test_a_version_without_expectations_has_no_bounds() -> None:
    """A version without expectations has no bounds."""
    assert [] == samples.judge({}, samples.version())
