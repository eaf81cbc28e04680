"""A table that the command line names: a scenario that builds its own is run at the versions of that one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import UsageError
from harness.loading.document import Document
from harness.loading.existing_table import absolute
from harness.plan import Plan
from harness.scenario.expectations import Expect
from harness.scenario.matrix import Combination, PlaceError
from harness.scenario.model import Scenario, Version
from harness.scenario.read_step import Read

TABLE_URI = "table.uri"
"""A plan's parameter, where the command line has named the table."""
_LATEST = "latest"
_ALONE = {"on", "tolerance"}
"""What of a bound says nothing by itself."""


@dataclass(frozen=True)
class GivenTable:
    """A table that is there already, and the versions of it to be read."""

    uri: str
    """A URI, or an absolute path."""
    versions: tuple[Read, ...]

    def instead_of(self, scenario: Scenario) -> Scenario:
        """The scenario on this table: what is expected of every version stays, and nothing else.

        A bound of ``every`` on the change since one of the scenario's own versions goes with them, and so do
        the places of a matrix that are in them.
        """
        table = {"uri": self.uri, "source": None, "versions": self.versions}
        own = {version.name for version in scenario.versions}
        there = scenario.model_copy(
            update={
                "table": scenario.table.model_copy(update=table),
                "versions": tuple(Version(name=read.name, read=read) for read in self.versions),
                "every": _without(scenario.every, own),
                "verdict": "pass",
                "caught_by": (),
                "matrix": {},
            }
        )
        matrix = {place: values for place, values in scenario.matrix.items() if _has(there, place, values)}
        return there.model_copy(update={"matrix": matrix})

    def instead_in(self, document: Document) -> Document:
        """The document without the places that do not count any more: no line of theirs is told."""
        marked = copy.deepcopy(document.marked)
        marked.pop("versions", None)
        return replace(document, marked=marked)

    def words(self, scenario: Scenario) -> str:
        """One line on what is read, and on what holds of it.

        Args:
            scenario: On this table.
        """
        names = ", ".join(read.name for read in self.versions)
        left_out = "what the scenario expects of its own versions is left out"
        holds = "nothing" if scenario.every == Expect() else "what it says under 'every'"
        return f"Table: {self.uri} at {names}. Of these, {holds} must hold; {left_out}."

    @property
    def parameters(self) -> dict[str, str]:
        """In which values a scenario differs from its file thereby: place to value, as text."""
        return {TABLE_URI: self.uri, "table.versions": ", ".join(read.name for read in self.versions)}


def given_in(plan: Plan) -> GivenTable | None:
    """The table that the command line of a run has named; none where it has named none."""
    table = plan.scenario.table
    if TABLE_URI not in plan.parameters or table.uri is None or table.versions is None:
        return None
    return GivenTable(table.uri, table.versions)


def given_table(uri: str | None, versions: str | None) -> GivenTable | None:
    """The table that a command line names; none where it names none.

    Args:
        uri: Of the table, or its folder relative to the current one.
        versions: Numbers, times or ``latest``, with commas between; ``latest`` where it is ``None``.

    Raises:
        UsageError: Versions without a table, or what is none.
    """
    if uri is None:
        if versions is not None:
            raise UsageError(
                "--versions needs --table: it names versions of a table that is there already.",
                remedy="A scenario that builds its table has its versions in its file.",
            )
        return None
    if not uri.strip():
        raise UsageError("--table is empty.", remedy="Name a table's folder, or its URI.")
    try:
        place = absolute(uri, Path())
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"--table: can't look for {uri!r}: {error}.") from error
    reads = tuple(_read(text.strip()) for text in (_LATEST if versions is None else versions).split(","))
    names = [read.name for read in reads]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--versions names {name} twice.")
    return GivenTable(place, reads)


def _read(text: str) -> Read:
    try:
        # A number first: a time may be written in digits alone, too.
        return Read.model_validate(int(text) if text.isdecimal() else text)
    except ValidationError as error:
        raise UsageError(
            f"--versions: {text!r} is no version of a table.",
            remedy="Name numbers, times or latest, with commas between: --versions 12,2026-03-01,latest",
        ) from error


def _has(scenario: Scenario, place: str, values: Sequence[object]) -> bool:
    """Whether a place of a matrix is still there."""
    try:
        Combination({place: values[0]}).applied_to(scenario)
    except (PlaceError, ValidationError):
        return False
    return not place.startswith("table.")


def _without(every: Expect, names: set[str]) -> Expect:
    return Expect.model_validate(_cleared(every.model_dump(by_alias=True, exclude_unset=True), names))


def _cleared(value: Any, names: set[str]) -> Any:
    """The same without what is said since one of these versions, and without what is empty then."""
    if isinstance(value, dict):
        inner = {key: _cleared(each, names) for key, each in value.items() if not _since(each, names)}
        return {key: each for key, each in inner.items() if each not in ({}, [])}
    if isinstance(value, list | tuple):
        cleared = [_cleared(each, names) for each in value]
        return [each for each in cleared if not (isinstance(each, dict) and set(each) <= _ALONE)]
    return value


def _since(value: object, names: set[str]) -> bool:
    return isinstance(value, dict) and value.get("since") in names
