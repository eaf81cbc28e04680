"""Bounds on a model's coefficients and explanations."""

from typing import Any

import pytest
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import accuracy_score

from harness.bounds.explanation_bounds import (
    _rank,
    measure_rank_correlation,
    measure_sign_agreement,
    measure_top_overlap,
)
from harness.bounds.judge import judge_versions
from harness.results import BoundResult, Coefficient, Verdict, VersionResult
from tests.properties import assume, given, st
from tests.unit.bounds_samples import explained, judge, judge_one, measured, scenario, version

PASS, FAIL, NOT_PROVEN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_PROVEN
TWO = {"dti": 1, "rate": 0.5}
BEFORE = {"dti": 0.4, "term": -0.3, "rate": 0.2, "amount": 0.1}

weights = st.floats(-1, 1, allow_nan=False)
clear = st.floats(0.001, 1) | st.floats(-1, -0.001)


def _judge_agreement(
    expect: dict[str, Any], now: dict[str, float], before: dict[str, float]
) -> tuple[Verdict, float | None]:
    bound = judge_one({"explanations": expect}, explained("march", now), explained("january", before))
    assert ("min", "january") == (bound.kind, bound.since)
    return bound.verdict, bound.measured


@pytest.mark.parametrize(
    ("bound", "verdict"), [({"min": 0.2}, PASS), ({"max": 0.2}, FAIL), ({"equals": 0.25}, PASS)]
)
def test_a_coefficient_is_bounded_per_unit(bound: dict[str, float], verdict: Verdict) -> None:
    """A bound on a coefficient applies to its log odds per unit of the feature."""
    now = version(coefficients={"dti": Coefficient(raw=0.25, per_sd=5.0)})
    result = judge_one({"coefficients": {"dti": bound}}, now)
    assert ("coefficient(dti)", 0.25, verdict) == (result.metric, result.measured, result.verdict)


@pytest.mark.parametrize(
    ("bound", "verdict"), [({"min": 0.4}, PASS), ({"max": 0.3}, FAIL), ({"max": -0.1}, FAIL)]
)
def test_a_weight_is_bounded_per_standard_deviation(bound: dict[str, float], verdict: Verdict) -> None:
    """A bound on a weight applies to the weight per standard deviation, whatever the feature's unit."""
    result = judge_one({"explanations": {"weight": {"dti": bound}}}, explained("march", BEFORE))
    assert ("weight(dti)", 0.4, verdict) == (result.metric, result.measured, result.verdict)


@pytest.mark.parametrize(
    ("feature", "bound", "verdict"),
    [("term", {"max": 0.3}, PASS), ("term", {"min": 0.31}, FAIL), ("other", {"min": 0}, NOT_PROVEN)],
)
def test_a_share_is_of_all_absolute_weights(feature: str, bound: dict[str, float], verdict: Verdict) -> None:
    """A feature's share is its part of all absolute weights, even if its weight is negative."""
    result = judge_one({"explanations": {"share": {feature: bound}}}, explained("march", BEFORE))
    assert (f"share({feature})", verdict) == (result.metric, result.verdict)


def test_shares_of_all_features_add_up_to_one() -> None:
    """The shares of all features add up to one."""
    expect = {"explanations": {"share": {name: {"min": 0} for name in BEFORE}}}
    result = [bound.measured or 0 for bound in judge(expect, explained("march", BEFORE))]
    assert [0.4, 0.3, 0.2, 0.1] == pytest.approx(result, abs=1e-15)


@pytest.mark.parametrize(
    "expect",
    [
        {"coefficients": {"dti": {"min": 0}}},
        {"explanations": {"weight": {"dti": {"min": 0}}}},
        {"explanations": {"share": {"dti": {"min": 0}}}},
    ],
)
def test_a_bound_on_a_missing_feature_is_not_proven(expect: dict[str, Any]) -> None:
    """A bound on a feature that the version lacks is not proven."""
    assert NOT_PROVEN == judge_one(expect, version()).verdict


def test_shares_of_zero_weights_are_not_proven() -> None:
    """If all weights are zero, bounds on shares are not proven."""
    expect = {"explanations": {"share": {"dti": {"max": 1}}}}
    assert NOT_PROVEN == judge_one(expect, explained("march", {"dti": 0.0, "term": 0.0})).verdict


