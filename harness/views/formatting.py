"""The formats of numbers, durations, verdicts and addresses in reports."""

from __future__ import annotations

import re

from harness.results import BoundResult, MeasuredValue, Verdict, VersionResult

NOT_MEASURED = "not measured"
ABSENT = "absent"
"""Shown if a version lacks something that other versions have, such as a feature."""

_MINUS = "\N{MINUS SIGN}"
_MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.NOT_PROVEN: "?", Verdict.OBSERVED: "○"}
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "±": "+/-", "·": "-", "○": "o", "…": "...", "→": "->", _MINUS: "-"}
)
_COMPARISONS = {">=": "≥", "<=": "≤"}
_CONTROL_CHARACTERS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # such as Escape
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # of bidirectional text
    r"\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # line breaks, and invalid characters
)
_LONG = 60
_MINUTE_S = 60
_HOUR_S = 3600


def verdict_mark(verdict: Verdict) -> str:
    """Return the symbol of a verdict, which is always shown next to its name."""
    return _MARKS[verdict]


def verdict_label(verdict: Verdict) -> str:
    """Return symbol and name of a verdict, such as ``✓ pass``."""
    return f"{verdict_mark(verdict)} {verdict.value}"


def outcome_label(bound: BoundResult) -> str:
    """Return what a bound means for the run, such as ``pass`` or ``fails as expected``."""
    turned = {Verdict.FAIL: "fails as expected", Verdict.PASS: "should have failed, and holds"}
    return turned.get(bound.verdict, bound.verdict.value) if bound.must_fail else bound.verdict.value


def describe_outcome(version: VersionResult) -> str:
    """Return the outcome of a version: ``trained``, ``built, not trained`` or ``failed as expected ...``."""
    if version.error is not None:
        return f"failed as expected with {version.error}"
    return "built, not trained" if version.status == "built" else version.status


def describe_commits(version: VersionResult) -> str:
    """Return the commits of a version's step, such as ``1 commit: WRITE``; empty if none are recorded."""
    if version.commits is None:
        return ""
    commits = format_count(version.commits, "commit")
    return f"{commits}: {version.commit.operation}" if version.commits and version.commit else commits


def format_number(value: MeasuredValue) -> str:
    """Format a number: integers whole, four decimals below ten, fewer above, three digits if tiny."""
    if value is None:
        return NOT_MEASURED
    size = abs(value)
    if value == int(value) and size < 1e15:  # noqa: PLR2004 - beyond it, a float is not exact
        return f"{int(value):,}"
    for above, digits in ((1e15, ".4g"), (1000, ",.1f"), (10, ".2f"), (0.001, ".4f")):
        if size >= above:
            return f"{value:{digits}}"
    return f"{value:.3g}"


def format_signed(value: MeasuredValue) -> str:
    """Format a difference, with its sign."""
    return f"+{format_number(value)}" if value is not None and value > 0 else format_number(value)


def format_percent(share: MeasuredValue) -> str:
    """Format a relative difference in percent, such as ``-12.5 %``."""
    if share is None:
        return NOT_MEASURED
    value = 100 * share
    text = f"{value:.4g}" if abs(value) < 10_000 else format_number(value)  # noqa: PLR2004 - five digits and more
    return f"+{text} %" if value > 0 else f"{text} %"


def format_with_error(value: MeasuredValue, standard_error: MeasuredValue) -> str:
    """Format a number with its standard error, such as ``0.6431 ± 0.040``."""
    if value is None or standard_error is None:
        return format_number(value)
    small = standard_error < 0.001  # noqa: PLR2004 - three decimals would show nothing
    return f"{format_number(value)} ± {standard_error:{'.2g' if small else '.3f'}}"


def format_seconds(duration_s: float) -> str:
    """Format a duration, such as ``0.4 s``, ``43 s`` or ``3 min 5 s``."""
    if duration_s < 9.95:  # noqa: PLR2004 - what rounds to 10 needs no decimal
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def format_count(many: int, noun: str) -> str:
    """Format a count with its noun, such as ``1 bound`` or ``3 bounds``."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun}s"


def shorten(text: str) -> str:
    """Shorten a long text for a table."""
    return text if len(text) <= _LONG else f"{text[:_LONG].rstrip()}…"


def typeset(text: str) -> str:
    """Replace hyphens before digits by minus signs, and ``>=`` and ``<=`` by ≥ and ≤."""
    for typed, printed in _COMPARISONS.items():
        text = text.replace(f"{typed} ", f"{printed} ")
    return re.sub(r"(?<![\w.])-(?=\d)", _MINUS, text)


def to_ascii(text: str) -> str:
    """Convert text to ASCII."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def show_control_characters(text: str) -> str:
    """Replace control characters, except newlines and tabs, by visible escapes.

    Terminals interpret them, XML forbids them, and those of bidirectional text make a text read differently
    than it is.
    """
    return _CONTROL_CHARACTERS.sub(_escape_character, text.replace("\r\n", "\n"))


def _escape_character(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode("ascii")
