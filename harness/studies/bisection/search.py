"""The version at which a bound began to fail, found with few looks: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.results import BoundResult
from harness.scenario.model import Scenario, Version
from harness.studies.bisection.question import Question

MONOTONE = (
    "Assumed: once the bound fails it goes on failing. Versions that were not trained may say otherwise."
)


class NotProvenError(Exception):
    """A version of which can't be told whether the bound holds there."""


@dataclass(frozen=True)
class Found:
    """Two neighbours, the one at which all was well and the one at which it no longer was."""

    good: str
    bad: str


@dataclass(frozen=True)
class NotFound:
    """Why there is no first version that fails."""

    reason: str


@dataclass(frozen=True)
class Look:
    """A version that was looked at, and the bounds that were held against it."""

    version: str
    bounds: tuple[BoundResult, ...]


@dataclass(frozen=True)
class Searched:
    """What came of a search."""

    question: Question | None
    """None where no bound was found that fails."""
    answer: Found | NotFound
    candidates: tuple[str, ...]
    """The versions that were searched, in order."""
    looks: tuple[Look, ...]
    trainings: int = 0
    """How many models were trained for it."""
    runs: int = 0


@dataclass(frozen=True)
class Bisected:
    """A search, and what it was about."""

    scenario: Scenario
    searched: Searched
    place: str
    """File and line of the version that was found; the file where there is none."""


def first_failing(names: Sequence[str], fails: Callable[[str], bool]) -> Found | NotFound:
    """The first version that fails, where all before it hold and all from it on fail.

    Looks at the last, the first, and then at no more than log2 of the versions in between.

    Args:
        names: The versions, in order.
        fails: Whether the bound fails at a version; this is what costs a training.
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
    """The steps after the version that holds, up to the one that fails: several where some train no model."""
    start, end = scenario.index_of(found.good) + 1, scenario.index_of(found.bad) + 1
    return scenario.versions[start:end]


def step_of(version: Version) -> dict[str, Any]:
    """A version as the file says it, without what is expected of it."""
    said: dict[str, Any] = version.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"expect"}
    )
    return said