@pytest.mark.parametrize(
    ("now", "verdict", "share"),
    [
        (BEFORE, PASS, 1.0),
        ({"term": 0.9, "dti": -0.8, "rate": 0.1, "amount": 0.0}, PASS, 1.0),
        ({"dti": 0.4, "rate": 0.3, "term": 0.2, "amount": 0.1}, FAIL, 0.5),
        ({"rate": 0.4, "amount": 0.3, "term": 0.2, "dti": 0.1}, FAIL, 0.0),
        ({"dti": 0.4}, NOT_PROVEN, None),
    ],
    ids=["same", "another order", "one is new", "both are new", "too few"],
)
def test_top_features_are_compared_with_the_earlier_ones(
    now: dict[str, float], verdict: Verdict, share: float | None
) -> None:
    """The overlap of the top features ignores their order and their signs."""
    expect = {"top_k": {"k": 2, "since": "january", "min": 0.6}}
    assert (verdict, share) == _judge_agreement(expect, now, BEFORE)


@pytest.mark.parametrize(
    ("now", "verdict", "share"),
    [
        (BEFORE, PASS, 1.0),
        ({**BEFORE, "amount": -0.1}, PASS, 0.75),
        ({**BEFORE, "amount": -0.1, "rate": -0.1}, FAIL, 0.5),
        ({"dti": 0.1, "rate": 0.1, "term": 1e-12}, PASS, 1.0),
        ({"dti": 0.1, "term": 1e-12}, NOT_PROVEN, None),
        ({"dti": 0.0}, NOT_PROVEN, None),
        ({"other": 1.0}, NOT_PROVEN, None),
    ],
    ids=["same", "one changed", "two changed", "no clear sign", "one clear", "none clear", "none in common"],
)
def test_signs_are_compared_with_the_earlier_ones(
    now: dict[str, float], verdict: Verdict, share: float | None
) -> None:
    """The sign agreement counts only features whose weights are clearly not zero at both versions."""
    expect = {"sign_agreement": {"since": "january", "min": 0.75}}
    assert (verdict, share) == _judge_agreement(expect, now, BEFORE)


@pytest.mark.parametrize(
    ("now", "verdict", "correlation"),
    [
        ({"dti": -9, "term": 2, "rate": 0.3, "amount": 0.01}, PASS, 1.0),
        ({"dti": 0.3, "term": 0.4, "rate": 0.2, "amount": 0.1}, PASS, 0.8),
        ({"dti": 0.1, "term": 0.2, "rate": 0.3, "amount": 0.4}, FAIL, -1.0),
        ({"dti": 0.1, "term": 0.1, "rate": 0.1, "amount": 0.1}, NOT_PROVEN, None),
        ({"dti": 0.1, "term": 0.2, "other": 0.3}, NOT_PROVEN, None),
    ],
    ids=["same", "two swapped", "reversed", "all equal", "two in common"],
)
def test_ranks_are_compared_with_the_earlier_ones(
    now: dict[str, float], verdict: Verdict, correlation: float | None
) -> None:
    """The rank correlation is Spearman's, of the absolute weights."""
    result = _judge_agreement({"rank_correlation": {"since": "january", "min": 0.8}}, now, BEFORE)
    assert (verdict, correlation) == (result[0], correlation and pytest.approx(result[1], abs=1e-15))


@pytest.mark.parametrize(
    ("now", "earlier", "reason"),
    [
        (explained("march", {"dti": 1}), None, "version january was not measured"),
        (explained("march", TWO), version("january"), "version january has no explanations"),
        (version(), explained("january", TWO), "version march has no explanations"),
        (
            explained("march", TWO),
            explained("january", {"term": 1, "amount": 1}),
            "the explanations of march and january have too few features in common",
        ),
    ],
    ids=["not measured", "not explained then", "not explained now", "nothing in common"],
)
def test_explanations_that_cannot_be_compared_are_not_proven(
    now: VersionResult, earlier: VersionResult | None, reason: str
) -> None:
    """If explanations can't be compared, the bound is not proven, and the reason names the version."""
    for expect in (
        {"top_k": {"k": 3, "since": "january", "min": 0}},
        {"sign_agreement": {"since": "january", "min": 0}},
        {"rank_correlation": {"since": "january", "min": -1}},
    ):
        result = judge_one({"explanations": expect}, now, *([earlier] if earlier else []))
        assert (NOT_PROVEN, reason) == (result.verdict, result.reason)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]) | weights, min_size=1, max_size=20))
