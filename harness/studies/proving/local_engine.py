"""Rows of two groups on this machine, and Spark's SQL over them, without Spark: executed by DuckDB.

``sqlglot`` translates each expression: scenarios and faults are written in Spark's dialect only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from harness.bounds.added_rows import MAX_LABEL_VALUES, MAX_OTHER_NUMBERS
from harness.errors import UsageError
from harness.faults.catalogue import ADDED, BEFORE, write_literal
from harness.reading.column_naming import quote_name
from harness.scenario.column_types import is_date, is_number
from harness.storage.delta_tables import locate_table, read_all_rows

if TYPE_CHECKING:
    import pandas as pd

    from harness.plan import Account
    from harness.scenario.model import Scenario
    from harness.scenario.pipeline import Label

KEY_TEXT, LABEL, IGNORED, MEETS_FILTER = "harness_key", "harness_label", "harness_ignored", "harness_kept"
NUMBER, TEXT, OTHER = "harness_number_{}", "harness_category_{}", "harness_other_{}"
VALUE = "harness_label_value_{}"
DAY = "harness_date_{}"


class UntranslatableError(Exception):
    """An expression that only Spark can evaluate."""


@lru_cache(maxsize=512)
def translate(statement: str) -> str:
    """Return a query in the engine's dialect.

    Raises:
        UntranslatableError: It has no equivalent.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        [translated] = sqlglot.transpile(
            statement, read="spark", write="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    except (SqlglotError, ValueError) as error:
        raise UntranslatableError(str(error).partition("\n")[0]) from error
    return translated


@dataclass(frozen=True)
class Selection:
    """The columns that facts are counted from, as SQL over the table's own."""

    statement: str
    """A query over a view named ``rows``."""
    columns: tuple[str, ...]
    """The table's columns, whose nulls are counted."""
    others: tuple[str, ...]
    """Numeric columns that aren't features."""
    dates: tuple[str, ...]
    label_values: tuple[object, ...]


class LocalEngine:
    """The rows of a version on this machine: those that it has from before, and those that it added."""

    def __init__(self, before: Any, added: Any, scenario: Scenario, selection: Selection) -> None:
        """Load the rows of both groups.

        Args:
            before: The earlier rows, as an Arrow table.
            added: The added rows, as an Arrow table.
            scenario: The scenario, whose expressions are evaluated.
            selection: The columns that facts need.
        """
        import duckdb

        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
        self._connection.register("arrow_before", before)
        self._connection.register("arrow_added", added)
        for view in (BEFORE, ADDED):
            source = view.replace("harness", "arrow")
            self._connection.execute(f"CREATE TABLE {view} AS SELECT * FROM {source}")  # noqa: S608
        self.scenario, self.selection = scenario, selection

    def read_before(self) -> pd.DataFrame:
        """Return what facts need of the earlier rows."""
        return self._select(f"SELECT * FROM {BEFORE}")  # noqa: S608

    def read_added(self, statement: str = f"SELECT * FROM {ADDED}") -> pd.DataFrame:  # noqa: S608
        """Return what facts need of the added rows, as a statement in the engine's dialect returns them."""
        return self._select(statement)

    def _select(self, rows: str) -> pd.DataFrame:
        import duckdb

        try:
            query = f"WITH rows AS ({rows}) {translate(self.selection.statement)}"
            found: pd.DataFrame = self._connection.sql(query).df()
        except duckdb.Error as error:
            raise UntranslatableError(str(error).partition("\n")[0]) from error
        return found


def select_facts(scenario: Scenario, types: dict[str, str]) -> Selection:
    """Return the columns that facts are counted from.

    Args:
        scenario: The scenario, without the optional features that the version lacks.
        types: The table's columns with their types.
    """
    pipeline, label = scenario.pipeline, scenario.pipeline.label
    used = {
        each.lower()
        for each in (*pipeline.features, *pipeline.categorical, label.column, *scenario.table.key)
    }
    others = tuple(
        name
        for name, kind in types.items()
        if (is_number(kind) or kind == "boolean") and name.lower() not in used
    )
    others = others[:MAX_OTHER_NUMBERS]
    # As in the job, nothing is shown of sensitive dates.
    dates = tuple(
        name
        for name, kind in types.items()
        if is_date(kind) and name.lower() not in scenario.sensitive_columns
    )
    values = (*label.positive, *label.negative)[:MAX_LABEL_VALUES]
    column = quote_name(label.column)
    derived = "".join(
        f", ({expression}\n) AS {quote_name(name)}" for name, expression in pipeline.derive.items()
    )
    ignored = [value for value in label.ignore if value is not None]
    is_ignored = f"{column} IN ({', '.join(map(write_literal, ignored))})" if ignored else "FALSE"
    parts = [
        *(f"{quote_name(name)} IS NULL AS {quote_name(f'null_{at}')}" for at, name in enumerate(types)),
        _format_key(scenario),
        _format_label(column, label),
        f"COALESCE({is_ignored}, {str(None in label.ignore).upper()}) AS {IGNORED}",
        f"COALESCE(({pipeline.filter or 'TRUE'}\n), FALSE) AS {MEETS_FILTER}",
        f"CAST({column} AS STRING) AS harness_label_text",
        *(
            f"CAST({quote_name(name)} AS DOUBLE) AS {NUMBER.format(at)}"
            for at, name in enumerate(pipeline.features)
        ),
        *(
            f"CAST({quote_name(name)} AS STRING) AS {TEXT.format(at)}"
            for at, name in enumerate(pipeline.categorical)
        ),
        *(f"CAST({quote_name(name)} AS DOUBLE) AS {OTHER.format(at)}" for at, name in enumerate(others)),
        *(
            f"COALESCE({column} = {write_literal(value)}, FALSE) AS {VALUE.format(at)}"
            for at, value in enumerate(values)
        ),
        *(f"CAST({quote_name(name)} AS TIMESTAMP) AS {DAY.format(at)}" for at, name in enumerate(dates)),
    ]
    statement = f"SELECT {', '.join(parts)} FROM (SELECT *{derived} FROM rows) AS derived"  # noqa: S608
    return Selection(statement, tuple(types), others, dates, values)


def _format_key(scenario: Scenario) -> str:
    parts = [f"CAST({quote_name(name)} AS STRING)" for name in scenario.table.key]
    if len(parts) == 1:
        return f"{parts[0]} AS {KEY_TEXT}"
    joined = ", ".join(f"CAST(LENGTH({part}) AS STRING), ':', {part}" for part in parts)
    is_null = " OR ".join(f"{part} IS NULL" for part in parts)
    return f"CASE WHEN {is_null} THEN NULL ELSE CONCAT({joined}) END AS {KEY_TEXT}"


def _format_label(column: str, label: Label) -> str:
    positive, negative = (
        ", ".join(map(write_literal, values)) for values in (label.positive, label.negative)
    )
    return (
        f"CASE WHEN {column} IN ({positive}) THEN 1.0 WHEN {column} IN ({negative}) THEN 0.0 END AS {LABEL}"
    )


def read_rows(uri: str, version: int, accounts: Sequence[Account] = ()) -> Any:
    """Return the rows of a version of a Delta table, as an Arrow table.

    Args:
        uri: URI or path.
        version: The Delta version.
        accounts: The storage accounts that this machine has credentials for.

    Raises:
        UsageError: It can't be read without Spark.
    """
    import pyarrow as pa
    from deltalake import DeltaTable

    location, options = locate_table(uri, accounts)
    try:
        rows = read_all_rows(DeltaTable(location, version=version, storage_options=options))
    except Exception as error:  # Errors of the table, of its log and of Arrow, which have no class in common.
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise UsageError(
            f"Can't read version {version} of {uri} without Spark: {first}.", remedy="Leave out --quick."
        ) from error
    # DuckDB can't scan Arrow's views of texts.
    plain = {"string_view": pa.string(), "binary_view": pa.binary()}
    return rows.cast(
        pa.schema([each.with_type(plain.get(str(each.type), each.type)) for each in rows.schema])
    )


def split_rows(rows: Any, earlier: Any, key: Sequence[str]) -> tuple[Any, Any]:
    """Return the rows that the earlier version has too, by their key, and the added ones."""
    import duckdb

    connection = duckdb.connect()
    connection.register("now_rows", rows)
    connection.register("earlier_rows", earlier)
    same = " AND ".join(f"now_rows.{quote_name(name)} = earlier_rows.{quote_name(name)}" for name in key)
    both, added = (
        connection.sql(
            translate(f"SELECT now_rows.* FROM now_rows LEFT {kind} JOIN earlier_rows ON {same}")  # noqa: S608
        ).to_arrow_table()
        for kind in ("SEMI", "ANTI")
    )
    return both, added
