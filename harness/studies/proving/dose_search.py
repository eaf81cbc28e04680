"""The search for the smallest dose of a fault that is caught: bisection on a logarithmic scale."""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST = 0.01
"""Share of the rows below which no dose is tried."""
_PRECISION = 2.0
"""The search ends as soon as the doses around the smallest one differ by this factor."""


@dataclass
class DoseSearch:
    """A search that starts from a dose that is caught; larger doses are assumed to be caught as well."""

    caught: float
    """The smallest dose that was caught so far."""
    missed: float = 0.0
    """The largest dose that was missed so far."""

    @property
    def next_dose(self) -> float | None:
        """The dose to try; ``None`` if the search has ended."""
        if not self.missed:
            return SMALLEST if self.caught > SMALLEST else None
        return (self.caught * self.missed) ** 0.5 if self.caught / self.missed > _PRECISION else None

    def record(self, *, is_caught: bool) -> None:
        """Record the outcome of the dose that was tried."""
        tried = self.next_dose
        if tried is None:
            raise ValueError("the search has ended")
        if is_caught:
            self.caught = tried
        else:
            self.missed = tried
