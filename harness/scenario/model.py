"""A scenario file as validated data."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from harness.scenario.expectations import Expect
from harness.scenario.model_base import Columns, Identifier, Int64, MatrixValue, ScenarioPart
from harness.scenario.pipeline import Pipeline
from harness.scenario.proof import Proof
from harness.scenario.prove import Prove
from harness.scenario.publish import Publish
from harness.scenario.read_step import Read
from harness.scenario.row_source import Source
from harness.scenario.rows import Rows
from harness.scenario.sensitive import find_sensitive_columns, mentions
from harness.scenario.step_base import Commits, StepContext
from harness.scenario.steps import (
    STEPS,
    AddColumns,
    AnyStep,
    Append,
    Delete,
    Merge,
    Optimize,
    Overwrite,
    Restore,
    Sql,
    Update,
    Vacuum,
)


class Table(ScenarioPart):
    """The Delta table: one that the scenario builds from a source, or an existing one."""

    list_keys: ClassVar[tuple[str, ...]] = ("key", "sensitive")

    name: Identifier = "table"
    source: Source | None = None
    uri: str | None = None
    """URI of an existing table, which is only read."""
    versions: Annotated[tuple[Read, ...], Field(min_length=1)] | None = None
    """Versions of an existing table, instead of the scenario's own list."""
    key: Columns
    """Columns that together identify a row: never null, never twice in a version."""
    key_from: Literal["columns", "content"] = "columns"
    """``content``: the key is a column that is added to the rows, a digest of their content."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Types of the sources' columns, such as ``string`` or ``date 'dd.MM.yyyy'`` (default: by values)."""
    sensitive: tuple[str, ...] = ()
    """Columns, including derived ones, whose values no report, comparison or stored prediction shows."""

    @property
    def source_key(self) -> tuple[str, ...]:
        """Columns of the key that the sources of rows must have."""
        return () if self.key_from == "content" else self.key


class Version(ScenarioPart):
    """One version of the table: the step that creates it, and its expectations."""

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
    """How many Delta commits the step makes (default: what is usual for its kind)."""
    expect_error: str | None = None
    """The step must fail with this error class, and change nothing."""
    train: bool = True
    """Whether a model is trained on this version; never if its step fails."""
    at: Literal["version", "timestamp"] = "version"
    """How the version is read: by its number, or by the time of its commit."""
    expect: Expect = Expect()

    @model_validator(mode="before")
    @classmethod
    def _fill_empty_step(cls, value: object) -> object:
        """Accept ``append:`` without a value.

        A plan's file lists every kind of step, and all but one are null: these stay unchanged.
        """
        if not isinstance(value, dict) or any(value.get(kind) is not None for kind in STEPS):
            return value
        empty = [kind for kind, step in STEPS.items() if kind in value and step.may_be_empty]
        return {**value, **{kind: {} for kind in empty}}

    @property
    def steps(self) -> dict[str, AnyStep]:
        """Every step that the file lists, by its kind; a valid version has exactly one."""
        return {kind: step for kind in STEPS if (step := getattr(self, kind)) is not None}

    @property
    def kind(self) -> str:
        """The step's kind, as the file writes it."""
        return self.step.kind

    @property
    def step(self) -> AnyStep:
        """The step."""
        return next(iter(self.steps.values()))

    @property
    def declared_commits(self) -> Commits:
        """How many Delta commits the step makes."""
        if self.expect_error is not None:
            return 0
        return self.step.commits if self.commits is None else self.commits

    @property
    def is_trained(self) -> bool:
        """Whether a model is trained on this version."""
        return self.train and self.expect_error is None

    def describe(self) -> str:
        """Return what the version's step does in a few words, such as ``append where day = 1``."""
        text = self.step.describe()
        return f"{text}; must fail with {self.expect_error}" if self.expect_error else text


