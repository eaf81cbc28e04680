"""Every judged bound as a row, and the verdict as a headline: derived once, shown by every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.metrics import METRICS
from harness.parity.compare import Parity
from harness.results import BoundResult, MeasuredValue, Result, Verdict, VersionResult
from harness.views import formatting

VERDICTS_WORST_FIRST = (Verdict.FAIL, Verdict.NOT_PROVEN, Verdict.OBSERVED, Verdict.PASS)


@dataclass(frozen=True)
class BoundRow:
    """One bound of one version, ready to be shown."""

    version: str
    metric: str
    value: str
    """The measured number, with its standard error if it has one; or the found text."""
    bound: str
    distance: str
    """How far inside the bound the value is; negative if it is outside. Empty for a text."""
    verdict: Verdict
    """The effect on the run: a bound that must fail, and does, is a pass."""
    outcome: str
    """The verdict in words, such as ``pass`` or ``fails as expected``."""
    sentence: str
    """The measured value and the bound, as a sentence."""
    reason: str
    since: str | None
    """The version, or the other run, from which a change is measured."""
    must_fail: bool = False

    @property
    def label(self) -> str:
        """The outcome with its symbol."""
        return f"{formatting.verdict_mark(self.verdict)} {self.outcome}"

    @property
    def column(self) -> str:
        """Heading of the bounded quantity, which several versions share."""
        return self.metric if self.since is None else f"{self.metric}, change"


@dataclass(frozen=True)
class Headline:
    """The outcome of a run as one word and one sentence."""

    word: str
    tone: str
    """``pass``, ``fail``, ``not-proven``, ``observed`` or ``stopped``."""
    sentence: str
    details: tuple[str, ...] = ()
    """A sentence for each bound that fails or is not proven."""
    comparison: str = ""
    """Whether it agrees with another run, as one line; empty if it wasn't to be compared."""

    @property
    def mark(self) -> str:
        """The symbol of the verdict."""
        return {"pass": "✓", "not-proven": "?", "observed": "○"}.get(self.tone, "✗")


def find_standard_error(metric: str, version: VersionResult) -> MeasuredValue:
    """Return the standard error of a metric of a version; None if it has none."""
    definition = METRICS.get(metric)
    if definition is None or definition.standard_error is None:
        return None
    return version.metrics.get(definition.standard_error)


def make_bound_rows(versions: Iterable[VersionResult]) -> tuple[BoundRow, ...]:
    """Return every bound of these versions as a row, in order."""
    return tuple(_make_row(version, bound) for version in versions for bound in version.bounds)


def sort_worst_first(rows: Iterable[BoundRow]) -> tuple[BoundRow, ...]:
    """Return rows that fail, then those that are not proven, then those that pass; otherwise in order."""
    return tuple(sorted(rows, key=lambda row: VERDICTS_WORST_FIRST.index(row.verdict)))


def make_headline(result: Result, parity: Parity | None = None) -> Headline:
    """Return the outcome of a run; a comparison with another run counts like its bounds if it is required.

    Args:
        result: The run.
        parity: The comparison, with the run as ``b``.
    """
    rows = make_bound_rows(result.versions)
    details = tuple(row.sentence for row in sort_worst_first(rows) if row.verdict is not Verdict.PASS)
    if result.failure is not None:
        return Headline("STOPPED", "stopped", _describe_early_end(rows), details)
    sentence = _describe_verdict(result, rows)
    if parity is None:
        return Headline(*_choose_word_and_tone(result.verdict), sentence, details)
    verdicts = (result.verdict, parity.verdict) if parity.required else (result.verdict,)
    worst = min(verdicts, key=VERDICTS_WORST_FIRST.index)
    return Headline(*_choose_word_and_tone(worst), sentence, details, _describe_comparison(parity))


def _make_row(version: VersionResult, bound: BoundResult) -> BoundRow:
    spec = bound.spec
    value = _format_value(version, bound)
    distance = "" if spec.comparison is None else _format_difference(bound, bound.distance)
    return BoundRow(
        version=version.name,
        metric=spec.metric,
        value=formatting.shorten(value),
        bound=formatting.shorten(spec.text),
        distance=distance,
        verdict=bound.outcome,
        outcome=formatting.outcome_label(bound),
        sentence=f"{version.name}: {_make_sentence(bound, value, distance)}",
        reason=bound.reason,
        since=(spec.since or "an earlier version") if spec.is_change else None,
        must_fail=spec.must_fail,
    )


def _format_value(version: VersionResult, bound: BoundResult) -> str:
    if bound.spec.comparison is None:
        return bound.found or formatting.NOT_MEASURED
    if bound.spec.is_change:
        return _format_difference(bound, bound.measured)
    return formatting.format_with_error(bound.measured, find_standard_error(bound.metric, version))


