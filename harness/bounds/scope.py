"""The versions that expectations apply to, and the earlier versions that they compare with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import Location
from harness.scenario.expectations import FIRST, PREVIOUS, Expect
from harness.scenario.model import Scenario, Version
from harness.scenario.text_checks import explain_not_earlier


@dataclass(frozen=True)
class Scope:
    """Expectations of one version or of every trained version, and the versions that they apply to."""

    scenario: Scenario
    expect: Expect
    at: Location
    applies_to: tuple[int, ...]
    """Indexes of these versions."""
    index: int | None = None
    """Index of the version that sets the expectations; None for those of every trained version."""

    @property
    def version(self) -> Version | None:
        """The version that sets the expectations; None for those of every trained version."""
        return None if self.index is None else self.scenario.versions[self.index]

    @property
    def is_of_models(self) -> bool:
        """Whether the expectations can include numbers that only a model has."""
        return self.version is None or self.version.is_trained

    def explain_incomparable(self, since: str, *, of_model: bool) -> str | None:
        """Explain why numbers can't be compared with those of a version; None if they can.

        Args:
            since: The version's name, ``previous`` or ``first``.
            of_model: Whether the compared number is one that only a trained version has.
        """
        if since in (PREVIOUS, FIRST):
            return None if self._has_earlier() else "this is the first version."
        names = [version.name for version in self.scenario.versions]
        reason = explain_not_earlier(since, names, self._last_index())
        if reason is not None:
            if self.index is None and since == self.scenario.versions[self._last_index()].name:
                return f"no trained version comes after '{since}'."
            return reason
        named = self.scenario.versions[self.scenario.index_of(since)]
        return f"version '{since}' is not trained." if of_model and not named.is_trained else None

    def find_compared_with_first(self, since: str) -> Version | None:
        """Return a version that is compared with the scenario's first version, if there is one."""
        compared = (index for index in self.applies_to if self._find_reference(since, index) == 0)
        return next((self.scenario.versions[index] for index in compared), None)

    def _last_index(self) -> int:
        if self.index is not None:
            return self.index
        return max(self.applies_to, default=len(self.scenario.versions) - 1)

    def _has_earlier(self) -> bool:
        """Whether ``previous`` and ``first`` name a version."""
        return self.index is None or self._find_reference(PREVIOUS, self.index) is not None

    def _find_reference(self, since: str, index: int) -> int | None:
        name = resolve_reference(self.scenario, since, index)
        return None if name is None else self.scenario.index_of(name)


def list_scopes(scenario: Scenario) -> Iterator[Scope]:
    """Yield the expectations of each version, then those of every trained version."""
    for index, version in enumerate(scenario.versions):
        yield Scope(scenario, version.expect, ("versions", index, "expect"), (index,), index)
    trained = tuple(index for index, version in enumerate(scenario.versions) if version.is_trained)
    yield Scope(scenario, scenario.every, ("every",), trained)


def resolve_reference(scenario: Scenario, since: str, index: int) -> str | None:
    """Return the name of the version that a version is compared with; None if nothing is compared.

    Args:
        scenario: The scenario with the versions.
        since: A version's name; or ``previous`` or ``first``, which for a trained version mean trained ones.
        index: Index of the version that is compared.
    """
    versions = scenario.versions
    if since not in (PREVIOUS, FIRST):
        return None if any(each.name == since for each in versions[index:]) else since
    of_models = versions[index].is_trained
    earlier = [each.name for each in versions[:index] if each.is_trained or not of_models]
    if not earlier:
        return None
    return earlier[0] if since == FIRST else earlier[-1]
