import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from harness.metrics import METRICS
from harness.results import BoundResult, Measured, Verdict, VersionResult
from harness.scenario.model import Bound, Version
from harness.verdict.bounds import judge_metric, judge_versions, overall

AUC = "test_roc_auc"
PLAIN = "test_accuracy"
PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN

finite = st.floats(allow_nan=False, allow_infinity=False)
measured = st.none() | finite


def _version(name: str = "march", *, rows: int = 100, **metrics: Any) -> VersionResult:
    return VersionResult.model_validate(
        {
            "name": name,
            "version": 0,
            "rows": rows,
            "fingerprint": "0" * 32,
            "schema": {"id": "int"},
            "metrics": metrics,
        }
    )


def _judge(
    bound: Any, version: VersionResult, *earlier: VersionResult, metric: str = PLAIN
) -> list[BoundResult]:
    versions = {each.name: each for each in (*earlier, version)}
    return list(judge_metric(metric, Bound.model_validate(bound), version, versions))


def _verdict(bound: Any, version: VersionResult, *earlier: VersionResult, metric: str = PLAIN) -> Verdict:
    (result,) = _judge(bound, version, *earlier, metric=metric)
    return result.verdict


def _all_parts(bound: float, tolerance: float, since: str) -> dict[str, Any]:
    change = {"since": since, "min": bound, "max": bound}
    return {"min": bound, "max": bound, "equals": bound, "tolerance": tolerance, "change": change}


@pytest.mark.parametrize(
    ("bound", "value", "verdict", "distance"),
    [
        ({"min": 0.6}, 0.7, PASS, 0.1),
        ({"min": 0.6}, 0.6, PASS, 0.0),
        ({"min": 0.6}, math.nextafter(0.6, 0), FAIL, -1e-16),
        ({"min": 0.6}, 0.5, FAIL, -0.1),
        ({"min": 0}, 0.0, PASS, 0.0),
        ({"max": 0.6}, 0.5, PASS, 0.1),
        ({"max": 0.6}, 0.6, PASS, 0.0),
        ({"max": 0.6}, math.nextafter(0.6, 1), FAIL, -1e-16),
        ({"max": 0.6}, 0.7, FAIL, -0.1),
        ({"equals": 0.6}, 0.6, PASS, 0.0),
        (0.6, 0.6, PASS, 0.0),
        (0.6, 0.7, FAIL, -0.1),
        ({"equals": 0.7, "tolerance": 0.1}, 0.8, PASS, 0.0),
        ({"equals": 0.7, "tolerance": 0.1}, 0.6, PASS, 0.0),
        ({"equals": 0.7, "tolerance": 0.1}, 0.75, PASS, 0.05),
        ({"equals": 0.7, "tolerance": 0.1}, 0.81, FAIL, -0.01),
        ({"equals": 0.7, "tolerance": 0.1}, 0.59, FAIL, -0.01),
    ],
)
def test_a_value_is_held_against_its_bound(
    bound: Any, value: float, verdict: Verdict, distance: float
) -> None:
    """Boundaries are inside, and the distance is negative exactly where the bound fails."""
    (result,) = _judge(bound, _version(test_accuracy=value))
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
    ],
)
def test_a_change_is_held_against_its_bound(change: dict[str, float], now: float, verdict: Verdict) -> None:
    """From 0.8 to 0.7 the change is -0.1 to the last digit, and meets a bound of -0.1."""
    january, february = _version("january", test_accuracy=0.8), _version("february", test_accuracy=now)
    assert verdict == _verdict({"change": {"since": "january", **change}}, february, january)


def test_a_change_is_reported_as_the_difference() -> None:
    """What is measured of a change is the difference, with the version that it is told since."""
    january, february = _version("january", test_accuracy=0.8), _version("february", test_accuracy=0.7)
    (result,) = _judge({"change": {"since": "january", "min": -0.2}}, february, january)
    assert (result.measured, result.since, result.text) == (-0.1, "january", ">= -0.2 since january")


@pytest.mark.parametrize(("rows", "verdict"), [(3395, PASS), (3394, FAIL), (3396, FAIL), (0, FAIL)])
def test_rows_are_judged_like_a_metric(rows: int, verdict: Verdict) -> None:
    """A row count must be met to the row."""
    assert verdict == _verdict(3395, _version(rows=rows), metric="rows")


def test_an_empty_version_can_be_expected() -> None:
    """0 rows meet a bound of 0."""
    assert _verdict(0, _version(rows=0), metric="rows") == PASS


def test_every_part_of_a_bound_is_judged_by_itself() -> None:
    """A bound with all its parts leads to one result each."""
    bound = {"min": 0.6, "max": 0.9, "equals": 0.7, "change": {"since": "january", "min": -1, "max": 1}}
    results = _judge(bound, _version(test_accuracy=0.7), _version("january", test_accuracy=0.7))
    assert [result.kind for result in results] == ["min", "max", "equals", "change_min", "change_max"]


@pytest.mark.parametrize("bound", [{"min": 0}, {"max": 1}, {"equals": 0.5}])
@pytest.mark.parametrize("metrics", [{}, {PLAIN: None}], ids=["missing", "None"])
def test_what_was_not_measured_is_not_proven(bound: dict[str, float], metrics: dict[str, Any]) -> None:
    """A metric that is not there proves nothing, whatever the bound asks for."""
    (result,) = _judge(bound, _version(**metrics))
    expected = (NOT_PROVEN, None, None, "test_accuracy could not be measured at march")
    assert expected == (result.verdict, result.measured, result.distance, result.reason)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_proven(value: float) -> None:
    """NaN and infinity prove nothing, should they ever get into a result."""
    version = _version().model_copy(update={"metrics": {PLAIN: value}})
    assert _verdict({"min": 0}, version) == NOT_PROVEN


