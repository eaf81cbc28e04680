"""Rows that a step adds: their source, their selection and their changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from harness.errors import Location, Problem, did_you_mean
from harness.scenario.model_base import Share, Value
from harness.scenario.row_source import Source
from harness.scenario.step_base import Step, StepContext, check_assignments, describe_condition
from harness.scenario.text_checks import check_not_blank, find_repeated


@dataclass(frozen=True)
class NeededColumn:
    """A column that a step's rows must have."""

    name: str
    purpose: str
    """What the step needs it for, such as ``to sample the rows by``."""
    at: Location
    """Location below the step; empty if the step does not mention the column."""
    before_set: bool = False
    """Whether the source must have it: ``set`` comes too late to add it."""


class Rows(Step):
    """A step with rows: those of the table's source, unless it names others.

    The rows are first selected (``where``, then ``sample``), then changed (``set``, then ``shuffle``).
    """

    may_be_empty: ClassVar[bool] = True
    column_keys: ClassVar[tuple[str, ...]] = ("from", "rows", "set")
    adds_whole_rows: ClassVar[bool] = True
    """Whether each of the rows becomes a row of the table, so that it needs the table's key."""

    source: Annotated[Source | None, Field(alias="from")] = None
    """Another source, which may have other columns."""
    rows: Annotated[tuple[dict[str, Value | None], ...], Field(min_length=1)] | None = None
    """Rows written in the scenario file, in the types of the table's columns."""
    where: str | None = None
    """A SQL condition on the source's columns (default: all rows)."""
    sample: Share | None = None
    """Share of the rows, chosen by a hash of the key and the seed: the same rows on every run."""
    assign: Annotated[dict[str, str], Field(alias="set", default_factory=dict)]
    """Column to SQL expression over the source's columns; a new column is added."""
    shuffle: str | None = None
    """A column whose values are shuffled among these rows, by the seed."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    @property
    def can_add_columns(self) -> bool:
        """Whether new columns of the rows are added to the table."""
        return False

    def describe(self) -> str:
        """Return what the step does in a few words, such as ``append where day = 1``."""
        changes = (
            f"{self.sample:.3g} of them" if self.sample is not None else "",
            f"with {', '.join(self.assign)} set" if self.assign else "",
            f"with {self.shuffle} shuffled" if self.shuffle else "",
        )
        action = f"{self.describe_action()}{describe_condition(self.where)}"
        return ", ".join([action, *(change for change in changes if change)])

    def describe_action(self) -> str:
        """Return what the step does with its rows."""
        return self.kind

    def describe_origin(self, source: Source | None, uri: str | None) -> str:
        """Return where the step's rows come from.

        Args:
            source: The table's own source.
            uri: URI of an existing table.
        """
        if self.rows is not None:
            return f"{len(self.rows)} row{'s' if len(self.rows) > 1 else ''} written out"
        own = self.source or source
        return super().describe_origin(source, uri) if own is None else own.describe()

    def may_add_column(self, name: str, source_columns: Collection[str] | None) -> bool:
        """Return whether the rows may have a column.

        Args:
            name: Name of the column, in lower case.
            source_columns: Columns of the source of the rows, in lower case; ``None`` if unknown.
        """
        written = {each.lower() for row in self.rows or () for each in row}
        if name in written | {each.lower() for each in self.assign}:
            return True
        return self.rows is None and (source_columns is None or name in source_columns)

    def needed_columns(self, key: tuple[str, ...]) -> Iterator[NeededColumn]:
        """Yield the columns that the step needs its rows to have.

        Args:
            key: Columns that together identify a row of the table.
        """
        if self.sample is not None:
            for name in key:
                yield NeededColumn(name, "to sample the rows by", ("sample",), before_set=True)
        if self.shuffle is not None:
            yield NeededColumn(self.shuffle, "to shuffle its values", ("shuffle",))
            for name in key:
                yield NeededColumn(name, "to shuffle the rows by", ("shuffle",))

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the problems of the rows that don't depend on any file."""
        yield from self._origin_problems(context)
        yield from check_not_blank(self.where, "where", (*context.at, "where"))
        yield from check_assignments(self.assign, context, (*context.at, "set"))
        if self.rows is not None:
            yield from self._written_problems(self.rows, context)

    def _origin_problems(self, context: StepContext) -> Iterator[Problem]:
        if self.source is not None and self.rows is not None:
            message = f"version '{context.version}' has rows from both a source and the scenario file"
            yield Problem(f"{message}; remove 'from' or 'rows'.", (*context.at, "rows"))
        has_none = self.source is None and self.rows is None and context.source is None
        if has_none and context.requires_source:
            message = f"version '{context.version}' has no source for its rows"
            yield Problem(f"{message}; add 'from' or 'rows', or a 'source' to the table.", context.at)

    def _written_problems(
        self, rows: tuple[dict[str, Value | None], ...], context: StepContext
    ) -> Iterator[Problem]:
        for index, row in enumerate(rows):
            at: Location = (*context.at, "rows", index)
            if not row:
                yield Problem(f"version '{context.version}': row {index + 1} has no columns.", at)
            for _, name in find_repeated(row):
                message = f"version '{context.version}': row {index + 1} has the column '{name}' twice."
                yield Problem(message, (*at, name))
        if context.index == 0 and context.source is None and context.is_built:
            message = (
                f"version '{context.version}': rows in the scenario file take their types from the table or "
                "from its source, and neither exists yet; begin with rows of a source."
            )
            yield Problem(message, (*context.at, "rows"))
        written = [name for row in rows for name in row]
        for column in self.needed_columns(context.key):
            existing = written if column.before_set else [*written, *self.assign]
            if column.name.lower() not in [name.lower() for name in existing]:
                message = f"version '{context.version}' needs a column '{column.name}' {column.purpose}."
                yield Problem(message + did_you_mean(column.name, existing), (*context.at, *column.at))
