"""Every bound as a row, and the verdict as a headline."""

from typing import Any

import pytest

from harness.parity.compare import Parity, report_not_compared
from harness.results import BoundResult, Verdict
from harness.targets.run_parity import compare_runs
from harness.views.bound_table import make_bound_rows, make_headline, sort_worst_first
from tests.unit import report_samples as samples


def _sentence_of(bound: BoundResult) -> str:
    version = samples.version("march", 2, bounds=(bound,))
    return make_bound_rows((version,))[0].sentence


def test_every_bound_is_a_row() -> None:
    """Every bound has a row: three row counts, nine minima and two changes."""
    assert len(make_bound_rows(samples.result().versions)) == 14


def test_a_failed_bound_has_its_distance() -> None:
    """The sentence of a failed bound has the version, the value, the bound and the distance."""
    assert _sentence_of(samples.bound(verdict=Verdict.FAIL, measured=0.55, distance=-0.05)) == (
        "march: cv_roc_auc is 0.5500 ± 0.037; the bound is >= 0.6, missed by 0.0500"
    )


def test_a_failed_change_names_its_reference() -> None:
    """The sentence of a failed change names the earlier version."""
    bound = samples.bound(
        verdict=Verdict.FAIL,
        kind="change_min",
        limit=-0.1,
        reference=samples.since("january"),
        measured=-0.15,
        distance=-0.05,
    )
    assert _sentence_of(bound) == (
        "march: cv_roc_auc changed by -0.1500; the bound is >= -0.1 since january, missed by 0.0500"
    )


def test_an_unproven_bound_has_its_reason() -> None:
    """The sentence of an unproven bound has the reason, even if there is a value."""
    bound = samples.bound(verdict=Verdict.NOT_PROVEN, measured=0.7, distance=0.1, reason="only 7 positives")
    assert _sentence_of(bound) == "march: cv_roc_auc >= 0.6 is not proven: only 7 positives"


def test_a_change_without_an_earlier_version_is_still_a_change() -> None:
    """A change without a named reference is labeled as a change, not as the metric itself."""
    bound = samples.bound(kind="change_max", measured=0.01, reference=None)
    assert make_bound_rows((samples.version("march", 2, bounds=(bound,)),))[0].column == "cv_roc_auc, change"


def test_worst_comes_first() -> None:
    """Failed rows come first, then unproven ones, then those that hold."""
    bounds = tuple(samples.bound(verdict=each) for each in (Verdict.PASS, Verdict.NOT_PROVEN, Verdict.FAIL))
    rows = sort_worst_first(make_bound_rows((samples.version("march", 2, bounds=bounds),)))
    assert [row.verdict for row in rows] == [Verdict.FAIL, Verdict.NOT_PROVEN, Verdict.PASS]


@pytest.mark.parametrize(
    ("expected", "verdicts"),
    [
        ("PASS: The only bound holds.", [Verdict.PASS]),
        ("PASS: All 2 bounds hold.", [Verdict.PASS] * 2),
        ("NOT PROVEN: The scenario sets no bounds, so none could fail.", []),
        ("FAIL: Of 2 bounds, 1 failed, 1 not proven.", [Verdict.NOT_PROVEN, Verdict.FAIL]),
        ("NOT PROVEN: Of 2 bounds, 1 not proven, 1 passed.", [Verdict.NOT_PROVEN, Verdict.PASS]),
    ],
)
def test_headline_counts_the_bounds(expected: str, verdicts: list[Verdict]) -> None:
    """The headline has the verdict and the number of bounds behind it."""
    version = samples.version("march", 2, bounds=tuple(samples.bound(verdict=each) for each in verdicts))
    head = make_headline(samples.result((version,)))
    assert f"{head.word}: {head.sentence}" == expected


def test_headline_details_are_the_bounds_that_did_not_hold() -> None:
    """The headline's details are the failed and unproven bounds."""
    bounds = (samples.bound(), samples.bound(verdict=Verdict.FAIL))
    head = make_headline(samples.result((samples.version("march", 2, bounds=bounds),)))
    assert len(head.details) == 1


def test_a_failed_run_is_never_a_pass() -> None:
    """A failed run is not a pass, even if all its bounds hold."""
    head = make_headline(samples.result(failure=samples.failure()))
    assert (head.word, head.tone) == ("STOPPED", "stopped")