def test_ranks_are_those_of_scipy(values: list[float]) -> None:
    """Ranks equal SciPy's: equal values share the mean of their ranks."""
    assert rankdata(values).tolist() == _rank(values)


@given(st.lists(st.tuples(weights, weights), min_size=3, max_size=20))
def test_the_rank_correlation_is_that_of_scipy(pairs: list[tuple[float, float]]) -> None:
    """The rank correlation equals SciPy's Spearman correlation of the absolute weights."""
    now, before = ([abs(pair[at]) for pair in pairs] for at in (0, 1))
    assume(len(set(now)) > 1 and len(set(before)) > 1)
    result = measure_rank_correlation(_weights(now), _weights(before))
    assert spearmanr(now, before).statistic == pytest.approx(result, abs=1e-12)


@given(st.lists(st.tuples(clear, clear), min_size=2, max_size=20))
def test_the_sign_agreement_is_the_accuracy_of_the_signs(pairs: list[tuple[float, float]]) -> None:
    """The sign agreement equals the accuracy of one version's signs as predictions of the other's."""
    now, before = ([pair[at] for pair in pairs] for at in (0, 1))
    expected = accuracy_score([weight > 0 for weight in before], [weight > 0 for weight in now])
    assert expected == pytest.approx(measure_sign_agreement(_weights(now), _weights(before)))


@given(st.dictionaries(st.sampled_from("abcdefgh"), weights, min_size=2), st.integers(1, 8))
def test_a_version_agrees_with_itself(own: dict[str, float], k: int) -> None:
    """Every measure of agreement between a version and itself is 1, or None if it is undefined."""
    result = explained("march", own).explanations
    agreements = (
        measure_top_overlap(result, result, k),
        measure_sign_agreement(result, result),
        measure_rank_correlation(result, result),
    )
    assert {1.0, None} >= {None if each is None else round(each, 12) for each in agreements}


def _weights(values: list[float]) -> Any:
    return explained("any", {str(at): value for at, value in enumerate(values)}).explanations


@pytest.mark.parametrize(
    "expect",
    [
        {"weight": {"dti": {"min": 0}}},
        {"share": {"dti": {"min": 0.1}}},
        {"top_k": {"k": 1, "min": 1}},
        {"sign_agreement": {"min": 1}},
    ],
)
@pytest.mark.parametrize("is_now", [True, False])
def test_explanations_that_prove_nothing_are_not_judged(expect: dict[str, Any], is_now: bool) -> None:
    """A bound on explanations with too few samples is not proven, with the reason."""
    reason = "50 samples per row fit 55 features perfectly"
    now, before = explained("march", BEFORE), explained("january", BEFORE)
    odd = (now if is_now else before).model_copy(update={"explanations_reason": reason})
    result = judge_one({"explanations": expect}, odd if is_now else now, before if is_now else odd)
    needs_before = set(expect) & {"top_k", "sign_agreement"}
    expected = Verdict.NOT_PROVEN if is_now or needs_before else Verdict.PASS
    assert expected is result.verdict
    assert (reason in result.reason) is (expected is Verdict.NOT_PROVEN)


@pytest.mark.parametrize(
    ("expect", "weights", "why"),
    [
        ({"coefficients": {"dti": 0.1}}, BEFORE, "the model has no coefficient of 'dti'"),
        ({"nulls": {"dti": 0.1}}, BEFORE, "the version has no column 'dti'"),
        ({"explanations": {"share": {"x": 0.1}}}, BEFORE, "no explanation has a weight of 'x'"),
        (
            {"explanations": {"share": {"x": 0.1}}},
            {"x": 0.0},
            "all weights are 0: the prediction doesn't depend",
        ),
    ],
)
def test_a_missing_number_of_a_feature_has_a_reason(
    expect: dict[str, Any], weights: dict[str, float], why: str
) -> None:
    """A number that doesn't exist at a version is not proven, and the reason says what doesn't exist."""
    result = judge_one(expect, explained("march", weights))
    assert (NOT_PROVEN, None) == (result.verdict, result.measured)
    assert f"could not be measured at march: {why}" in result.reason


_AGREEMENTS = [
    {"top_k": {"k": 1, "min": 1}},
    {"sign_agreement": {"min": 1}},
    {"rank_correlation": {"min": 1}},
]
_WEIGHTS = [{"weight": {"dti": {"max": 0.5}}}, {"share": {"dti": {"max": 0.9}}}]


