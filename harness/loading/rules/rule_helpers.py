"""Helpers of rules about versions: their locations in the file, and those with one step."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Location
from harness.scenario.model import Scenario, Version


def location_of_version(scenario: Scenario, index: int) -> Location:
    """Return the location of a version in the file."""
    return ("table", "versions", index) if lists_reads(scenario) else ("versions", index)


def lists_reads(scenario: Scenario) -> bool:
    """Return whether the versions are those that the table lists."""
    listed = scenario.table.versions
    if listed is None:
        return False
    return [(version.name, version.read) for version in scenario.versions] == [
        (read.name, read) for read in listed
    ]


def versions_with_step(scenario: Scenario) -> Iterator[tuple[int, Version]]:
    """Yield every version that has exactly one step, with its index."""
    for index, version in enumerate(scenario.versions):
        if len(version.steps) == 1:
            yield index, version