def test_a_run_that_failed_at_once_judged_nothing() -> None:
    """A run that fails before the first version reports that no bound was judged."""
    head = make_headline(samples.result((), failure=samples.failure()))
    assert head.sentence == "The run ended early. No bound was judged."


_WHOLE = samples.result(run_id="one")
_OTHER = samples.result((samples.version("march", 2, rows=1),), run_id="one")


@pytest.mark.parametrize(
    ("parity", "word", "sentence"),
    [
        (compare_runs(_WHOLE, samples.cloud()), "PASS", "agrees with run one on embedded."),
        (compare_runs(_OTHER, samples.cloud()), "FAIL", "disagrees with run one on embedded."),
        (
            compare_runs(_WHOLE, samples.cloud(_WHOLE.versions[:2])),
            "NOT PROVEN",
            "some values could not be compared with run one on embedded.",
        ),
        (report_not_compared(samples.cloud(), "None."), "NOT PROVEN", "not compared."),
    ],
    ids=["agrees", "disagrees", "not everything", "no other run"],
)
def test_headline_includes_the_other_run(parity: Parity, word: str, sentence: str) -> None:
    """Bounds and parity are two answers; a run must agree with the other one only if that is required."""
    head = make_headline(samples.cloud(), parity)
    bounds = "All 14 bounds hold across 3 versions."
    assert (head.word, head.sentence) == (word, bounds)
    assert head.comparison == f"Parity (required): {sentence}"
    head = make_headline(samples.cloud(), parity.model_copy(update={"required": False}))
    assert (head.word, head.sentence) == ("PASS", bounds)
    assert head.comparison == f"Parity (not required): {sentence}"


@pytest.mark.parametrize(
    ("verdict", "parity", "word"),
    [
        (Verdict.FAIL, compare_runs(_WHOLE, samples.cloud()), "FAIL"),
        (Verdict.FAIL, report_not_compared(samples.cloud(), "None."), "FAIL"),
        (Verdict.NOT_PROVEN, compare_runs(_OTHER, samples.cloud()), "FAIL"),
        (Verdict.NOT_PROVEN, compare_runs(_WHOLE, samples.cloud()), "NOT PROVEN"),
    ],
)
def test_the_worse_verdict_is_the_headline(verdict: Verdict, parity: Parity, word: str) -> None:
    """Agreement doesn't make up for a failed bound, nor bounds for a disagreement."""
    version = samples.version("march", 2, bounds=(samples.bound(verdict=verdict),))
    assert word == make_headline(samples.cloud((version,)), parity).word


def test_a_failed_run_does_not_mention_the_comparison() -> None:
    """The headline of a failed run is about the failure, not about the comparison."""
    broken = samples.cloud((), failure=samples.failure())
    assert make_headline(broken) == make_headline(broken, compare_runs(_WHOLE, broken))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"measured": -0.125, "distance": -0.025},
            "march: cv_roc_auc changed by -12.5 %; the bound is >= -10 % since january, missed by 2.5 %",
        ),
        (
            {"verdict": Verdict.PASS, "measured": 0.05, "distance": 0.15},
            "march: cv_roc_auc changed by +5 %; the bound is >= -10 % since january, met with 15 % to spare",
        ),
        (
            {"verdict": Verdict.NOT_PROVEN, "measured": None, "distance": None, "reason": "it was 0"},
            "march: cv_roc_auc >= -10 % since january is not proven: it was 0",
        ),
    ],
)
def test_a_relative_change_is_shown_in_percent(changes: dict[str, Any], expected: str) -> None:
    """Value, bound and distance of a relative change are shown in percent."""
    fields: dict[str, Any] = {"kind": "change_min", "limit": -0.1, "relative": True}
    fields["reference"] = samples.since("january")
    fields |= {"verdict": Verdict.FAIL}
    assert expected == _sentence_of(samples.bound(**fields | changes))


_HELD = "march: cv_roc_auc is 0.6500 ± 0.037; the bound is >= 0.6, met with 0.0500 to spare"


