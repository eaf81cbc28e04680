"""Rules on the faults that a scenario's bounds must catch."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import Problem, did_you_mean
from harness.faults.catalogue import FAULTS
from harness.scenario.model import Scenario
from harness.scenario.prove import OwnFault
from harness.scenario.text_checks import find_repeated


def check_prove(scenario: Scenario) -> Iterator[Problem]:
    """Yield every problem with the required faults and the custom ones."""
    prove = scenario.prove
    known = [*FAULTS, *prove.faults]
    for index, name in find_repeated(prove.require):
        yield Problem(f"the fault '{name}' is listed twice.", ("prove", "require", index))
    for index, name in enumerate(prove.require):
        if name not in known:
            message = f"unknown fault '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}."
            yield Problem(message, ("prove", "require", index))
    for name, fault in prove.faults.items():
        yield from _check_own(scenario, name, fault)
    names = [version.name for version in scenario.versions if version.is_trained]
    if (prove.require or prove.faults) and len(names) < 2:  # noqa: PLR2004 - a version and one before it
        message = (
            "faults are injected into the rows that a trained version adds to an earlier one, but there is "
        )
        yield Problem(f"{message}none; remove 'prove', or add a trained version.", ("prove",))


def _check_own(scenario: Scenario, name: str, fault: OwnFault) -> Iterator[Problem]:
    at = ("prove", "faults", name)
    if name in FAULTS:
        yield Problem(f"'{name}' is a built-in fault; choose another name.", at)
    key = {each.lower() for each in scenario.table.key}
    for column, value in fault.values.items():
        if column.lower() in key:
            message = f"the fault '{name}' sets '{column}', but a fault can't change a column of the key."
            yield Problem(message, (*at, "set", column))
        if not value.strip():
            yield Problem(
                f"the fault '{name}' has no expression for '{column}'; write SQL, such as NULL.",
                (*at, "set", column),
            )
    if not fault.where.strip():
        yield Problem(f"the fault '{name}' has an empty condition; remove 'where'.", (*at, "where"))
