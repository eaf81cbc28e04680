"""The kinds of steps that create a version of a Delta table, one class each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from harness.errors import Problem
from harness.scenario.column_types import check_type
from harness.scenario.model_base import Columns, Identifier, JsonSchema
from harness.scenario.read_step import Read
from harness.scenario.row_source import Source
from harness.scenario.rows import NeededColumn, Rows
from harness.scenario.step_base import (
    Commits,
    Step,
    StepContext,
    check_assignments,
    check_new_name,
    describe_condition,
)
from harness.scenario.text_checks import check_not_blank, explain_not_earlier, find_repeated

Assignments = Annotated[dict[str, str], Field(min_length=1)]
"""Column to SQL expression."""
TABLE = "{table}"
"""Stands for the table in a SQL statement."""


class Append(Rows):
    """A step that appends rows to the table."""

    kind: ClassVar[str] = "append"
    commits: ClassVar[Commits] = 1
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "WRITE"
    makes_table: ClassVar[bool] = True

    merge_schema: bool = False
    """Whether new columns of the rows are added to the table."""

    @property
    def can_add_columns(self) -> bool:
        """Whether new columns of the rows are added to the table."""
        return self.merge_schema


class Overwrite(Rows):
    """A step that replaces all rows, or those that meet a condition."""

    kind: ClassVar[str] = "overwrite"
    commits: ClassVar[Commits] = 1
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "WRITE"
    makes_table: ClassVar[bool] = True

    replace_where: str | None = None
    """A SQL condition: only rows that meet it are replaced, and the new rows must meet it."""
    overwrite_schema: bool = False
    """Whether the rows' columns replace the table's."""

    @property
    def can_add_columns(self) -> bool:
        """Whether new columns of the rows are added to the table."""
        return self.overwrite_schema

    def describe_action(self) -> str:
        """Return what the step does with its rows."""
        if self.replace_where is None:
            return self.kind
        return f"overwrite rows where {self.replace_where}{', by rows' if self.where else ''}"

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        yield from super().problems(context)
        yield from check_not_blank(self.replace_where, "replace_where", (*context.at, "replace_where"))
        if self.replace_where is not None and self.overwrite_schema:
            message = f"version '{context.version}' replaces only some rows, so it can't replace the columns"
            yield Problem(f"{message}; remove 'overwrite_schema'.", (*context.at, "overwrite_schema"))


class Merge(Rows):
    """A step that merges rows into the table, by their key."""

    kind: ClassVar[str] = "merge"
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "MERGE"
    list_keys: ClassVar[tuple[str, ...]] = ("on",)
    column_keys: ClassVar[tuple[str, ...]] = (*Rows.column_keys, "on")
    adds_whole_rows: ClassVar[bool] = False

    on: Columns | None = None
    """Columns by which source rows are matched to table rows (default: the table's key)."""
    when_matched: Literal["update", "delete", "ignore"] = "update"
    when_not_matched: Literal["insert", "ignore"] = "insert"
    when_not_matched_by_source: Literal["delete", "ignore"] = "ignore"
    merge_schema: bool = False
    """Whether new columns of the rows are added to the table."""

    @property
    def can_add_columns(self) -> bool:
        """Whether new columns of the rows are added to the table."""
        return self.merge_schema

    def describe_action(self) -> str:
        """Return what the step does with its rows."""
        actions = (
            ("matched", self.when_matched),
            ("new", self.when_not_matched),
            ("missing", self.when_not_matched_by_source),
        )
        return f"merge ({', '.join(f'{rows}: {action}' for rows, action in actions if action != 'ignore')})"

    def needed_columns(self, key: tuple[str, ...]) -> Iterator[NeededColumn]:
        """Yield the columns that the step needs its rows to have."""
        yield from super().needed_columns(key)
        for name in self.on or key:
            yield NeededColumn(name, "to merge the rows by", ("on",) if self.on else ())

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        yield from super().problems(context)
        for index, name in find_repeated(self.on or ()):
            yield Problem(f"column '{name}' is listed twice.", (*context.at, "on", index))
        actions = (self.when_matched, self.when_not_matched, self.when_not_matched_by_source)
        if set(actions) == {"ignore"}:
            message = f"version '{context.version}': a merge that ignores all rows does nothing"
            remedy = "set when_matched, when_not_matched or when_not_matched_by_source."
            yield Problem(f"{message}; {remedy}", context.at)


class Update(Step):
    """A step that changes rows in place."""

    kind: ClassVar[str] = "update"
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "UPDATE"

    where: str | None = None
    assign: Annotated[Assignments, Field(alias="set")]

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    def describe(self) -> str:
        """Return what the step does in a few words."""
        changes = ", ".join(f"{name} = {expression}" for name, expression in self.assign.items())
        return f"update {changes}{describe_condition(self.where)}"

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        yield from check_not_blank(self.where, "where", (*context.at, "where"))
        yield from check_assignments(self.assign, context, (*context.at, "set"))


class Delete(Step):
    """A step that deletes the rows that meet a condition."""

    kind: ClassVar[str] = "delete"
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "DELETE"
    text_key: ClassVar[str | None] = "where"
    form_hint: ClassVar[str] = "must be a SQL condition"

    where: str

    def describe(self) -> str:
        """Return what the step does in a few words."""
        return f"delete{describe_condition(self.where)}"

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        yield from check_not_blank(self.where, "delete", context.at)


class AddColumns(Step):
    """A step that adds columns, which are null in all existing rows."""

    kind: ClassVar[str] = "add_columns"
    commits: ClassVar[Commits] = 1
    possible_commits: ClassVar[tuple[int, ...] | None] = (1,)
    operation: ClassVar[str | None] = "ADD COLUMNS"
    form_hint: ClassVar[str] = "must be a mapping of columns to their types"

    columns: Annotated[dict[Identifier, str], Field(min_length=1)]
    """Name to SQL type."""

    @model_validator(mode="before")
    @classmethod
    def _expand_columns(cls, value: object) -> object:
        is_short = isinstance(value, dict) and set(value) != {"columns"}
        return {"columns": value} if is_short else value

    @classmethod
    def short_forms(cls, mapping: JsonSchema) -> tuple[JsonSchema, ...]:
        """Return the schema of the columns, which may be written in place of the mapping."""
        return (mapping["properties"]["columns"],)

    def describe(self) -> str:
        """Return what the step does in a few words."""
        return "add " + ", ".join(f"{name} {data_type}" for name, data_type in self.columns.items())

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        for _, name in find_repeated(self.columns):
            yield Problem(
                f"version '{context.version}': column '{name}' is added twice.", (*context.at, name)
            )
        for name, data_type in self.columns.items():
            yield from check_type(name, data_type, (*context.at, name))
            yield from check_new_name(name, context, (*context.at, name))

    def may_add_column(self, name: str, source_columns: Collection[str] | None) -> bool:
        """Return whether the step adds a column."""
        del source_columns
        return name in {each.lower() for each in self.columns}


class Restore(Step):
    """A step that restores the table to an earlier version."""

    kind: ClassVar[str] = "restore"
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "RESTORE"
    text_key: ClassVar[str | None] = "to"
    form_hint: ClassVar[str] = "must be an earlier version's name"

    to: str
    """Name of the version."""

    def describe(self) -> str:
        """Return what the step does in a few words."""
        return f"restore to {self.to}"

    def describe_origin(self, source: Source | None, uri: str | None) -> str:
        """Return where the step's rows come from."""
        del source, uri
        return f"version {self.to}"

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        reason = explain_not_earlier(self.to, context.names, context.index)
        if reason is not None:
            yield Problem(f"version '{context.version}' can't restore '{self.to}': {reason}", context.at)

    def predict_commits(self, latest: int | None, versions: Mapping[str, int | None]) -> int | None:
        """Return how many Delta commits the step will make; 0 if the table is at that version already."""
        version = versions.get(self.to)
        return None if latest is None or version is None else int(version != latest)


class Optimize(Step):
    """A step that compacts small files, or orders the rows in them."""

    kind: ClassVar[str] = "optimize"
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1)
    operation: ClassVar[str | None] = "OPTIMIZE"
    may_be_empty: ClassVar[bool] = True
    list_keys: ClassVar[tuple[str, ...]] = ("z_order",)

    where: str | None = None
    """A SQL condition on partition columns."""
    z_order: Columns | None = None

    def describe(self) -> str:
        """Return what the step does in a few words."""
        order = f" by z-order of {', '.join(self.z_order)}" if self.z_order else ""
        return f"optimize{describe_condition(self.where)}{order}"

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        yield from check_not_blank(self.where, "where", (*context.at, "where"))
        for index, name in find_repeated(self.z_order or ()):
            message = f"version '{context.version}': the rows are ordered by '{name}' twice."
            yield Problem(message, (*context.at, "z_order", index))
        if self.where is not None and not context.may_have_partitions:
            message = f"version '{context.version}': the table has no partitions to select with 'where'"
            yield Problem(f"{message}; remove it.", (*context.at, "where"))


