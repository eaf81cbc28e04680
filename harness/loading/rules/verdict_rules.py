"""What holds of the verdict that a scenario must come to, and of what is published."""

from __future__ import annotations

from collections.abc import Iterator

from harness.bounds.specs import judged_at
from harness.errors import Problem
from harness.scenario.model import Scenario
from harness.suggestions import did_you_mean

_FEW = 8
"""Names that a message lists."""


def outcome_problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything that is wrong with what the scenario must come to."""
    if scenario.verdict == "fail" and not scenario.caught_by:
        message = "the scenario must fail, and no bound is named by which; list it under 'caught_by'."
        yield Problem(message, ("verdict",))
    if scenario.verdict == "pass" and scenario.caught_by:
        message = "'caught_by' names bounds that must fail; say 'verdict: fail', too."
        yield Problem(message, ("caught_by",))
    yield from _caught_by(scenario)
    said = scenario.publish.model_fields_set
    if not scenario.trained and "when" in said and scenario.publish.when != "never":
        message = "there is nothing to publish: no version is trained; leave 'when' out."
        yield Problem(message, ("publish", "when"))


def _caught_by(scenario: Scenario) -> Iterator[Problem]:
    judged = _judged(scenario)
    of_kinds = [f"{name}.{kind}" for name, kinds in judged.items() for kind in kinds]
    for index, name in enumerate(scenario.caught_by):
        at = ("caught_by", index)
        if name in scenario.caught_by[:index]:
            yield Problem(f"'{name}' is named twice.", at)
        elif len(judged.get(name, ())) > 1:
            kinds = " or ".join(f"'{name}.{kind}'" for kind in judged[name])
            yield Problem(f"'{name}' has several parts; name {kinds}.", at)
        elif name not in judged and name not in of_kinds:
            hint = did_you_mean(name, [*judged, *of_kinds]) or _listed(list(judged))
            yield Problem(f"there is no bound '{name}' that could fail.{hint}", at)


def _listed(names: list[str]) -> str:
    if not names:
        return " The scenario has none."
    return f" There are: {', '.join(names[:_FEW])}{' ...' if len(names) > _FEW else ''}."


def _judged(scenario: Scenario) -> dict[str, list[str]]:
    """Every bound that is judged, as ``VERSION.METRIC``, with its kinds."""
    found: dict[str, list[str]] = {}
    for index, version in enumerate(scenario.versions):
        for name, kind in judged_at(scenario, index):
            kinds = found.setdefault(f"{version.name}.{name}", [])
            if kind not in kinds:
                kinds.append(kind)
    return found
