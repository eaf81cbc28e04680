"""Which Delta version each step leads to, as far as that can be told without looking at any data."""

from __future__ import annotations

from dataclasses import dataclass

from harness.scenario.model import Scenario, Version


@dataclass(frozen=True)
class Prediction:
    """What is known beforehand of one step."""

    name: str
    commits: int | None
    """Delta commits that the step makes; ``None`` where that depends on the data."""
    version: int | None
    """The table's version after the step; ``None`` where that depends on the data, here or before."""


def predict(scenario: Scenario) -> tuple[Prediction, ...]:
    """A prediction for each of the scenario's versions, in order.

    A table that is built begins with version 0, the first commit's. Of one that is there already, a version
    that is named by its number is known, and nothing is committed.
    """
    found: dict[str, Prediction] = {}
    latest: int | None = -1
    for version in scenario.versions:
        if version.read is not None:
            number = version.read.version
            found[version.name] = Prediction(version.name, 0, number if isinstance(number, int) else None)
            continue
        commits = _commits(version, latest, found)
        latest = None if latest is None or commits is None else latest + commits
        found[version.name] = Prediction(version.name, commits, latest)
    return tuple(found.values())


def _commits(version: Version, latest: int | None, earlier: dict[str, Prediction]) -> int | None:
    declared = version.declared_commits
    if declared != "any":
        return declared
    if version.restore is not None and version.commits is None and latest is not None:
        target = earlier.get(version.restore.to)
        if target is not None and target.version is not None:
            # Delta restores to the version that the table is at without a commit.
            return int(target.version != latest)
    return None
