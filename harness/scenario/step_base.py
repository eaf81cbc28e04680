"""The base class of all kinds of steps, with what the rest of the harness uses of a step."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.errors import Location, Problem
from harness.scenario.model_base import ScenarioPart
from harness.scenario.row_source import Source
from harness.scenario.text_checks import check_not_blank, find_repeated, is_reserved

Commits = Literal[0, 1, 2, "any"]
"""How many Delta commits a step makes; ``any`` if that depends on the data."""


@dataclass(frozen=True)
class StepContext:
    """The facts that the rules of a step depend on besides the step itself."""

    version: str
    """Name of the version that the step creates."""
    index: int
    """Index of this version."""
    at: Location
    """Location of the step in the scenario file."""
    is_trained: bool
    """Whether a model is trained on this version."""
    names: tuple[str, ...]
    """Names of all versions, in order."""
    key: tuple[str, ...]
    """Columns that together identify a row of the table."""
    source: Source | None
    """The table's own source."""
    is_built: bool
    """Whether the scenario builds the table; otherwise it reads an existing one."""
    requires_source: bool
    """Whether a step without any rows is reported; not if the table as a whole lacks a source."""
    may_have_partitions: bool
    """Whether an earlier step may have made a partitioned table."""


class Step(ScenarioPart):
    """One change of a Delta table; each kind of step is a class."""

    kind: ClassVar[str]
    """The step's key in the scenario file."""
    commits: ClassVar[Commits] = "any"
    """How many Delta commits the step makes, unless the version specifies it."""
    possible_commits: ClassVar[tuple[int, ...] | None] = None
    """Numbers of commits that a version may specify; ``None``: any."""
    operation: ClassVar[str | None] = None
    """Name of the commit's operation in the Delta log; ``None``: not known beforehand."""
    makes_table: ClassVar[bool] = False
    """Whether a scenario can begin with this step."""
    makes_partitions: ClassVar[bool] = False
    """Whether the table may be partitioned after this step."""
    changes_table: ClassVar[bool] = True
    """Whether the step is for a table that the scenario builds; otherwise it is for an existing one."""
    may_be_empty: ClassVar[bool] = False
    """Whether the step's key may be written without a value."""
    column_keys: ClassVar[tuple[str, ...]] = ()
    """Optional keys that decide which columns the table has after the step."""

    def describe(self) -> str:
        """Return what the step does in a few words, such as ``append where day = 1``."""
        values = self.model_dump(by_alias=True, exclude_defaults=True)
        options = ", ".join(f"{key} {value}" for key, value in values.items())
        return f"{self.kind} ({options})" if options else self.kind

    def describe_origin(self, source: Source | None, uri: str | None) -> str:
        """Return where the step's rows come from; ``-`` if it adds no rows.

        Args:
            source: The table's own source.
            uri: URI of an existing table.
        """
        del source, uri
        return "-"

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems that don't depend on any data."""
        del context
        yield from ()

    def predict_commits(self, latest: int | None, versions: Mapping[str, int | None]) -> int | None:
        """Return how many Delta commits the step will make; ``None`` if that depends on the data.

        Args:
            latest: The Delta version before the step; ``None``: not known.
            versions: Delta versions of the earlier versions, by name; ``None``: not known.
        """
        del latest, versions
        return None if self.commits == "any" else self.commits

    def may_add_column(self, name: str, source_columns: Collection[str] | None) -> bool:
        """Return whether the table may have a column because of this step.

        Args:
            name: Name of the column, in lower case.
            source_columns: Columns of the source of the step's rows, in lower case; ``None``: not known.
        """
        del name, source_columns
        return False


def check_assignments(assign: Mapping[str, str], context: StepContext, at: Location) -> Iterator[Problem]:
    """Report problems of columns that are set to expressions.

    Args:
        assign: Column to SQL expression.
        context: The scenario around the step.
        at: Location of the mapping.
    """
    for _, name in find_repeated(assign):
        yield Problem(f"version '{context.version}': column '{name}' is set twice.", (*at, name))
    for name, expression in assign.items():
        yield from check_not_blank(expression, name, (*at, name))
        yield from check_new_name(name, context, (*at, name))


def check_new_name(name: str, context: StepContext, at: Location) -> Iterator[Problem]:
    """Report a new column with a name that the models need."""
    if context.is_trained and is_reserved(name):
        yield Problem(f"'{name}' is reserved for the models; choose another name.", at)


def describe_condition(condition: str | None) -> str:
    """Return a condition as the end of a description."""
    return f" where {condition}" if condition else ""
