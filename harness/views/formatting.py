"""How reports write numbers, durations, verdicts and addresses: one home for each."""

from __future__ import annotations

import re
import unicodedata

from harness.results import BoundResult, Measured, Verdict, VersionResult

NOT_MEASURED = "not measured"
ABSENT = "absent"
"""Stands where a version lacks what other versions have, such as a feature."""

_MINUS = "\N{MINUS SIGN}"
_MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.NOT_PROVEN: "?"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "±": "+/-", "·": "-", "…": "...", "→": "->", _MINUS: "-"})
_COMPARISONS = {">=": "≥", "<=": "≤"}
_LONG = 60
_MINUTE_S = 60
_HOUR_S = 3600


def mark(verdict: Verdict) -> str:
    """One sign per verdict, always shown beside its word."""
    return _MARKS[verdict]


def verdict_words(verdict: Verdict) -> str:
    """Sign and word, such as ``✓ pass``."""
    return f"{mark(verdict)} {verdict.value}"


def outcome_words(bound: BoundResult) -> str:
    """What a bound means for the run, such as ``pass`` or ``fails as it must``."""
    turned = {Verdict.FAIL: "fails as it must", Verdict.PASS: "should have failed, and holds"}
    return turned.get(bound.verdict, bound.verdict.value) if bound.must_fail else bound.verdict.value


def step_words(version: VersionResult) -> str:
    """What became of a version, such as ``trained``, ``built, not trained`` or ``refused with ...``."""
    if version.error is not None:
        return f"refused with {version.error}"
    return "built, not trained" if version.status == "built" else version.status


def commit_words(version: VersionResult) -> str:
    """The commits that a version's step made, such as ``1 commit: WRITE``; nothing where it made none."""
    if version.commits is None:
        return ""
    made = count(version.commits, "commit")
    return f"{made}: {version.commit.operation}" if version.commits and version.commit else made


def number(value: Measured) -> str:
    """Whole numbers whole, four decimals below ten, fewer above, three digits of what is tiny."""
    if value is None:
        return NOT_MEASURED
    size = abs(value)
    if value == int(value) and size < 1e15:  # noqa: PLR2004 - beyond it a float is no count
        return f"{int(value):,}"
    for above, digits in ((1e15, ".4g"), (1000, ",.1f"), (10, ".2f"), (0.001, ".4f")):
        if size >= above:
            return f"{value:{digits}}"
    return f"{value:.3g}"


def signed(value: Measured) -> str:
    """A number with its sign, for what is a difference."""
    return f"+{number(value)}" if value is not None and value > 0 else number(value)


def percent(share: Measured) -> str:
    """A share as a difference in percent, such as ``-12.5 %``."""
    if share is None:
        return NOT_MEASURED
    value = 100 * share
    text = f"{value:.4g}" if abs(value) < 10_000 else number(value)  # noqa: PLR2004 - five digits and more
    return f"+{text} %" if value > 0 else f"{text} %"


def with_error(value: Measured, standard_error: Measured) -> str:
    """A number and its standard error, such as ``0.6431 ± 0.040``."""
    if value is None or standard_error is None:
        return number(value)
    small = standard_error < 0.001  # noqa: PLR2004 - where three decimals would show nothing
    return f"{number(value)} ± {standard_error:{'.2g' if small else '.3f'}}"


def seconds(duration_s: float) -> str:
    """A duration, such as ``0.4 s``, ``43 s`` or ``3 min 5 s``."""
    if duration_s < 9.95:  # noqa: PLR2004 - what rounds to 10 needs no decimal
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"


def count(many: int, noun: str) -> str:
    """A number of things, such as ``1 bound`` or ``3 bounds``."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun}s"


def cut(text: str) -> str:
    """A text of which a table shows no more than its beginning."""
    return text if len(text) <= _LONG else f"{text[:_LONG].rstrip()}…"


def typeset(text: str) -> str:
    """With a true minus before digits, and ≥ and ≤ for what is typed as two signs."""
    for typed, printed in _COMPARISONS.items():
        text = text.replace(f"{typed} ", f"{printed} ")
    return re.sub(r"(?<![\w.])-(?=\d)", _MINUS, text)


def to_ascii(text: str) -> str:
    """For a terminal that can show nothing else."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def printable(text: str) -> str:
    """Without control characters, which XML forbids and terminals obey; line ends and tabs stay."""
    return "".join(
        sign for sign in text if sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cs", "Cn")
    )
