"""Verdicts of runs: bounds of every version, bounds that must fail, and the combined outcome."""

from typing import Any

import pytest

from harness.bounds.judge import all_hold, combine_verdicts, decide_verdict, judge_versions
from harness.bounds.specs import explain_unjudged, list_label_bounds
from harness.results import BoundResult, Verdict
from harness.scenario.bound_spec import BoundSpec, Quantity
from harness.views.bound_table import make_bound_rows
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
        ([], NOT_PROVEN),
        ([PASS, PASS], PASS),
        ([PASS, NOT_PROVEN], NOT_PROVEN),
        ([NOT_PROVEN, FAIL, PASS], FAIL),
        ([FAIL], FAIL),
    ],
)
def test_the_worst_verdict_wins(verdicts: list[Verdict], worst: Verdict) -> None:
    """A failed bound outweighs one that is not proven, which outweighs any number of passes."""
    assert worst == combine_verdicts(map(_bound, verdicts))


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [(FAIL, PASS), (PASS, FAIL), (NOT_PROVEN, NOT_PROVEN)],
    ids=lambda each: each.value,
)
def test_a_bound_that_must_fail_has_the_opposite_outcome(verdict: Verdict, outcome: Verdict) -> None:
    """A bound that must fail passes if it fails and vice versa; one that is not proven stays not proven."""
    assert outcome == combine_verdicts([_bound(verdict, must_fail=True), _bound(PASS)])


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([], False),
        ([_bound(PASS)], True),
        ([_bound(FAIL, must_fail=True)], False),
        ([_bound(PASS), _bound(NOT_PROVEN)], False),
        ([_bound(PASS, must_fail=True)], True),
    ],
)
def test_bounds_hold_only_if_each_one_passes(bounds: list[BoundResult], expected: bool) -> None:
    """A bound that fails as expected doesn't hold, because its model is not fit for use."""
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
    """'caught_by' selects bounds by version and metric, and optionally by kind."""
    bound = {ACCURACY: {"min": 0.6, "change": {"min": -0.1}}}
    expected = scenario(
        [{"name": "good"}, {"name": "bad"}], every={"metrics": bound}, verdict="fail", caught_by=caught_by
    )
    judged = judge_versions(
        expected, [measured("good", test_accuracy=0.7), measured("bad", test_accuracy=0.5)]
    )
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
def test_caught_by_selects_any_kind_of_bound(caught_by: str, expect: dict[str, Any]) -> None:
    """'caught_by' selects a bound of any kind by the name that reports show."""
    expected = scenario(
        [{"name": "good"}, {"name": "bad", "expect": expect}], verdict="fail", caught_by=[caught_by]
    )
    judged = judge_versions(expected, [measured("good"), measured("bad")])
    assert [True] == [bound.must_fail for bound in judged[1].bounds]


def test_common_expectations_apply_to_trained_versions_only() -> None:
    """Expectations in 'every' apply to each trained version and to no other."""
    expected = scenario(
        [
            {"name": "one"},
            {"name": "built", "train": False, "expect": {"rows": 5}},
            {"name": "refused", "expect_error": "DELTA_SOMETHING"},
            {"name": "two"},
        ],
        every={"metrics": {ACCURACY: {"min": 0.6}}},
    )
    judged = judge_versions(expected, [measured(each.name, test_accuracy=0.7) for each in expected.versions])
    assert [[ACCURACY], ["rows"], [], [ACCURACY]] == [
        [bound.metric for bound in each.bounds] for each in judged
    ]


def test_own_expectations_override_common_ones() -> None:
    """A version's own expectations override those of 'every' for the same metric, column or feature."""
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
    expected = scenario([{"name": "one"}, {"name": "two", "expect": own}], every=every)
    judged = judge_versions(expected, [measured("one"), measured("two")])
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
    """After a failed job, only the versions that it measured have bounds."""
    expected = scenario(
        [{"name": "one"}, {"name": "two"}, {"name": "three"}], every={"metrics": {ACCURACY: {"min": 0.6}}}
    )
    judged = judge_versions(expected, [measured("one", test_accuracy=0.7)])
    assert [("one", PASS)] == [(each.name, bound.verdict) for each in judged for bound in each.bounds]


_CHANGE = {"metrics": {AUC: {"change": {"min": -0.1}}}}


