"""The faults of one proof: of the catalogue and of the scenario, for the columns that the model uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.errors import UsageError, did_you_mean
from harness.faults.catalogue import FAULTS, Change, Fault, Victim, describe
from harness.faults.statements import write_statement
from harness.results import VersionResult
from harness.scenario.column_types import is_date, is_number
from harness.scenario.model import Scenario
from harness.scenario.prove import OwnFault
from harness.studies.proving.matrix import FaultRow

_VARIED = 4
"""Number of bins that a number must fill to count as more than a flag."""


@dataclass(frozen=True)
class ChosenFault:
    """A fault to inject, with its dose."""

    name: str
    meaning: str
    dose: float
    is_required: bool
    fault: Fault
    victim: Victim

    def write_statement(self, seed: int) -> str:
        """Return the query for the added rows with the fault, without its dose.

        Args:
            seed: Decides which rows are hit.

        Raises:
            ImpossibleFaultError: The table can't have this fault.
        """
        return write_statement(self.fault.make(self.victim), self.victim.types, self.victim.key, seed)

    def make_row(self, **found: Any) -> FaultRow:
        """Return the fault's row of the matrix with what was found."""
        return FaultRow(
            fault=self.name, meaning=self.meaning, dose=self.dose, is_required=self.is_required, **found
        )


def find_faults(scenario: Scenario, names: Sequence[str]) -> list[Fault]:
    """Return faults by name, in the order of the catalogue and the scenario; all if no name is given.

    Raises:
        UsageError: A fault is unknown.
    """
    known = {**FAULTS, **dict(_list_own(scenario))}
    for name in names:
        if name not in known:
            raise UsageError(
                f"Unknown fault '{name}'.{did_you_mean(name, known)}", remedy=f"Known: {', '.join(known)}."
            )
    return [fault for fault in known.values() if not names or fault.name in names]


def choose_faults(
    scenario: Scenario, victim: Victim, names: Sequence[str], dose: float | None
) -> list[ChosenFault]:
    """Return the faults to inject.

    Args:
        scenario: The scenario with its custom faults, requirements and dose.
        victim: The columns that are hit.
        names: The faults that the user asks for; all if there are none.
        dose: The share of rows that the user asks for.

    Raises:
        UsageError: A fault is unknown, or a custom one sets a column that the table doesn't have.
    """
    prove = scenario.prove
    for name, own in prove.faults.items():
        _require_columns(name, own, victim)
    return [
        ChosenFault(
            name=fault.name,
            meaning=describe(fault, victim),
            dose=dose or prove.dose or fault.dose,
            is_required=fault.name in prove.require,
            fault=fault,
            victim=victim,
        )
        for fault in find_faults(scenario, names)
    ]


def _require_columns(name: str, own: OwnFault, victim: Victim) -> None:
    for column in own.values:
        if _find_column(column, victim) is None:
            hint = did_you_mean(column, victim.types)
            message = f"The fault '{name}' sets '{column}', which is not a column of the table.{hint}"
            raise UsageError(message, remedy=f"Its columns: {', '.join(victim.types)}.")


def _find_column(name: str, victim: Victim) -> str | None:
    """Return a column's name as the table writes it: Spark ignores its case."""
    return next((column for column in victim.types if column.lower() == name.lower()), None)


def _list_own(scenario: Scenario) -> Iterator[tuple[str, Fault]]:
    for name, own in scenario.prove.faults.items():
        changed = ", ".join(f"{column} = {value}" for column, value in own.values.items())
        where = "" if own.where == "true" else f" where {own.where}"
        meaning = f"{changed}{where}".replace("{", "{{").replace("}", "}}")
        yield name, Fault(name, meaning, partial(_make_own, own))


def _make_own(own: OwnFault, victim: Victim) -> Change:
    values = {_find_column(column, victim) or column: value for column, value in own.values.items()}
    return Change(values=values, where=own.where)


def find_victim(scenario: Scenario, version: VersionResult) -> Victim:
    """Return the columns that faults hit: those of the most important features first.

    Features that are derived have no column of their own; the columns that they come from do. Numbers with a
    few values, such as flags, come last: they have no unit that could be wrong.
    """
    types = version.data_schema
    pipeline = scenario.pipeline
    used = [*pipeline.features, *pipeline.categorical]
    formulas = " ".join(pipeline.derive.values()).lower()
    lower = {name.lower(): name for name in types}
    by_name = [lower[name.lower()] for name in used if name.lower() in lower]
    by_formula = [name for name in types if name.lower() in formulas and name not in by_name]
    fixed = {name.lower() for name in (*scenario.table.key, pipeline.label.column)}
    columns = [name for name in (*by_name, *by_formula) if name.lower() not in fixed]
    weight = {name: each.mean_abs_per_sd for name, each in version.explanations.items()}

    def importance(name: str) -> float:
        return -max((value for slot, value in weight.items() if slot.partition("=")[0] == name), default=0.0)

    numbers = [name for name in columns if is_number(types[name])]
    filled = {name: sum(each.rows > 0 for each in version.distributions.get(name, ())) for name in numbers}
    texts = [name for name in columns if types[name] == "string"]
    dates = [name for name, kind in types.items() if is_date(kind)]
    return Victim(
        types=types,
        key=scenario.table.key,
        label=pipeline.label,
        numbers=tuple(sorted(numbers, key=lambda name: (filled[name] < _VARIED, importance(name)))),
        texts=tuple(sorted(texts, key=importance)),
        dates=tuple(sorted(dates, key=lambda name: not _moves_on(version, name))),
    )


def _moves_on(version: VersionResult, name: str) -> bool:
    if version.added is None:
        return False
    before, added = version.added.before.dates.get(name), version.added.added.dates.get(name)
    return before is not None and added is not None and added[0] > before[1]
