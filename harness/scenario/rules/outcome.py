"""What holds of the verdict that a scenario must come to, and of what is published."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Problem
from harness.metrics import ADDED
from harness.scenario.expect import Bound, Expect, Explanations
from harness.scenario.model import Scenario
from harness.scenario.rules.numbers import numbers
from harness.scenario.rules.scope import Scope
from harness.scenario.suggest import did_you_mean

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
        expect = version.expect.over(scenario.every) if version.is_trained else version.expect
        scope = Scope(scenario, expect, (), (index,), index)
        for name, kind in _of_version(scope):
            kinds = found.setdefault(f"{version.name}.{name}", [])
            if kind not in kinds:
                kinds.append(kind)
    return found


def _of_version(scope: Scope) -> Iterator[tuple[str, str]]:
    expect = scope.expect
    for number in numbers(expect):
        for bound in number.bounds:
            if bound.on == "all":
                yield from ((number.name, kind) for kind in _kinds(bound, scope))
            elif scope.index != 0:
                yield from ((f"{ADDED}{number.name}", kind) for kind in _kinds(bound, scope))
    yield from ((name, "is") for name in _texts(expect))
    yield from ((name, "min") for name in _agreements(expect.explanations or Explanations(), scope))


def _kinds(bound: Bound, scope: Scope) -> Iterator[str]:
    yield from (kind for kind in ("min", "max", "equals") if getattr(bound, kind) is not None)
    for said in (bound.change, bound.baseline):
        if said is not None and (said is not bound.change or _is_judged(bound.change.since, scope)):
            yield from (f"change_{part}" for part in ("min", "max") if getattr(said, part) is not None)


def _is_judged(since: str, scope: Scope) -> bool:
    return scope.unknown(since, of_model=False) is None


def _texts(expect: Expect) -> Iterator[str]:
    said = {"schema": expect.columns, "operation": expect.operation, "same_data_as": expect.same_data_as}
    return (name for name, value in said.items() if value is not None)


def _agreements(expect: Explanations, scope: Scope) -> Iterator[str]:
    top = expect.top_k
    if top is not None and _is_judged(top.since, scope):
        yield f"top_{top.k}_overlap"
    for name in ("sign_agreement", "rank_correlation"):
        said = getattr(expect, name)
        if said is not None and _is_judged(said.since, scope):
            yield name
