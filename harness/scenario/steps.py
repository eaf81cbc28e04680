"""What a scenario file says of the steps that change a Delta table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from harness.scenario.model_base import Columns, Identifier, Model, Share, Value, one_as_list, text_as

Assignments = Annotated[dict[str, str], Field(min_length=1)]
"""Column to SQL expression."""
Commits = Literal[0, 1, 2, "any"]
"""How many Delta commits a step makes; ``any``: that depends on the data."""


class Loans(Model):
    """Made rows like Lending Club's, with a known truth; see ``harness.job.synthetic_loans``."""

    kind: Literal["loans"] = "loans"
    rows: Annotated[int, Field(ge=1)]
    seed: int = 0
    """The same rows for a seed, whatever the partitioning."""
    first_year: Annotated[int, Field(ge=2007, le=2018)] = 2007
    last_year: Annotated[int, Field(ge=2007, le=2018)] = 2018

    @model_validator(mode="after")
    def _years_in_order(self) -> Loans:
        if self.first_year > self.last_year:
            raise ValueError("should not begin after its last year")
        return self


class Source(Model):
    """Where rows come from: a file or folder, read by Spark, or a generator."""

    path: str = ""
    """Absolute, or relative to the scenario file."""
    generate: Loans | None = None
    """Rows that are made; then there is no path."""
    format: Literal["csv", "json", "parquet", "delta"] | None = None
    """By the file's ending where it is not said."""
    options: dict[str, str] = Field(default_factory=dict)
    """Handed to Spark's reader, such as ``sep`` of a CSV file."""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        return text_as("path", value)


class Rows(Model):
    """The rows that a step brings, of the table's source where no others are named.

    First they are chosen (``where``, then ``sample``), then changed (``set``, then ``shuffle``).
    """

    source: Annotated[Source | None, Field(alias="from")] = None
    """Another file, with columns of its own."""
    rows: Annotated[tuple[dict[str, Value | None], ...], Field(min_length=1)] | None = None
    """Written out, in the types of the table's columns."""
    where: str | None = None
    """A SQL condition on the source's columns; all rows where it is not said."""
    sample: Share | None = None
    """By a hash of the key and the seed, so that it is the same one on every run."""
    assign: Annotated[dict[str, str], Field(alias="set", default_factory=dict)]
    """Column to SQL expression over the source's columns; a new column is added."""
    shuffle: str | None = None
    """A column whose values are dealt out anew among these rows, by the seed."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class Append(Rows):
    """Appends rows to the table."""

    commits: ClassVar[Commits] = 1
    merge_schema: bool = False
    """Whether new columns may come with the rows."""


class Overwrite(Rows):
    """Replaces all rows, or those that meet a condition."""

    commits: ClassVar[Commits] = 1
    replace_where: str | None = None
    """A SQL condition: only rows that meet it are replaced, and only such may come."""
    overwrite_schema: bool = False
    """Whether the rows' columns replace the table's."""


class Merge(Rows):
    """Merges rows into the table, by their key."""

    commits: ClassVar[Commits] = "any"
    on: Columns | None = None
    """Columns that must be equal in both; the table's key where it is not said."""
    when_matched: Literal["update", "delete", "ignore"] = "update"
    when_not_matched: Literal["insert", "ignore"] = "insert"
    when_not_matched_by_source: Literal["delete", "ignore"] = "ignore"
    merge_schema: bool = False
    """Whether new columns may come with the rows."""

    @model_validator(mode="before")
    @classmethod
    def _one_column(cls, value: object) -> object:
        return one_as_list(value, "on")


class Update(Model):
    """Changes rows in place."""

    commits: ClassVar[Commits] = "any"
    where: str | None = None
    assign: Annotated[Assignments, Field(alias="set")]

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class Delete(Model):
    """Deletes the rows that meet a condition."""

    commits: ClassVar[Commits] = "any"
    where: str

    @model_validator(mode="before")
    @classmethod
    def _from_condition(cls, value: object) -> object:
        return text_as("where", value)


class AddColumns(Model):
    """Adds columns, null in all rows that are there."""

    commits: ClassVar[Commits] = 1
    columns: Annotated[dict[Identifier, str], Field(min_length=1)]
    """Name to SQL type."""

    @model_validator(mode="before")
    @classmethod
    def _from_mapping(cls, value: object) -> object:
        is_short = isinstance(value, dict) and set(value) != {"columns"}
        return {"columns": value} if is_short else value


class Restore(Model):
    """Takes the table back to an earlier version."""

    commits: ClassVar[Commits] = "any"
    to: str
    """The version's name."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return text_as("to", value)


class Optimize(Model):
    """Compacts small files, or orders the rows in them."""

    commits: ClassVar[Commits] = "any"
    where: str | None = None
    """A SQL condition on partition columns."""
    z_order: Columns | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_column(cls, value: object) -> object:
        return one_as_list(value, "z_order")


class Vacuum(Model):
    """Removes the files that no version within the retention needs."""

    commits: ClassVar[Commits] = 2
    retain_hours: Annotated[float, Field(ge=0)] = 168.0


class Sql(Model):
    """Any statement of SQL; ``{table}`` stands for the table."""

    commits: ClassVar[Commits] = "any"
    statement: str

    @model_validator(mode="before")
    @classmethod
    def _from_statement(cls, value: object) -> object:
        return text_as("statement", value)


class Read(Model):
    """Reads a version of a table that is there already; nothing is changed."""

    commits: ClassVar[Commits] = 0
    version: Annotated[int, Field(ge=0, lt=2**63)] | Literal["latest"] | None = None
    timestamp: AwareDatetime | None = None
    """The version that was the newest at this time; UTC where no zone is said."""

    @model_validator(mode="before")
    @classmethod
    def _from_one(cls, value: object) -> object:
        if isinstance(value, dict):
            return {**value, "timestamp": _moment(value["timestamp"])} if "timestamp" in value else value
        moment = None if value == "latest" else _moment(value)
        if isinstance(moment, datetime):
            return {"timestamp": moment}
        is_plain = isinstance(value, int | str) and not isinstance(value, bool)
        return {"version": value} if is_plain else value

    @model_validator(mode="after")
    def _one_of_both(self) -> Read:
        if (self.version is None) == (self.timestamp is None):
            raise ValueError("should be either a version or a timestamp")
        try:
            _ = self.timestamp and self.timestamp.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("should be a time of the years 1 to 9999 in UTC") from error
        return self

    @property
    def name(self) -> str:
        """A version's name where none is said."""
        if self.timestamp is not None:
            return f"t{self.timestamp.astimezone(UTC):%Y%m%d_%H%M%S}"
        return "latest" if self.version == "latest" else f"v{self.version}"


Step = Append | Overwrite | Merge | Update | Delete | AddColumns | Restore | Optimize | Vacuum | Sql | Read


def _moment(value: object) -> object:
    """A time with its zone, where a value is one; any other value as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, date):
        return value
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - it is given one below.
    return value if value.tzinfo else value.replace(tzinfo=UTC)


LOANS = {
    "id": "bigint",
    "issue_d": "date",
    "loan_amnt": "double",
    "term": "int",
    "int_rate": "double",
    "annual_inc": "double",
    "dti": "double",
    "grade": "string",
    "home_ownership": "string",
    "purpose": "string",
    "delinq_2yrs": "int",
    "inq_last_12m": "int",
    "total_acc": "int",
    "earliest_cr_line": "date",
    "loan_status": "string",
}
"""Column to its type, as Spark writes it; in this order."""
