"""What the rules have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.errors import Location, Problem
from harness.scenario.model import Scenario, Version

MAKERS = ("append", "overwrite", "sql")
"""Steps that can make a table; of ``sql`` that depends on its statement."""


def repeated(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The names that stood before, with their places; Spark and file systems may not tell letter cases."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name.lower() in seen:
            yield index, name
        seen.add(name.lower())


def place_of_version(scenario: Scenario, index: int) -> Location:
    """Where the file names a version."""
    return ("table", "versions", index) if lists_reads(scenario) else ("versions", index)


def lists_reads(scenario: Scenario) -> bool:
    """Whether the versions are those that the table lists."""
    listed = scenario.table.versions
    if listed is None:
        return False
    return [(version.name, version.read) for version in scenario.versions] == [
        (read.name, read) for read in listed
    ]


def steps_of(scenario: Scenario) -> Iterator[tuple[Location, Version]]:
    """Every version that has one step, with that step's place."""
    for index, version in enumerate(scenario.versions):
        if len(version.steps) == 1:
            yield ("versions", index, version.kind), version


def blank(text: str | None, key: str, location: Location) -> Iterator[Problem]:
    """An expression of SQL, or another text, that is there and says nothing."""
    if text is not None and not text.strip():
        inside = ".".join(str(part) for part in location[:-1])
        yield Problem(f"'{key}' in '{inside}' is blank.", location)
