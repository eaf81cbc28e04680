"""What a scenario file says, as validated data."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.scenario.expectations import Expect
from harness.scenario.model_base import Columns, Identifier, MatrixValue, Model, one_as_list
from harness.scenario.pipeline import Pipeline
from harness.scenario.steps import (
    AddColumns,
    Append,
    Commits,
    Delete,
    Merge,
    Optimize,
    Overwrite,
    Read,
    Restore,
    Source,
    Sql,
    Step,
    Update,
    Vacuum,
)

MAY_BE_EMPTY = ("append", "overwrite", "merge", "optimize", "vacuum")
"""Steps that need nothing said: ``append:`` appends all rows."""


class Table(Model):
    """The Delta table: one that the scenario builds from a source, or one that is there already."""

    name: Identifier = "table"
    source: Source | None = None
    uri: str | None = None
    """Of a table that is there already, which is only read."""
    versions: Annotated[tuple[Read, ...], Field(min_length=1)] | None = None
    """Of a table that is there already, where the scenario lists none itself."""
    key: Columns
    """Columns that together name a row: never null, never twice in a version."""

    @model_validator(mode="before")
    @classmethod
    def _one_key_column(cls, value: object) -> object:
        return one_as_list(value, "key")


class Version(Model):
    """One version of the table: the one step by which it comes about, and what must hold of it."""

    name: Identifier
    append: Append | None = None
    overwrite: Overwrite | None = None
    merge: Merge | None = None
    update: Update | None = None
    delete: Delete | None = None
    add_columns: AddColumns | None = None
    restore: Restore | None = None
    optimize: Optimize | None = None
    vacuum: Vacuum | None = None
    sql: Sql | None = None
    read: Read | None = None
    commits: Commits | None = None
    """How many Delta commits the step makes, where that is not what its kind says."""
    expect_error: str | None = None
    """The step must fail with this error class, and change nothing."""
    train: bool = True
    """Whether a model is trained at this version; a step that fails leads to none."""
    at: Literal["version", "timestamp"] = "version"
    """By what the version is read: its number, or the time of its commit."""
    expect: Expect = Expect()

    @model_validator(mode="before")
    @classmethod
    def _with_empty_step(cls, value: object) -> object:
        # A plan's file names every kind of step, most of them with nothing: those are none.
        if isinstance(value, dict) and not set(STEPS) <= set(value):
            return {
                key: {} if key in MAY_BE_EMPTY and inner is None else inner for key, inner in value.items()
            }
        return value

    @property
    def steps(self) -> dict[str, Step]:
        """Every step that is said, by its kind; a version that obeys the rules has one."""
        return {kind: step for kind in STEPS if (step := getattr(self, kind)) is not None}

    @property
    def kind(self) -> str:
        """The step's kind, as the file writes it."""
        return next(iter(self.steps))

    @property
    def step(self) -> Step:
        """The step."""
        return self.steps[self.kind]

    @property
    def declared_commits(self) -> Commits:
        """How many Delta commits the step makes."""
        if self.expect_error is not None:
            return 0
        return self.step.commits if self.commits is None else self.commits

    @property
    def is_trained(self) -> bool:
        """Whether a model is trained at this version."""
        return self.train and self.expect_error is None


STEPS = (
    "append",
    "overwrite",
    "merge",
    "update",
    "delete",
    "add_columns",
    "restore",
    "optimize",
    "vacuum",
    "sql",
    "read",
)
"""The kinds of steps, as the file writes them."""


class Publish(Model):
    """Whether and where the bundles are copied to."""

    to: Identifier = "models"
    """A model store by its name in the settings."""
    when: Literal["pass", "always", "never"] = "pass"
    """``pass``: when every bound of the whole scenario holds."""


class Scenario(Model):
    """Which versions a Delta table goes through, and what must hold after each."""

    name: Identifier
    description: str = ""
    seed: int = 0
    table: Table
    pipeline: Pipeline
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    every: Expect = Expect()
    """What must hold of every version that is trained, where the version itself says nothing else."""
    verdict: Literal["pass", "fail"] = "pass"
    """What the scenario must come to; ``fail``: by the bounds that ``caught_by`` names."""
    caught_by: tuple[str, ...] = ()
    """``VERSION.METRIC``, each a bound that must fail."""
    matrix: dict[str, Annotated[tuple[MatrixValue, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Place, such as ``pipeline.model.max_iter``, to its values; every combination is a run."""
    publish: Publish = Publish()

    @model_validator(mode="before")
    @classmethod
    def _versions_of_table(cls, value: object) -> object:
        """A table that is there already names its versions itself, each to be read."""
        if not isinstance(value, dict) or "versions" in value or not isinstance(value.get("table"), dict):
            return value
        listed = value["table"].get("versions")
        if not isinstance(listed, list) or not listed:
            return value
        try:
            reads = [Read.model_validate(each) for each in listed]
        except ValueError:
            return value  # The table's own validation says what is wrong.
        return {**value, "versions": [{"name": read.name, "read": read.model_dump()} for read in reads]}

    @property
    def trained(self) -> tuple[str, ...]:
        """The names of the versions that a model is trained at, in order."""
        return tuple(version.name for version in self.versions if version.is_trained)

    def index_of(self, name: str) -> int:
        """The place of a version in the list."""
        return [version.name for version in self.versions].index(name)

    def expected_of(self, name: str) -> Expect:
        """All that must hold of a version: its own expectations, and those of every version."""
        version = self.versions[self.index_of(name)]
        return version.expect.over(self.every) if version.is_trained else version.expect
