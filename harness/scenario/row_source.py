"""Sources of rows: files, and generated loans."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from harness.scenario.model_base import Int64, ScenarioPart


class Loans(ScenarioPart):
    """Synthetic loans like Lending Club's, with known coefficients; see ``harness.job.synthetic_loans``."""

    form_hint: ClassVar[str] = "must be a mapping with rows"

    kind: Literal["loans"] = "loans"
    rows: Annotated[int, Field(ge=1, le=1_000_000_000)]
    seed: Int64 = 0
    """The same seed generates the same rows, however they are partitioned."""
    first_year: Annotated[int, Field(ge=2007, le=2018)] = 2007
    last_year: Annotated[int, Field(ge=2007, le=2018)] = 2018

    @model_validator(mode="after")
    def _check_years(self) -> Loans:
        if self.first_year > self.last_year:
            raise ValueError(f"'first_year' ({self.first_year}) is after 'last_year' ({self.last_year})")
        return self


class Source(ScenarioPart):
    """A source of rows: a file or folder that Spark reads, or a generator."""

    text_key: ClassVar[str | None] = "path"
    form_hint: ClassVar[str] = "must be a path, or a mapping with a path"

    path: str = ""
    """Absolute, or relative to the scenario file."""
    generate: Loans | None = None
    """Rows to generate, instead of a path."""
    format: Literal["csv", "json", "parquet", "delta"] | None = None
    """Format of the file (default: by its ending)."""
    options: dict[str, str] = Field(default_factory=dict)
    """Options of Spark's reader, such as ``sep`` of a CSV file."""

    def describe(self) -> str:
        """Return the source in a few words: its path, or what it generates."""
        if self.generate is None:
            return self.path
        loans = self.generate
        return f"{loans.rows:,} synthetic {loans.kind}, {loans.first_year} to {loans.last_year}"


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
"""Columns of synthetic loans, in order, with their types as Spark writes them."""
