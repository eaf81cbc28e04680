"""Two runs compared, as rows and sentences: derived once, shown by every kind of report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from harness.parity.compare import Difference, Library, Parity
from harness.results import Measured, Verdict
from harness.views import formatting
from harness.views.bound_table import VERDICTS_WORST_FIRST

TITLES = ("version", "what", "name", "difference", "tolerance", "verdict")
_LONG = 24


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    name: str
    """Its target, or a letter where both ran on the same."""
    run: str | None
    """None where there is no run."""
    target: str | None


@dataclass(frozen=True)
class DifferenceRow:
    """One value that is not the very same in both runs, ready to be shown."""

    version: str
    kind: str
    name: str
    a: str
    b: str
    difference: str
    tolerance: str
    verdict: Verdict

    def sentence(self, sides: tuple[Side, Side]) -> str:
        """What the two runs say, and what was asked for."""
        a, b = sides
        found = f"{self.version}: {self.kind} {self.name} is {self.a} ({a.name}) and {self.b} ({b.name})"
        if self.verdict is Verdict.NOT_PROVEN:
            return f"{found}; that can't be compared"
        if not self.difference:
            return f"{found}; it should be the very same"
        return f"{found}; they differ by {self.difference}, and the tolerance is {self.tolerance}"


def sides(parity: Parity) -> tuple[Side, Side]:
    """The two runs, told apart by their targets where these differ."""
    target_a, target_b = parity.targets
    names = ("a", "b") if target_a == target_b else (target_a or formatting.ABSENT, target_b)
    return Side(names[0], parity.run_a, target_a), Side(names[1], parity.run_b, target_b)


def agreement(parity: Parity) -> str:
    """The verdict as a sentence."""
    if parity.reason:
        return f"Nothing was compared. {parity.reason}"
    return {
        Verdict.PASS: "The two runs agree.",
        Verdict.FAIL: "The two runs disagree.",
        Verdict.NOT_PROVEN: "Not everything could be compared.",
    }[parity.verdict]


def tally(parity: Parity) -> str:
    """How many values are the very same, and how many are not."""
    told = len(_told(parity))
    return f"{formatting.count(len(parity.differences) - told, 'value')} the very same, {told} not."


def tolerances(parity: Parity) -> str:
    """What the numbers were held to."""
    asked = ((name, f"{value:g}") for name, value in parity.tolerances)
    return f"Relative tolerances: {', '.join(f'{name} {value}' for name, value in asked)}; data exact."


def difference_rows(parity: Parity) -> tuple[DifferenceRow, ...]:
    """Every value that differs at all: what disagrees, what could not be compared, the rest; widest first."""
    return tuple(map(difference_row, sorted(_told(parity), key=_worst_first)))


def difference_row(each: Difference) -> DifferenceRow:
    """One value of both runs, in words."""
    return DifferenceRow(
        version=each.version,
        kind=each.kind,
        name=each.name,
        a=formatting.ABSENT if each.absent == "a" else _shown(each.a, each.b),
        b=formatting.ABSENT if each.absent == "b" else _shown(each.b, each.a),
        difference="" if each.difference is None else f"{each.difference:.1e}",
        tolerance="exact" if each.kind == "data" else f"{each.tolerance:g}",
        verdict=each.verdict,
    )


def differing(libraries: Iterable[Library]) -> tuple[Library, ...]:
    """Those that the two runs did not have in the same version."""
    return tuple(library for library in libraries if library.differs)


def _worst_first(each: Difference) -> tuple[int, float]:
    known = each.difference is not None and each.tolerance > 0
    off = (each.difference or 0.0) / each.tolerance if known else math.inf
    return VERDICTS_WORST_FIRST.index(each.verdict), -off


def _told(parity: Parity) -> list[Difference]:
    return [each for each in parity.differences if each.difference or each.verdict is not Verdict.PASS]


def _shown(value: Measured | str, other: Measured | str) -> str:
    if not isinstance(value, str):
        return formatting.number(value)
    return value if len(value) <= _LONG else _cut(value, str(other))


def _cut(text: str, other: str) -> str:
    """A long text, from the first item of its list on that the other text does not have there."""
    items = text.split(", ")
    alike = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(items, other.split(", "), strict=False))
    )
    shown = ", ".join(items[min(alike, len(items) - 1) :])
    return ("…" if alike else "") + (shown if len(shown) <= _LONG else f"{shown[:_LONG]}…")