def _format_difference(bound: BoundResult, value: MeasuredValue) -> str:
    return formatting.format_percent(value) if bound.relative else formatting.format_signed(value)


def _make_sentence(bound: BoundResult, value: str, distance: str) -> str:
    if bound.verdict is Verdict.NOT_PROVEN:
        must = "must fail, and " if bound.must_fail else ""
        return f"{bound.metric} {bound.text} {must}is not proven: {bound.reason or 'no value'}"
    has_failed = bound.verdict is Verdict.FAIL
    if bound.spec.comparison is None:
        if not bound.must_fail:
            return f"{bound.metric}: found {value}; expected {bound.expected}"
        if has_failed:
            return f"{bound.metric} fails as expected: found {value}, expected {bound.expected}"
        return f"{bound.metric}: found {value} as expected, but it should have failed"
    verb = "changed by" if bound.spec.is_change else "is"
    margin = f"met with {distance.removeprefix('+')} to spare"
    if has_failed:
        margin = f"missed by {distance.removeprefix('-')}"
    if has_failed and bound.found:
        margin = f"{margin}: {bound.found}"
    surprise = ""
    if bound.must_fail:
        surprise = ", as expected" if has_failed else ", but it should have failed"
    return f"{bound.metric} {verb} {value}; the bound is {bound.text}, {margin}{surprise}"


def _choose_word_and_tone(verdict: Verdict) -> tuple[str, str]:
    return verdict.value.upper(), verdict.value.replace(" ", "-")


def _describe_comparison(parity: Parity) -> str:
    title = "Parity (required)" if parity.required else "Parity (not required)"
    if parity.reason:
        return f"{title}: not compared."
    other = f"run {parity.run_a} on {parity.targets[0]}"
    found = {
        Verdict.PASS: f"agrees with {other}",
        Verdict.FAIL: f"disagrees with {other}",
        Verdict.NOT_PROVEN: f"some values could not be compared with {other}",
    }[parity.verdict]
    return f"{title}: {found}."


def _describe_verdict(result: Result, rows: tuple[BoundRow, ...]) -> str:
    verdict, versions = result.verdict, len(result.versions)
    if not rows:
        return _describe_unjudged(result)
    expected_failures = sum(row.must_fail for row in rows)
    if expected_failures:
        return _describe_expected_failures(verdict, rows, expected_failures)
    if verdict is not Verdict.PASS:
        return f"{_count_outcomes(rows)}."
    if len(rows) == 1:
        return "The only bound holds."
    across = f" across {versions} versions" if versions > 1 else ""
    return f"All {len(rows)} bounds hold{across}."


def _describe_unjudged(result: Result) -> str:
    """Return the sentence for a run without a judged bound."""
    if result.verdict is Verdict.OBSERVED:
        return "The scenario only observes: nothing was judged, and nothing was published."
    if result.reason:
        return f"{result.reason[:1].upper()}{result.reason[1:]}."
    return "The scenario sets no bounds, so none could fail."


def _describe_expected_failures(verdict: Verdict, rows: tuple[BoundRow, ...], count: int) -> str:
    """Return the sentence for a scenario that tests its own bounds."""
    must_fail = f"{formatting.format_count(count, 'bound')} must fail"
    if verdict is not Verdict.PASS:
        return f"{must_fail}. {_count_outcomes(rows)}."
    others = len(rows) - count
    rest = "" if not others else "; the other holds" if others == 1 else f"; the other {others} hold"
    return f"{must_fail}, and {'does' if count == 1 else 'do'}{rest}."


def _describe_early_end(rows: tuple[BoundRow, ...]) -> str:
    judged = _count_outcomes(rows, " judged by then") if rows else "No bound was judged"
    return f"The run ended early. {judged}."


def _count_outcomes(rows: tuple[BoundRow, ...], which: str = "") -> str:
    counts = Counter(_name_outcome(row) for row in rows)
    parts = [f"{counts[each]} {each}" for each in _OUTCOMES if counts[each]]
    return f"Of {formatting.format_count(len(rows), 'bound')}{which}, {', '.join(parts)}"


def _name_outcome(row: BoundRow) -> str:
    if row.must_fail:
        return {Verdict.FAIL: _NOT_CAUGHT, Verdict.NOT_PROVEN: _NOT_PROVEN, Verdict.PASS: _CAUGHT}[
            row.verdict
        ]
    return {Verdict.FAIL: _FAILED, Verdict.NOT_PROVEN: _NOT_PROVEN, Verdict.PASS: _PASSED}[row.verdict]


_FAILED, _NOT_CAUGHT, _NOT_PROVEN = "failed", "should have failed", "not proven"
_PASSED, _CAUGHT = "passed", "failed as expected"
_OUTCOMES = (_FAILED, _NOT_CAUGHT, _NOT_PROVEN, _CAUGHT, _PASSED)
"""The possible outcomes of a bound, worst first."""
