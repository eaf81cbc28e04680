"""The comparison of two runs as rows and sentences, shared by every kind of report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from harness.parity.compare import Difference, Library, Parity
from harness.results import MeasuredValue, Verdict
from harness.views import formatting
from harness.views.bound_table import VERDICTS_WORST_FIRST

TITLES = ("version", "what", "name", "difference", "tolerance", "verdict")
_LONG = 24


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    name: str
    """Its target, or a letter if both runs have the same target."""
    run: str | None
    """``None`` if there is no run to compare with."""
    target: str | None


@dataclass(frozen=True)
class DifferenceRow:
    """One value that is not identical in both runs, formatted for reports."""

    version: str
    kind: str
    name: str
    a: str
    b: str
    difference: str
    tolerance: str
    verdict: Verdict

    def sentence(self, sides: tuple[Side, Side]) -> str:
        """Return the two values and the tolerance as a sentence."""
        a, b = sides
        values = f"{self.version}: {self.kind} {self.name} is {self.a} ({a.name}) and {self.b} ({b.name})"
        if self.verdict is Verdict.NOT_PROVEN:
            return f"{values}; these values can't be compared"
        if not self.difference:
            return f"{values}; they must be identical"
        return f"{values}; they differ by {self.difference}, and the tolerance is {self.tolerance}"


def name_sides(parity: Parity) -> tuple[Side, Side]:
    """Return the two runs, named by their targets if these differ."""
    target_a, target_b = parity.targets
    names = ("a", "b") if target_a == target_b else (target_a or formatting.ABSENT, target_b)
    return Side(names[0], parity.run_a, target_a), Side(names[1], parity.run_b, target_b)


def describe_agreement(parity: Parity) -> str:
    """Return the verdict as a sentence."""
    if parity.reason:
        return f"Nothing was compared. {parity.reason}"
    return {
        Verdict.PASS: "The two runs agree.",
        Verdict.FAIL: "The two runs disagree.",
        Verdict.NOT_PROVEN: "Not everything could be compared.",
    }[parity.verdict]


def describe_counts(parity: Parity) -> str:
    """Return how many values are identical and how many are not, as a sentence."""
    different = len(_select_differences(parity))
    identical = formatting.format_count(len(parity.differences) - different, "value")
    return f"{identical} identical, {different} different."


def describe_tolerances(parity: Parity) -> str:
    """Return the tolerances as a sentence."""
    listed = ", ".join(f"{name} {value:g}" for name, value in parity.tolerances)
    return f"Relative tolerances: {listed}; data must be identical."


def make_difference_rows(parity: Parity) -> tuple[DifferenceRow, ...]:
    """Return every value that differs, worst first: disagreeing, not comparable, within the tolerance."""
    return tuple(map(make_difference_row, sorted(_select_differences(parity), key=_rank)))


def make_difference_row(each: Difference) -> DifferenceRow:
    """Return one value of both runs, formatted for reports."""
    return DifferenceRow(
        version=each.version,
        kind=each.kind,
        name=each.name,
        a=formatting.ABSENT if each.absent == "a" else _format_value(each.a, each.b),
        b=formatting.ABSENT if each.absent == "b" else _format_value(each.b, each.a),
        difference="" if each.difference is None else f"{each.difference:.1e}",
        tolerance="exact" if each.kind == "data" else f"{each.tolerance:g}",
        verdict=each.verdict,
    )


def select_differing_libraries(libraries: Iterable[Library]) -> tuple[Library, ...]:
    """Return the libraries whose versions differ between the two runs."""
    return tuple(library for library in libraries if library.differs)


def _rank(each: Difference) -> tuple[int, float]:
    is_relative = each.difference is not None and each.tolerance > 0
    excess = (each.difference or 0.0) / each.tolerance if is_relative else math.inf
    return VERDICTS_WORST_FIRST.index(each.verdict), -excess


def _select_differences(parity: Parity) -> list[Difference]:
    return [each for each in parity.differences if each.difference or each.verdict is not Verdict.PASS]


def _format_value(value: MeasuredValue | str, other: MeasuredValue | str) -> str:
    if not isinstance(value, str):
        return formatting.format_number(value)
    return value if len(value) <= _LONG else _shorten(value, str(other))


def _shorten(text: str, other: str) -> str:
    """Shorten a long text, starting at the first list item in which it differs from the other text."""
    items = text.split(", ")
    equal = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(items, other.split(", "), strict=False))
    )
    shown = ", ".join(items[min(equal, len(items) - 1) :])
    return ("…" if equal else "") + (shown if len(shown) <= _LONG else f"{shown[:_LONG]}…")
