"""Rules on the champion, the deployed model, and on bounds that need it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.bounds.quantities import Number, list_numbers
from harness.bounds.specs import Scope, list_scopes
from harness.errors import Location, Problem
from harness.metrics import CHAMPION_METRICS
from harness.scenario.champion import COMPARED_METRICS, EXAMPLE, parse_model_reference
from harness.scenario.expectations import ADDED_ROWS, ALL_ROWS
from harness.scenario.model import Scenario


def check_champion(scenario: Scenario) -> Iterator[Problem]:
    """Yield every problem with the champion and with bounds that need it."""
    if scenario.champion is not None:
        try:
            parse_model_reference(scenario.champion)
        except ValueError as error:
            yield Problem(str(error), ("champion",))
    for scope in list_scopes(scenario):
        for number in list_numbers(scope.expect):
            yield from _check_number(number, scope)


def _check_number(number: Number, scope: Scope) -> Iterator[Problem]:
    at: Location = (*scope.at, *number.at)
    has_champion = scope.scenario.champion is not None
    if number.own_name in CHAMPION_METRICS and not has_champion:
        yield Problem(f"'{number.own_name}' needs a champion; add 'champion: {EXAMPLE}'.", at)
    for index, bound in enumerate(number.bounds):
        if bound.champion is None:
            continue
        where = (*at, index, "champion")
        if number.kind.name != "metric" or number.own_name not in COMPARED_METRICS:
            message = f"'{number.name}' can't be compared with the champion's; only these can"
            yield Problem(f"{message}: {', '.join(COMPARED_METRICS)}.", where)
        elif not has_champion:
            yield Problem(
                f"the bound on '{number.name}' compares with a champion, but the scenario names none; add "
                f"'champion: {EXAMPLE}'.",
                where,
            )
        elif bound.on not in (ALL_ROWS, ADDED_ROWS):
            yield Problem(
                "a metric on a segment can't be compared with the champion's; remove 'on' or 'champion'.",
                where,
            )