class Scenario(ScenarioPart):
    """The versions that a Delta table goes through, and what must hold after each."""

    name: Identifier
    description: str = ""
    seed: Int64 = 0
    table: Table
    pipeline: Pipeline
    champion: str | None = None
    """The deployed model, which is scored at each version: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``,
    ``runs:/RUN/PATH``, or the location of a bundle."""
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    segments: dict[Identifier, str] = Field(default_factory=dict)
    """Name to SQL condition: held-out rows that are also measured separately."""
    every: Expect = Expect()
    """What must hold for every trained version, unless the version itself expects something else."""
    observe: bool = False
    """Whether to look without judging: a scenario without bounds, whose verdict is ``observed``."""
    proof: Proof = Proof()
    """What the measured numbers must rest on, so that their bounds are proven."""
    prove: Prove = Prove()
    """Faults that ``harness prove`` injects into the added rows, and those that a bound must catch."""
    verdict: Literal["pass", "fail"] = "pass"
    """The verdict that the scenario must end with; ``fail``: by the bounds that ``caught_by`` names."""
    caught_by: tuple[str, ...] = ()
    """Bounds that must fail, each as ``VERSION.METRIC``."""
    matrix: dict[str, Annotated[tuple[MatrixValue, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Key, such as ``pipeline.model.max_iter``, to its values; every combination is a run."""
    publish: Publish = Publish()
    approve: str | None = None
    """Name, URI or path of a table that shows the last judged version of the existing table after a pass."""

    @model_validator(mode="before")
    @classmethod
    def _take_versions_from_table(cls, value: object) -> object:
        """Read each version that an existing table lists."""
        if not isinstance(value, dict) or "versions" in value or not isinstance(value.get("table"), dict):
            return value
        listed = value["table"].get("versions")
        if not isinstance(listed, list) or not listed:
            return value
        try:
            reads = [Read.model_validate(each) for each in listed]
        except ValueError:
            return value  # The table's own validation reports what is wrong.
        return {**value, "versions": [{"name": read.name, "read": read.model_dump()} for read in reads]}

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the versions that a model is trained on, in order."""
        return tuple(version.name for version in self.versions if version.is_trained)

    def index_of(self, name: str) -> int:
        """Return the index of a version."""
        return [version.name for version in self.versions].index(name)

    def expected_of(self, name: str) -> Expect:
        """Return all that must hold for a version: its own expectations, and those of every version."""
        version = self.versions[self.index_of(name)]
        return version.expect.with_defaults(self.every) if version.is_trained else version.expect

    @property
    def sensitive_columns(self) -> frozenset[str]:
        """The sensitive columns, and the columns that are derived from them, in lower case."""
        return find_sensitive_columns(self.table.sensitive, self.pipeline.derive)

    @property
    def has_sensitive_key(self) -> bool:
        """Whether a column of the key is sensitive, so that a digest is shown in place of the key."""
        return any(name.lower() in self.sensitive_columns for name in self.table.key)

    @property
    def sensitive_segments(self) -> frozenset[str]:
        """The segments that are selected by a sensitive column."""
        columns = self.sensitive_columns
        return frozenset(name for name, condition in self.segments.items() if mentions(condition, columns))

    @property
    def may_publish(self) -> bool:
        """Whether bundles are published, at least if every bound holds."""
        return self.publish.when != "never" and not self.observe

    @property
    def sets_expectations(self) -> bool:
        """Whether the file expects anything, of one version or of every trained one."""
        return any(each != Expect() for each in (self.every, *(version.expect for version in self.versions)))

    @property
    def lacks_every_source(self) -> bool:
        """Whether neither the table nor any of its steps has a source of rows."""
        steps = [step for version in self.versions for step in version.steps.values()]
        with_rows = [step for step in steps if isinstance(step, Rows)]
        return (
            self.table.source is None
            and self.table.uri is None
            and bool(with_rows)
            and not any(step.source or step.rows for step in with_rows)
        )

    def context_of(self, index: int) -> StepContext:
        """Return the facts that the rules of a version's step depend on.

        Args:
            index: Index of the version.
        """
        version, table = self.versions[index], self.table
        earlier = (step for each in self.versions[:index] for step in each.steps.values())
        return StepContext(
            version=version.name,
            index=index,
            at=("versions", index, version.kind),
            is_trained=version.is_trained,
            names=tuple(each.name for each in self.versions),
            key=table.source_key,
            source=table.source,
            is_built=table.uri is None,
            requires_source=table.uri is None and not self.lacks_every_source,
            may_have_partitions=any(step.makes_partitions for step in earlier),
        )


_FIELDS = {name: field.annotation for name, field in Version.model_fields.items() if name in STEPS}
if {kind: step | None for kind, step in STEPS.items()} != _FIELDS:
    raise TypeError(f"Each kind of step is a field of Version, by its name: {', '.join(STEPS)}.")
