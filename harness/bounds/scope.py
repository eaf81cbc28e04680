"""Whose expectations are looked at: one version's own, or those of every version that is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import Location
from harness.scenario.expectations import FIRST, PREVIOUS, Expect
from harness.scenario.model import Scenario, Version
from harness.suggestions import did_you_mean


@dataclass(frozen=True)
class Scope:
    """Some expectations, and the versions that they hold for."""

    scenario: Scenario
    expect: Expect
    at: Location
    holds_for: tuple[int, ...]
    """Places of the versions."""
    index: int | None = None
    """The version's place, of its own expectations."""

    @property
    def own(self) -> Version | None:
        """The version whose own expectations these are."""
        return None if self.index is None else self.scenario.versions[self.index]

    @property
    def is_of_models(self) -> bool:
        """Whether what is measured of models can be expected."""
        own = self.own
        return own is None or own.is_trained

    def unknown(self, since: str, *, of_model: bool) -> str | None:
        """Why nothing can be compared with a version; nothing where it can.

        Args:
            since: The version's name, ``previous`` or ``first``.
            of_model: Whether it is a number that only a version that is trained has.
        """
        if since in (PREVIOUS, FIRST):
            return None if self._has_earlier() else "this is the first version, and has none before it."
        reason = not_earlier(since, self.scenario, self._last())
        if reason is not None:
            if self.index is None and since == self.scenario.versions[self._last()].name:
                return f"no version that is trained comes after '{since}'."
            return reason
        named = self.scenario.versions[self.scenario.index_of(since)]
        return f"version '{since}' is not trained." if of_model and not named.is_trained else None

    def compared_with_first(self, since: str) -> Version | None:
        """A version that is compared with the first one of all, where there is one."""
        compared = (index for index in self.holds_for if self._compared_with(since, index) == 0)
        return next((self.scenario.versions[index] for index in compared), None)

    def _last(self) -> int:
        if self.index is not None:
            return self.index
        return max(self.holds_for, default=len(self.scenario.versions) - 1)

    def _has_earlier(self) -> bool:
        """Whether there is a version before, among those that ``previous`` and ``first`` mean."""
        return self.index is None or self._compared_with(PREVIOUS, self.index) is not None

    def _compared_with(self, since: str, index: int) -> int | None:
        """The place of the version that one is compared with; none where nothing is compared there."""
        versions = self.scenario.versions
        if since not in (PREVIOUS, FIRST):
            other = self.scenario.index_of(since)
            return other if other < index else None
        peers = [
            place for place, each in enumerate(versions) if each.is_trained or not versions[index].is_trained
        ]
        position = peers.index(index)
        if position == 0:
            return None
        return peers[0] if since == FIRST else peers[position - 1]


def scopes(scenario: Scenario) -> Iterator[Scope]:
    """Of each version, then of every version."""
    for index, version in enumerate(scenario.versions):
        yield Scope(scenario, version.expect, ("versions", index, "expect"), (index,), index)
    trained = tuple(index for index, version in enumerate(scenario.versions) if version.is_trained)
    yield Scope(scenario, scenario.every, ("every",), trained)


def not_earlier(name: str, scenario: Scenario, index: int) -> str | None:
    """Why a name is none of a version before one; nothing where it is.

    Args:
        name: The name.
        scenario: Has the versions.
        index: The place of the one that speaks of it.
    """
    names = [version.name for version in scenario.versions]
    if name in names[:index]:
        return None
    if name in names:
        return f"version '{name}' is not earlier than this one."
    return f"there is no version '{name}'.{did_you_mean(name, names[:index])}"