@pytest.mark.parametrize(
    ("positives", "verdict"), [(0, NOT_PROVEN), (9, NOT_PROVEN), (10, PASS), (None, NOT_PROVEN)]
)
def test_an_auc_rests_on_ten_positives(positives: int | None, verdict: Verdict) -> None:
    """Fewer than ten positives, or nobody knows how many, prove nothing."""
    version = _version(test_roc_auc=0.9, test_positives=positives)
    assert verdict == _verdict({"min": 0.6}, version, metric=AUC)


def test_an_auc_without_a_count_of_positives_is_not_proven() -> None:
    """A result without the count does not pass for want of it."""
    assert _verdict({"min": 0.6}, _version(test_roc_auc=0.9), metric=AUC) == NOT_PROVEN


def test_an_auc_on_few_positives_keeps_its_value() -> None:
    """The value is shown with the reason why it proves nothing."""
    (result,) = _judge({"min": 0.6}, _version(test_roc_auc=0.9, test_positives=7), metric=AUC)
    assert (result.measured, result.distance, result.reason) == (0.9, 0.3, "only 7 positives, fewer than 10")


@pytest.mark.parametrize(
    "earlier",
    [
        (),
        (_version("january"),),
        (_version("january", test_roc_auc=None, test_positives=50),),
        (_version("january", test_roc_auc=0.7, test_positives=9),),
        (_version("january", test_roc_auc=0.7),),
    ],
    ids=["no version", "no metric", "None", "few positives", "unknown positives"],
)
def test_a_change_since_what_was_not_proven_is_not_proven(earlier: tuple[VersionResult, ...]) -> None:
    """A change is proven by two proven values, never by one."""
    now = _version(test_roc_auc=0.9, test_positives=50)
    bound = {"change": {"since": "january", "min": -0.1}}
    assert _verdict(bound, now, *earlier, metric=AUC) == NOT_PROVEN


def test_a_change_to_what_was_not_proven_is_not_proven() -> None:
    """The later value must be proven too."""
    january = _version("january", test_roc_auc=0.7, test_positives=50)
    now = _version(test_roc_auc=0.9, test_positives=9)
    assert _verdict({"change": {"since": "january", "min": -1}}, now, january, metric=AUC) == NOT_PROVEN


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([], PASS),
        ([PASS, PASS], PASS),
        ([PASS, NOT_PROVEN], NOT_PROVEN),
        ([NOT_PROVEN, FAIL, PASS], FAIL),
        ([FAIL], FAIL),
    ],
)
def test_the_worst_verdict_wins(verdicts: list[Verdict], worst: Verdict) -> None:
    """A failed bound outweighs one that is not proven, which outweighs all that pass."""
    bounds = [
        BoundResult(metric=PLAIN, kind="min", measured=None, bound=0, distance=None, verdict=verdict)
        for verdict in verdicts
    ]
    assert worst == overall(bounds)


@given(bound=finite, tolerance=finite.map(abs), metric=st.sampled_from([*METRICS]))
def test_nothing_measured_never_passes(bound: float, tolerance: float, metric: str) -> None:
    """No bound of any kind on any metric is met by None."""
    said = _all_parts(bound, tolerance, since="march")
    metrics: dict[str, Any] = {name: 100.0 for name in METRICS if name.endswith("positives")}
    version = _version(**metrics | {metric: None})
    assert {NOT_PROVEN} == {result.verdict for result in _judge(said, version, metric=metric)}


@given(value=measured, before=measured, bound=finite, tolerance=finite.map(abs))
def test_a_pass_has_a_distance_of_at_least_0(
    value: Measured, before: Measured, bound: float, tolerance: float
) -> None:
    """Any finite number can be judged, and passes just where its distance is not negative."""
    said = _all_parts(bound, tolerance, since="january")
    results = _judge(said, _version(test_accuracy=value), _version("january", test_accuracy=before))
    assert all(
        (result.verdict is PASS) == (result.distance is not None and result.distance >= 0)
        for result in results
    )


@given(value=finite, bound=finite)
def test_a_minimum_is_met_just_where_the_number_is_not_less(value: float, bound: float) -> None:
    """The arithmetic of the distance never turns a comparison over."""
    (result,) = _judge({"min": bound}, _version(test_accuracy=value))
    assert result.verdict in {PASS if value >= bound else FAIL, NOT_PROVEN}


@given(now=measured, before=measured, positives=st.none() | st.integers(0, 20))
def test_judging_again_changes_nothing(now: Measured, before: Measured, positives: int | None) -> None:
    """The job and the command line judge the same numbers, also after a journey through JSON."""
    expected = [
        Version.model_validate({"name": "january", "append": {}, "expect": {"rows": {"min": 1}}}),
        Version.model_validate(
            {
                "name": "march",
                "append": {},
                "expect": {
                    "metrics": {AUC: {"min": 0.6, "change": {"since": "january", "min": -0.1, "max": 0.1}}}
                },
            }
        ),
    ]
    results = [
        _version("january", test_roc_auc=before, test_positives=positives),
        _version("march", test_roc_auc=now, test_positives=positives),
    ]
    job = judge_versions(expected, results)
    handed_over = [VersionResult.model_validate_json(each.model_dump_json(by_alias=True)) for each in job]
    assert job == judge_versions(expected, handed_over)


def test_a_version_without_expectations_has_no_bounds() -> None:
    """Nothing is made up for a version that nothing is expected of."""
    expected = [Version.model_validate({"name": "march", "append": {}})]
    assert judge_versions(expected, [_version()])[0].bounds == ()
