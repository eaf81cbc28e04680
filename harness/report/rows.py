"""Every bound as a row, and the verdict in words: derived once, shown by every kind of report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.metrics import METRICS
from harness.report import words
from harness.results import BoundResult, Measured, Result, Verdict, VersionResult
from harness.verdict.parity import Parity

VERDICTS_WORST_FIRST = (Verdict.FAIL, Verdict.NOT_PROVEN, Verdict.PASS)


@dataclass(frozen=True)
class BoundRow:
    """One bound of one version, ready to be shown."""

    version: str
    metric: str
    value: str
    """What was measured, with its standard error where there is one."""
    bound: str
    distance: str
    """How far inside the bound the value lies; negative where it lies outside."""
    verdict: Verdict
    reason: str
    since: str | None

    @property
    def column(self) -> str:
        """The question that bounds of several versions share."""
        return self.metric if self.since is None else f"{self.metric}, change"

    @property
    def sentence(self) -> str:
        """What was found, and what should hold."""
        if self.verdict is Verdict.NOT_PROVEN:
            return f"{self.version}: {self.metric} {self.bound} is not proven: {self.reason or 'no value'}"
        verb = "is" if self.since is None else "changed by"
        found = f"{self.version}: {self.metric} {verb} {self.value}"
        return f"{found}; the bound is {self.bound}, {self._where}"

    @property
    def _where(self) -> str:
        if self.verdict is Verdict.FAIL:
            return f"missed by {self.distance.removeprefix('-')}"
        return f"met with {self.distance.removeprefix('+')} to spare"


@dataclass(frozen=True)
class Headline:
    """The outcome of a run in one word and one sentence."""

    word: str
    tone: str
    """``pass``, ``fail``, ``not-proven`` or ``stopped``."""
    sentence: str
    details: tuple[str, ...] = ()
    """A sentence for each bound that fails or is not proven."""

    @property
    def mark(self) -> str:
        """A sign beside the word."""
        return {"pass": "✓", "not-proven": "?"}.get(self.tone, "✗")


def standard_error(metric: str, version: VersionResult) -> Measured:
    """Of a metric at a version, where it has one."""
    definition = METRICS.get(metric)
    if definition is None or definition.standard_error is None:
        return None
    return version.metrics.get(definition.standard_error)


def bound_rows(versions: Iterable[VersionResult]) -> tuple[BoundRow, ...]:
    """Every bound of every version, in order."""
    return tuple(_row(version, bound) for version in versions for bound in version.bounds)


def worst_first(rows: Iterable[BoundRow]) -> tuple[BoundRow, ...]:
    """What failed, then what is not proven, then what holds; each in its order."""
    return tuple(sorted(rows, key=lambda row: VERDICTS_WORST_FIRST.index(row.verdict)))


def headline(result: Result, parity: Parity | None = None) -> Headline:
    """What came out, in words; what the run was compared with counts as its bounds do.

    Args:
        result: The run.
        parity: The run as ``b``, held against another one.
    """
    rows = bound_rows(result.versions)
    details = tuple(row.sentence for row in worst_first(rows) if row.verdict is not Verdict.PASS)
    if result.failure is not None:
        return Headline("STOPPED", "stopped", _stopped(rows), details)
    sentence = _judged(result.verdict, rows, len(result.versions))
    if parity is None:
        return Headline(*_word_and_tone(result.verdict), sentence, details)
    worst = min(result.verdict, parity.verdict, key=VERDICTS_WORST_FIRST.index)
    return Headline(*_word_and_tone(worst), f"{sentence} {_compared(parity)}", details)


def _row(version: VersionResult, bound: BoundResult) -> BoundRow:
    change = bound.kind in ("change_min", "change_max")
    error = standard_error(bound.metric, version)
    return BoundRow(
        version=version.name,
        metric=bound.metric,
        value=words.signed(bound.measured) if change else words.with_error(bound.measured, error),
        bound=bound.text,
        distance=words.NOT_MEASURED if bound.distance is None else words.signed(bound.distance),
        verdict=bound.verdict,
        reason=bound.reason,
        since=(bound.since or "an earlier version") if change else None,
    )


def _word_and_tone(verdict: Verdict) -> tuple[str, str]:
    return verdict.value.upper(), verdict.value.replace(" ", "-")


def _compared(parity: Parity) -> str:
    if parity.reason:
        return "It was compared with no other run."
    other = f"run {parity.run_a} on {parity.targets[0]}"
    return {
        Verdict.PASS: f"It agrees with {other}.",
        Verdict.FAIL: f"It disagrees with {other}.",
        Verdict.NOT_PROVEN: f"Not everything could be compared with {other}.",
    }[parity.verdict]


def _judged(verdict: Verdict, rows: tuple[BoundRow, ...], versions: int) -> str:
    if not rows:
        return f"No bound is set at {words.count(versions, 'version')}, so none could fail."
    if verdict is Verdict.PASS:
        every = "The only bound holds" if len(rows) == 1 else f"All {len(rows)} bounds hold"
        return f"{every} at {words.count(versions, 'version')}."
    return f"{_tally(rows)}."


def _stopped(rows: tuple[BoundRow, ...]) -> str:
    judged = _tally(rows, " judged by then") if rows else "No bound was judged"
    return f"The run ended early. {judged}."


def _tally(rows: tuple[BoundRow, ...], which: str = "") -> str:
    found = Counter(row.verdict for row in rows)
    parts = [f"{found[verdict]} {_VERBS[verdict]}" for verdict in VERDICTS_WORST_FIRST if found[verdict]]
    return f"Of {words.count(len(rows), 'bound')}{which}, {', '.join(parts)}"


_VERBS = {Verdict.FAIL: "failed", Verdict.NOT_PROVEN: "not proven", Verdict.PASS: "passed"}
