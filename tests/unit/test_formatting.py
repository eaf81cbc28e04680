"""The formats of numbers, durations and texts in reports."""

from typing import Any

import pytest

from harness.results import Verdict
from harness.storage.uris import remove_password
from harness.views import formatting
from tests.unit import report_samples as samples

COMMIT = {"operation": "MERGE", "time": "2026-03-01T10:15:00Z", "reader": 1, "writer": 2}


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("not measured", None),
        ("0", 0.0),
        ("3,395", 3395.0),
        ("0.5996", 0.59962),
        ("-0.0319", -0.0319),
        ("12.35", 12.345678),
        ("1,234.5", 1234.54),
        ("-1.64e-06", -1.6412e-6),
    ],
)
def test_a_number_has_suitable_digits(expected: str, value: float | None) -> None:
    """A number is shown with digits that suit its size."""
    assert formatting.format_number(value) == expected


@pytest.mark.parametrize(
    ("expected", "value"), [("+0.0400", 0.04), ("-0.0400", -0.04), ("0", 0), ("not measured", None)]
)
def test_a_difference_has_a_sign(expected: str, value: float | None) -> None:
    """A difference has a sign, and zero has none."""
    assert formatting.format_signed(value) == expected


@pytest.mark.parametrize(
    ("expected", "duration_s"),
    [
        ("0.0 s", 0),
        ("9.9 s", 9.94),
        ("10 s", 9.96),
        ("1 min 0 s", 59.6),
        ("3 min 5 s", 185),
        ("2 h 1 min", 7290),
    ],
)
def test_a_duration_has_a_suitable_unit(expected: str, duration_s: float) -> None:
    """A duration is shown in seconds, minutes or hours, depending on its length."""
    assert formatting.format_seconds(duration_s) == expected


def test_a_standard_error_is_shown_with_its_value() -> None:
    """A value with a standard error shows both."""
    assert formatting.format_with_error(0.6431, 0.0412) == "0.6431 ± 0.041"


def test_no_value_has_no_standard_error() -> None:
    """A value that was not measured has no standard error."""
    assert formatting.format_with_error(None, 0.04) == "not measured"


def test_a_verdict_has_a_symbol_and_a_word() -> None:
    """A verdict is shown by symbol and word."""
    labels = ["✓ pass", "✗ fail", "? not proven", "○ observed"]
    assert labels == [formatting.verdict_label(each) for each in Verdict]


def test_public_hides_user_and_password() -> None:
    """User and password of a tracking URI do not get into reports."""
    assert remove_password("https://me:secret@mlflow:5000/x") == "https://***@mlflow:5000/x"


@pytest.mark.parametrize(
    "address", ["abfss://lake@account.dfs.core.windows.net/x", "C:\\x", "http://[", "pass"]
)
def test_public_leaves_other_addresses_alone(address: str) -> None:
    """A text without a password is shown unchanged."""
    assert remove_password(address) == address


def test_typeset_uses_true_signs_but_leaves_names_alone() -> None:
    """Comparisons and minus signs are typeset; hyphens in names stay."""
    assert formatting.typeset(">= -0.1 since run-1") == "≥ \N{MINUS SIGN}0.1 since run-1"


def test_to_ascii_keeps_the_verdicts_apart() -> None:
    """In ASCII, the four verdicts still have four different symbols."""
    assert formatting.to_ascii("✓ ✗ ? ○ ± é") == "+ x ? o +/- ?"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (r"a\x1b[2J\x00b", "a\x1b[2J\x00b"),
        ("two\nlines, and\ta tab", "two\r\nlines, and\ta tab"),
        (r"over\rwritten", "over\rwritten"),
        (r"paid\u202edetpecca\u202c", "paid\u202edetpecca\u202c"),
        (r"\u2066isolated\u2069 \u200f", "\u2066isolated\u2069 \u200f"),
        (r"half \ud800 \ufffe \x9b", "half \ud800 \ufffe \x9b"),
        ("שלום, 日本, é, 👩‍🔧", "שלום, 日本, é, 👩‍🔧"),
    ],
)
def test_control_characters_are_made_visible(shown: str, text: str) -> None:
    """What would control a terminal, or turn a text around, is shown as an escape; any script stays."""
    assert shown == formatting.show_control_characters(text)


@pytest.mark.parametrize(
    ("verdict", "must_fail", "expected"),
    [
        (Verdict.PASS, False, "pass"),
        (Verdict.FAIL, False, "fail"),
        (Verdict.NOT_PROVEN, False, "not proven"),
        (Verdict.PASS, True, "should have failed, and holds"),
        (Verdict.FAIL, True, "fails as expected"),
        (Verdict.NOT_PROVEN, True, "not proven"),
    ],
)
def test_a_bound_that_must_fail_is_labeled_so(verdict: Verdict, must_fail: bool, expected: str) -> None:
    """The label of a bound that must fail differs from that of any other bound."""
    assert expected == formatting.outcome_label(samples.bound(verdict=verdict, must_fail=must_fail))


@pytest.mark.parametrize(
    ("changes", "step", "commits"),
    [
        ({}, "trained", ""),
        ({"status": "built", "commits": 2}, "built, not trained", "2 commits"),
        ({"status": "built", "commits": 1, "commit": COMMIT}, "built, not trained", "1 commit: MERGE"),
        ({"status": "built", "commits": 0, "commit": COMMIT}, "built, not trained", "0 commits"),
        (
            {"status": "built", "commits": 0, "error": "DELTA_SOMETHING"},
            "failed as expected with DELTA_SOMETHING",
            "0 commits",
        ),
        ({"status": "failed"}, "failed", ""),
    ],
)
def test_the_outcome_of_a_version_is_described(changes: dict[str, Any], step: str, commits: str) -> None:
    """A version is described as trained, built or refused, with its own commits."""
    version = samples.version("march", 2, **changes)
    assert (step, commits) == (formatting.describe_outcome(version), formatting.describe_commits(version))


@pytest.mark.parametrize(
    ("expected", "share"),
    [
        ("+10 %", 0.1),
        ("-12.5 %", -0.125),
        ("0 %", 0.0),
        ("+0.3 %", 0.003),
        ("+123,456 %", 1234.56),
        ("-7 %", -0.07),
        ("not measured", None),
    ],
)
def test_a_share_is_shown_in_percent(expected: str, share: float | None) -> None:
    """A share is shown in percent with its sign and without rounding noise."""
    assert expected == formatting.format_percent(share)


def test_a_long_text_is_cut() -> None:
    """A long text is shortened for a table; a short one is complete."""
    assert ("a" * 60, "a" * 60 + "…") == (formatting.shorten("a" * 60), formatting.shorten("a" * 61))
