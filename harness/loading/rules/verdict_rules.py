"""Rules on the expected verdict of a scenario and on what it publishes."""

from __future__ import annotations

from collections.abc import Iterator

from harness.bounds.specs import bound_specs
from harness.errors import Problem
from harness.scenario.model import Scenario
from harness.suggestions import did_you_mean

_FEW = 8
"""Maximum number of names that a message lists."""


def outcome_problems(scenario: Scenario) -> Iterator[Problem]:
    """Yield every problem with the expected verdict and with publishing."""
    if scenario.verdict == "fail" and not scenario.caught_by:
        message = "'verdict: fail' needs the bounds that must fail; list them under 'caught_by'."
        yield Problem(message, ("verdict",))
    if scenario.verdict == "pass" and scenario.caught_by:
        message = "'caught_by' lists bounds that must fail; add 'verdict: fail'."
        yield Problem(message, ("caught_by",))
    yield from _caught_by(scenario)
    written = scenario.publish.model_fields_set
    if not scenario.trained and "when" in written and scenario.publish.when != "never":
        message = "there is nothing to publish: no version is trained; remove 'when'."
        yield Problem(message, ("publish", "when"))


def _caught_by(scenario: Scenario) -> Iterator[Problem]:
    if not scenario.caught_by:
        return
    kinds: dict[str, dict[str, None]] = {}
    for spec in bound_specs(scenario):
        kinds.setdefault(spec.name, {})[spec.full_name] = None
    full_names = [full_name for of_name in kinds.values() for full_name in of_name]
    for index, name in enumerate(scenario.caught_by):
        at = ("caught_by", index)
        if name in scenario.caught_by[:index]:
            yield Problem(f"'{name}' is listed twice.", at)
        elif len(kinds.get(name, ())) > 1:
            listed = " or ".join(f"'{full_name}'" for full_name in kinds[name])
            yield Problem(f"'{name}' has several parts; list {listed}.", at)
        elif name not in kinds and name not in full_names:
            hint = did_you_mean(name, [*kinds, *full_names]) or _list_bounds(list(kinds))
            yield Problem(f"unknown bound '{name}'.{hint}", at)


def _list_bounds(names: list[str]) -> str:
    if not names:
        return " No bound of this scenario can fail."
    return f" Bounds that can fail: {', '.join(names[:_FEW])}{' ...' if len(names) > _FEW else ''}."