def _text(verdict: Verdict, found: str, **changes: Any) -> BoundResult:
    fields = {"metric": "operation", "kind": "is", "limit": None, "measured": None, "distance": None}
    return samples.bound(verdict=verdict, **fields | {"expected": "WRITE", "found": found} | changes)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (_text(Verdict.FAIL, "MERGE"), "march: operation: found MERGE; expected WRITE"),
        (_text(Verdict.PASS, "WRITE"), "march: operation: found WRITE; expected WRITE"),
        (
            _text(Verdict.NOT_PROVEN, "", reason="the commit is not known"),
            "march: operation = WRITE is not proven: the commit is not known",
        ),
        (
            _text(Verdict.FAIL, "MERGE", must_fail=True),
            "march: operation fails as expected: found MERGE, expected WRITE",
        ),
        (
            _text(Verdict.PASS, "WRITE", must_fail=True),
            "march: operation: found WRITE as expected, but it should have failed",
        ),
    ],
    ids=["fail", "pass", "not proven", "must fail", "should have failed"],
)
def test_a_text_is_shown_with_the_expected_one(bound: BoundResult, expected: str) -> None:
    """The row of a text has the expected and the found text, and no distance."""
    assert expected == _sentence_of(bound)
    assert "" == make_bound_rows((samples.version("march", 2, bounds=(bound,)),))[0].distance


def test_a_long_text_is_complete_in_its_sentence() -> None:
    """A long text is cut in the table and complete in the sentence."""
    bound = _text(Verdict.FAIL, "a" * 100, expected="b" * 100)
    [row] = make_bound_rows((samples.version("march", 2, bounds=(bound,)),))
    assert (61, 61, True) == (len(row.value), len(row.bound), f"found {bound.found}" in row.sentence)


@pytest.mark.parametrize(
    ("verdict", "counts_as", "label", "sentence"),
    [
        (
            Verdict.FAIL,
            Verdict.PASS,
            "✓ fails as expected",
            "march: cv_roc_auc is 0.5500 ± 0.037; the bound is >= 0.6, missed by 0.0500, as expected",
        ),
        (
            Verdict.PASS,
            Verdict.FAIL,
            "✗ should have failed, and holds",
            f"{_HELD}, but it should have failed",
        ),
        (
            Verdict.NOT_PROVEN,
            Verdict.NOT_PROVEN,
            "? not proven",
            "march: cv_roc_auc >= 0.6 must fail, and is not proven: it could not be measured",
        ),
    ],
)
def test_a_bound_that_must_fail_counts_by_its_outcome(
    verdict: Verdict, counts_as: Verdict, label: str, sentence: str
) -> None:
    """A bound that must fail passes if it fails, and label and sentence explain this."""
    bound = samples.bound(verdict=verdict, must_fail=True)
    [row] = make_bound_rows((samples.version("march", 2, bounds=(bound,)),))
    assert (counts_as, label, sentence) == (row.verdict, row.label, row.sentence)


FAIL_AS_IT_MUST = samples.bound(verdict=Verdict.FAIL, must_fail=True)
HOLDS = samples.bound(must_fail=True)


@pytest.mark.parametrize(
    ("expected", "bounds"),
    [
        ("PASS: 1 bound must fail, and does.", [FAIL_AS_IT_MUST]),
        (
            "PASS: 1 bound must fail, and does; the other holds.",
            [FAIL_AS_IT_MUST, samples.bound()],
        ),
        (
            "PASS: 2 bounds must fail, and do; the other 2 hold.",
            [FAIL_AS_IT_MUST, samples.bound()] * 2,
        ),
        (
            "FAIL: 1 bound must fail. Of 2 bounds, 1 should have failed, 1 passed.",
            [HOLDS, samples.bound()],
        ),
        (
            "FAIL: 1 bound must fail. Of 2 bounds, 1 failed, 1 failed as expected.",
            [FAIL_AS_IT_MUST, samples.bound(verdict=Verdict.FAIL)],
        ),
        (
            "NOT PROVEN: 1 bound must fail. Of 1 bound, 1 not proven.",
            [samples.bound(verdict=Verdict.NOT_PROVEN, must_fail=True)],
        ),
    ],
)
def test_the_headline_explains_that_a_scenario_must_fail(expected: str, bounds: list[BoundResult]) -> None:
    """The headline of a scenario that must fail is worded differently from other passes."""
    head = make_headline(samples.result((samples.version("march", 2, bounds=tuple(bounds)),)))
    assert f"{head.word}: {head.sentence}" == expected


def test_a_bound_that_fails_as_it_must_is_not_a_detail() -> None:
    """The details have the bounds that should have failed, not those that failed as they must."""
    version = samples.version("march", 2, bounds=(FAIL_AS_IT_MUST, HOLDS))
    [detail] = make_headline(samples.result((version,))).details
    assert detail.endswith("but it should have failed")
