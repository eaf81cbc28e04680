"""What bounds mean for a run: those of every version, those that must fail, and all of them together."""

from typing import Any

import pytest

from harness.bounds.judge import all_hold, judge_versions, overall
from harness.results import BoundResult, Verdict
from harness.scenario.bound_spec import BoundSpec, Quantity
from tests.unit.bounds_samples import measured, scenario

PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN
AUC, ACCURACY = "test_roc_auc", "test_accuracy"


def _bound(verdict: Verdict, *, must_fail: bool = False) -> BoundResult:
    spec = BoundSpec(
        version="march",
        quantity=Quantity(kind="metric", name=ACCURACY),
        metric=ACCURACY,
        kind="min",
        limit=0,
        must_fail=must_fail,
    )
    return BoundResult(spec=spec, measured=None, distance=None, verdict=verdict)


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
    assert worst == overall(map(_bound, verdicts))


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [(FAIL, PASS), (PASS, FAIL), (NOT_PROVEN, NOT_PROVEN)],
    ids=lambda each: each.value,
)
def test_a_bound_that_must_fail_is_turned_round(verdict: Verdict, outcome: Verdict) -> None:
    """What is not proven is neither a failure nor a pass, whatever is expected of it."""
    assert outcome == overall([_bound(verdict, must_fail=True), _bound(PASS)])


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([], True),
        ([_bound(PASS)], True),
        ([_bound(FAIL, must_fail=True)], False),
        ([_bound(PASS), _bound(NOT_PROVEN)], False),
        ([_bound(PASS, must_fail=True)], True),
    ],
)
def test_only_bounds_that_hold_themselves_hold(bounds: list[BoundResult], expected: bool) -> None:
    """A model that fails as it must is still no good one."""
    assert expected is all_hold(bounds)


@pytest.mark.parametrize(
    ("caught_by", "must_fail"),
    [
        ([f"bad.{ACCURACY}"], ["bad min", "bad change_min"]),
        ([f"bad.{ACCURACY}.change_min"], ["bad change_min"]),
        ([f"good.{ACCURACY}.min"], ["good min"]),
        (["bad.rows"], []),
        ([], []),
    ],
)
def test_the_bounds_that_must_fail_are_marked(caught_by: list[str], must_fail: list[str]) -> None:
    """By version and metric, and by kind where one part is meant."""
    bound = {ACCURACY: {"min": 0.6, "change": {"min": -0.1}}}
    said = scenario(
        [{"name": "good"}, {"name": "bad"}], every={"metrics": bound}, verdict="fail", caught_by=caught_by
    )
    judged = judge_versions(said, [measured("good", test_accuracy=0.7), measured("bad", test_accuracy=0.5)])
    marked = [f"{each.name} {one.kind}" for each in judged for one in each.bounds if one.must_fail]
    assert must_fail == marked


@pytest.mark.parametrize(
    ("caught_by", "expect"),
    [
        ("bad.added_test_accuracy", {"metrics": {ACCURACY: {"min": 0.9, "on": "added"}}}),
        ("bad.schema", {"schema": {"exact": {"no": "int"}}}),
        ("bad.schema.is", {"schema": {"exact": {"no": "int"}}}),
        ("bad.nulls(dti)", {"nulls": {"dti": {"max": 0}}}),
        ("bad.protocol.reader", {"protocol": {"reader": 9}}),
        ("bad.top_1_overlap", {"explanations": {"top_k": {"k": 1, "min": 1}}}),
        ("bad.weight(dti).max", {"explanations": {"weight": {"dti": {"max": 0}}}}),
    ],
)
def test_any_kind_of_bound_can_be_named(caught_by: str, expect: dict[str, Any]) -> None:
    """By the name that reports show."""
    said = scenario(
        [{"name": "good"}, {"name": "bad", "expect": expect}], verdict="fail", caught_by=[caught_by]
    )
    judged = judge_versions(said, [measured("good"), measured("bad")])
    assert [True] == [bound.must_fail for bound in judged[1].bounds]


def test_every_version_that_is_trained_is_held_to_the_same() -> None:
    """One without a model is not, nor one whose step must fail."""
    said = scenario(
        [
            {"name": "one"},
            {"name": "built", "train": False, "expect": {"rows": 5}},
            {"name": "refused", "expect_error": "DELTA_SOMETHING"},
            {"name": "two"},
        ],
        every={"metrics": {ACCURACY: {"min": 0.6}}},
    )
    judged = judge_versions(said, [measured(each.name, test_accuracy=0.7) for each in said.versions])
    assert [[ACCURACY], ["rows"], [], [ACCURACY]] == [
        [bound.metric for bound in each.bounds] for each in judged
    ]


def test_a_version_s_own_expectation_takes_the_place_of_the_common_one() -> None:
    """Metric by metric, column by column, feature by feature."""
    every = {
        "rows": {"min": 1},
        "metrics": {ACCURACY: {"min": 0.6}, "test_f1": {"min": 0.1}},
        "nulls": {"a": 0, "b": 0},
        "explanations": {"sign_agreement": {"min": 0.8}, "share": {"x": {"max": 0.5}, "y": {"max": 0.5}}},
    }
    own = {
        "rows": 7,
        "metrics": {ACCURACY: {"max": 0.5}},
        "nulls": {"b": 1},
        "explanations": {"sign_agreement": {"min": 0.1}, "share": {"y": {"max": 0.9}}},
    }
    said = scenario([{"name": "one"}, {"name": "two", "expect": own}], every=every)
    judged = judge_versions(said, [measured("one"), measured("two")])
    assert {
        "rows": "= 7",
        ACCURACY: "<= 0.5",
        "test_f1": ">= 0.1",
        "nulls(a)": "= 0",
        "nulls(b)": "= 1",
        "share(x)": "<= 0.5",
        "share(y)": "<= 0.9",
        "sign_agreement": ">= 0.1 since one",
    } == {bound.metric: bound.text for bound in judged[1].bounds}


def test_versions_that_were_not_reached_are_not_judged() -> None:
    """A job that broke has bounds of what it measured, and of nothing else."""
    said = scenario(
        [{"name": "one"}, {"name": "two"}, {"name": "three"}], every={"metrics": {ACCURACY: {"min": 0.6}}}
    )
    judged = judge_versions(said, [measured("one", test_accuracy=0.7)])
    assert [("one", PASS)] == [(each.name, bound.verdict) for each in judged for bound in each.bounds]
