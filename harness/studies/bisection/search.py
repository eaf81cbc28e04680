"""The search for the version at which a bound began to fail, with few trainings: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.results import BoundResult
from harness.scenario.model import Scenario, Version
from harness.studies.bisection.question import Question

MONOTONE = (
    "Assumption: once the bound fails, it fails at every later version. "
    "Versions that were not trained may differ."
)


class NotProvenError(Exception):
    """It is not proven whether the bound holds at a version."""


@dataclass(frozen=True)
class Found:
    """Two versions in a row: the last at which the bound holds, and the first at which it fails."""

    good: str
    bad: str


@dataclass(frozen=True)
class NotFound:
    """The reason why no first failing version was found."""

    reason: str


@dataclass(frozen=True)
class Check:
    """A checked version, with its judged bounds."""

    version: str
    bounds: tuple[BoundResult, ...]


@dataclass(frozen=True)
class SearchResult:
    """The result of a search."""

    question: Question | None
    """None if no failing bound was found."""
    answer: Found | NotFound
    candidates: tuple[str, ...]
    """The versions that were searched, in order."""
    checks: tuple[Check, ...]
    trainings: int = 0
    """How many models the search trained."""
    runs: int = 0


@dataclass(frozen=True)
class Bisection:
    """A search with its scenario."""

    scenario: Scenario
    result: SearchResult
    location: str
    """File and line of the first failing version; only the file if none was found."""


def first_failing(names: Sequence[str], fails: Callable[[str], bool]) -> Found | NotFound:
    """Find the first version that fails, if all before it hold and all from it on fail.

    Checks the last version, the first, and then no more than log2 of the versions in between.

    Args:
        names: The versions, in order.
        fails: Whether the bound fails at a version; each call costs a training.
    """
    if not fails(names[-1]):
        return NotFound(f"the bound holds at the last version, {names[-1]}")
    if len(names) == 1 or fails(names[0]):
        return NotFound(f"the bound fails already at the first version, {names[0]}")
    good, bad = 0, len(names) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if fails(names[middle]):
            bad = middle
        else:
            good = middle
    return Found(names[good], names[bad])


def steps_between(scenario: Scenario, found: Found) -> tuple[Version, ...]:
    """Return the steps after the version that holds, up to the one that fails.

    There are several if no model is trained at some of them.

    Args:
        scenario: The searched scenario.
        found: The two versions.
    """
    start, end = scenario.index_of(found.good) + 1, scenario.index_of(found.bad) + 1
    return scenario.versions[start:end]


def step_of(version: Version) -> dict[str, Any]:
    """Return a version as the scenario file writes it, without its expectations."""
    step: dict[str, Any] = version.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"expect"}
    )
    return step