class Vacuum(Step):
    """A step that removes the files that no version within the retention period needs."""

    kind: ClassVar[str] = "vacuum"
    commits: ClassVar[Commits] = 2
    possible_commits: ClassVar[tuple[int, ...] | None] = (0, 1, 2)
    operation: ClassVar[str | None] = "VACUUM END"
    may_be_empty: ClassVar[bool] = True

    retain_hours: Annotated[float, Field(ge=0)] = 168.0
    break_pins: bool = False
    """Whether files of a version that the run trains on may be removed."""

    def describe(self) -> str:
        """Return what the step does in a few words."""
        pins = ", even of pinned versions" if self.break_pins else ""
        return f"vacuum, {self.retain_hours:g} hours kept{pins}"


class Sql(Step):
    """A step that executes a SQL statement; ``{table}`` stands for the table."""

    kind: ClassVar[str] = "sql"
    makes_table: ClassVar[bool] = True
    makes_partitions: ClassVar[bool] = True
    text_key: ClassVar[str | None] = "statement"
    form_hint: ClassVar[str] = "must be a SQL statement"

    statement: str

    def describe(self) -> str:
        """Return the statement in one line."""
        return " ".join(self.statement.split())

    def problems(self, context: StepContext) -> Iterator[Problem]:
        """Yield the step's problems."""
        if TABLE not in self.statement:
            message = f"version '{context.version}': the statement doesn't mention the table"
            yield Problem(f"{message}; write {TABLE} in place of its name.", context.at)

    def may_add_column(self, name: str, source_columns: Collection[str] | None) -> bool:
        """Return whether the statement may add a column: it mentions the column, or it has a ``*``."""
        del source_columns
        return name in self.statement.lower() or "*" in self.statement


AnyStep = Append | Overwrite | Merge | Update | Delete | AddColumns | Restore | Optimize | Vacuum | Sql | Read
"""Every kind of step. A new one also needs a field of ``Version`` and a function in ``job.apply_steps``."""
STEPS: dict[str, type[Step]] = {step.kind: step for step in get_args(AnyStep)}
"""Every kind of step by its key in the scenario file."""