@pytest.mark.parametrize(
    ("reason", "versions", "changes"),
    [
        ("the scenario sets none", [{"name": "one"}, {"name": "two"}], {}),
        ("the scenario sets none", [{"name": "one", "expect": {}}], {"every": {}}),
        ("the scenario sets none", [{"name": "one", "expect": {"metrics": {}, "nulls": {}}}], {}),
        ("there is none", [{"name": "one"}], {"every": _CHANGE}),
        ("there is none", [{"name": "one"}], {"every": {"metrics": {AUC: {"min": 0.6, "on": "added"}}}}),
        ("there is none", [{"name": "one"}, {"name": "two", "train": False}], {"every": _CHANGE}),
    ],
)
def test_without_a_judged_bound_nothing_is_proven(
    reason: str, versions: list[dict[str, Any]], changes: dict[str, Any]
) -> None:
    """A scenario none of whose bounds is judged is not proven, for a reason that is known before the run."""
    unjudged = scenario(versions, **changes)
    judged = judge_versions(unjudged, [measured(each["name"], test_roc_auc=0.9) for each in versions])
    assert decide_verdict(unjudged, [bound for each in judged for bound in each.bounds]) is NOT_PROVEN
    assert reason in explain_unjudged(unjudged)


def test_a_change_is_judged_with_two_versions() -> None:
    """A bound on a change under 'every' is judged if there are two trained versions."""
    assert explain_unjudged(scenario([{"name": "one"}, {"name": "two"}], every=_CHANGE)) == ""


def test_a_scenario_that_observes_is_not_judged() -> None:
    """'observe: true' looks without judging: its verdict is not a pass, but its exit code is 0."""
    observed = scenario([{"name": "one"}], observe=True)
    verdict = decide_verdict(observed, [])
    assert (Verdict.OBSERVED, 0, "") == (verdict, verdict.exit_code, explain_unjudged(observed))
    assert not observed.may_publish


def _judge_labels(expect: dict[str, Any], rows: float) -> tuple[Verdict, list[BoundResult]]:
    """Return the verdict on a version with this many rows whose label is a typo."""
    judged = scenario([{"name": "march", "expect": expect}])
    version = measured("march", unlabelled_rows=rows, test_accuracy=0.9)
    found = {"unlabelled": {"'late '": int(rows)} if rows else {}}
    [now] = judge_versions(judged, [version.model_copy(update=found)])
    return decide_verdict(judged, now.bounds), list(now.bounds)


def test_an_unexpected_label_fails_the_version() -> None:
    """Labels in none of the lists fail a version whose other bounds hold, and are named with their rows."""
    expect = {"metrics": {ACCURACY: {"min": 0.5}}}
    verdict, [own, bound] = _judge_labels(expect, 190.0)
    assert (FAIL, PASS, FAIL, "'late ' (190 rows)") == (verdict, own.verdict, bound.verdict, bound.found)
    assert ("pipeline", "label") == bound.spec.location.path
    [row] = make_bound_rows([measured("march").model_copy(update={"bounds": (bound,)})])
    assert row.sentence.endswith("the bound is = 0, missed by 190: 'late ' (190 rows)")
    assert (PASS, 1) == (_judge_labels(expect, 0.0)[0], len(_judge_labels(expect, 0.0)[1]))


def test_an_own_bound_replaces_that_on_labels() -> None:
    """A scenario that bounds the unlabelled rows itself has no other bound on them."""
    verdict, [bound] = _judge_labels({"metrics": {"unlabelled_rows": {"max": 200}}}, 190.0)
    assert (PASS, "<= 200") == (verdict, bound.text)


def test_expected_labels_alone_prove_nothing() -> None:
    """A version without a bound of the scenario is not proven; but it fails if a label is unexpected."""
    assert [NOT_PROVEN, FAIL] == [_judge_labels({}, rows)[0] for rows in (0.0, 1.0)]


def test_labels_are_checked_at_trained_versions() -> None:
    """Labels are only counted for training, and not judged if the scenario only observes."""
    names: list[dict[str, Any]] = [{"name": "one", "train": False}, {"name": "two"}]
    assert ["two.unlabelled_rows"] == [spec.name for spec in list_label_bounds(scenario(names))]
    assert () == list_label_bounds(scenario(names, observe=True))