def _judge_fit(expect: dict[str, Any], r2: float | None, **proof: float) -> BoundResult:
    """Return the bound on explanations that fit with this R2, after some that fit well."""
    before, now = explained("january", BEFORE), explained("march", BEFORE)
    now = now.model_copy(update={"metrics": {"lime_r2_mean": r2}})
    versions: list[dict[str, Any]] = [{"name": "january"}, {"name": "march"}]
    versions[1]["expect"] = {"explanations": expect}
    [bound] = judge_versions(scenario(versions, proof=proof), [before, now])[-1].bounds
    return bound


@pytest.mark.parametrize("expect", [*_AGREEMENTS, *_WEIGHTS])
def test_explanations_that_fit_badly_prove_nothing(expect: dict[str, Any]) -> None:
    """Bounds on explanations are not proven unless their mean R2 reaches the floor that the scenario sets."""
    assert [NOT_PROVEN, NOT_PROVEN, NOT_PROVEN] == [
        _judge_fit(expect, r2).verdict for r2 in (None, -3.9, 0.09)
    ]
    assert "don't fit the model: their mean R2 is -3.9, below 0.1" in _judge_fit(expect, -3.9).reason
    assert "could not be measured; it must reach 0.1" in _judge_fit(expect, None).reason
    assert PASS is _judge_fit(expect, 0.1).verdict
    assert PASS is _judge_fit(expect, 0.0, min_explanation_r2=0).verdict
    assert NOT_PROVEN is _judge_fit(expect, 0.5, min_explanation_r2=0.6).verdict


def test_the_fit_itself_can_be_bounded() -> None:
    """A bound on the mean R2 itself fails if it is low; it needs no other proof."""
    expect = {"metrics": {"lime_r2_mean": {"min": 0.3}}}
    assert FAIL is judge_one(expect, measured("march", lime_r2_mean=0.01)).verdict


@pytest.mark.parametrize(
    "weights",
    [{"dti": 0.0, "term": 0.0, "rate": 0.0}, {"dti": 0.3, "term": 0.0, "rate": 1e-12}],
    ids=["all zero", "one left"],
)
@pytest.mark.parametrize("expect", [*_AGREEMENTS, {"share": {"dti": {"max": 0.9}}}])
def test_features_without_weights_prove_nothing(expect: dict[str, Any], weights: dict[str, float]) -> None:
    """Bounds that compare features are not proven if fewer than two have a weight."""
    result = judge_one({"explanations": expect}, explained("march", weights), explained("january", weights))
    assert NOT_PROVEN is result.verdict


@pytest.mark.parametrize(
    ("now", "k", "reason"),
    [
        ({"a": 0.3, "b": 0.2, "c": 0.1}, 3, "there are only 3 features, so all of them are always the top 3"),
        ({"a": 0.3, "b": 0.2, "c": 0.2}, 2, "at march, the features in places 2 and 3 have the same weight"),
        ({"a": 0.2, "b": 0.2, "c": 0.1}, 1, "at march, the features in places 1 and 2 have the same weight"),
        ({"a": 0.2, "b": 0.2, "c": 0.1}, 2, ""),
    ],
)
def test_top_features_that_mean_nothing_are_not_proven(now: dict[str, float], k: int, reason: str) -> None:
    """The top features are not proven the same if they are all features, or chosen among equal ones."""
    before = {"a": 0.5, "b": 0.4, "c": 0.1}
    expect = {"explanations": {"top_k": {"k": k, "min": 0.9}}}
    result = judge_one(expect, explained("march", now), explained("january", before))
    assert ((NOT_PROVEN if reason else PASS), True) == (result.verdict, result.reason.startswith(reason))


def test_weights_of_a_badly_explained_baseline_prove_nothing() -> None:
    """A weight is not proven to have changed since another run whose explanations fit badly."""
    expect = {"explanations": {"weight": {"dti": {"baseline": {"from": "good", "min": -0.1}}}}}
    for r2, verdict in ((0.9, PASS), (0.01, NOT_PROVEN), (None, NOT_PROVEN)):
        run = {"good": {"march": {"weight(dti)": BEFORE["dti"], "lime_r2_mean": r2}}}
        assert verdict is judge_one(expect, explained("march", BEFORE), baselines=run).verdict
