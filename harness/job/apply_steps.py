"""Application of a scenario's steps to a Delta table, with one function per kind of step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, assert_never

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.pinned_versions import list_vacuumed_versions
from harness.job.source_reader import is_format_error, unreadable_source_error
from harness.job.spark_errors import attribute_step_error
from harness.job.step_rows import Sources, list_column_names, make_rows, source_location
from harness.job.table_io import format_table, open_table
from harness.plan import Plan
from harness.reading.column_naming import quote_name
from harness.scenario.model import Version
from harness.scenario.read_step import Read
from harness.scenario.rows import Rows
from harness.scenario.steps import (
    TABLE,
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
from harness.table_names import is_table_name

_NOT_IN_PARQUET = re.compile(r"[ ,;{}()\n\t=]")
_RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
_REPLACE_WHERE = "replaceWhere"
_OLD, _NEW = "harness_old", "harness_new"


@dataclass(frozen=True)
class Work:
    """A step, and everything that is needed to apply it."""

    spark: SparkSession
    plan: Plan
    sources: Sources
    version: Version
    at: Location
    """Location of the step in the scenario file."""
    numbers: Mapping[str, int]
    """The Delta versions so far, by name; empty before the table exists."""

    @property
    def table(self) -> DeltaTable:
        """The table in Delta's Python interface."""
        return open_table(self.spark, self.plan.table_uri)

    @property
    def sql_name(self) -> str:
        """The table's name in a SQL statement."""
        return format_table(self.plan.table_uri)

    def rows(self, step: Rows) -> DataFrame:
        """Return the rows of a step."""
        schema = self.table.toDF().schema if self.numbers else None
        return make_rows(self.sources, step, schema, self.at)


def apply_step(work: Work) -> None:
    """Apply one step.

    Raises:
        ScenarioError: Spark or Delta refuses the step; their error is the cause.
    """
    version = work.version
    with (
        attribute_step_error(f"version '{version.name}' can't be created: its {version.kind} fails", work.at),
        _attribute_file_error(work),
    ):
        _apply(work, version.step)


def _apply(work: Work, step: AnyStep) -> None:  # noqa: C901 - a case per kind of step.
    match step:
        case Append():
            _append(work, step)
        case Overwrite():
            _overwrite(work, step)
        case Merge():
            _merge(work, step)
        case Update():
            _update(work, step)
        case Delete():
            _delete(work, step)
        case AddColumns():
            _add_columns(work, step)
        case Restore():
            _restore(work, step)
        case Optimize():
            _optimize(work, step)
        case Vacuum():
            _vacuum(work, step)
        case Sql():
            _sql(work, step)
        case Read():
            pass  # Nothing changes.
        case _:
            assert_never(step)


@contextmanager
def _attribute_file_error(work: Work) -> Iterator[None]:
    """Attribute an error to a source file: Spark may read it only when the rows are written."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        step = work.version.step
        if not isinstance(step, Rows) or not is_format_error(error):
            raise
        if (data := work.sources.find_file(step)) is None:
            raise
        raise unreadable_source_error(data, error, source_location(step, work.at)) from error


def _append(work: Work, step: Append) -> None:
    _write(work, work.rows(step), "append", {"mergeSchema": _format_flag(step.merge_schema)})


def _overwrite(work: Work, step: Overwrite) -> None:
    options = {"overwriteSchema": _format_flag(step.overwrite_schema)}
    if step.replace_where is not None:
        options[_REPLACE_WHERE] = step.replace_where
    _write(work, work.rows(step), "overwrite", options)


def _write(work: Work, rows: DataFrame, mode: str, options: dict[str, str]) -> None:
    mapping = {} if work.numbers else _choose_column_mapping(work, set(rows.columns))
    if is_table_name(work.plan.table_uri):
        _write_by_name(work, rows, mode, options, mapping)
    else:
        rows.write.format("delta").mode(mode).options(**options, **mapping).save(work.plan.table_uri)


def _write_by_name(
    work: Work, rows: DataFrame, mode: str, options: dict[str, str], properties: dict[str, str]
) -> None:
    """Write to a table in a catalog, which the first write creates."""
    # Not saveAsTable, which replaces the whole table when it overwrites one, whatever the condition.
    writer = rows.writeTo(work.sql_name)
    if not work.numbers:
        writer = writer.using("delta")
        for name, value in properties.items():
            writer = writer.tableProperty(name, value)
        writer.create()
        return
    where = options.pop(_REPLACE_WHERE, "true")
    for name, value in options.items():
        writer = writer.option(name, value)
    if mode == "append":
        writer.append()
    else:
        writer.overwrite(F.expr(where))


def _choose_column_mapping(work: Work, names: set[str]) -> dict[str, str]:
    """Return the property that lets columns have names that Parquet files can't contain, such as spaces.

    It is set when the table is created, even for columns of later versions: setting it later makes a commit.
    """
    for index, version in enumerate(work.plan.scenario.versions):
        step = version.step
        if isinstance(step, Rows) and version.expect_error is None and step.can_add_columns:
            names |= list_column_names(work.sources, step, ("versions", index, version.kind))
    odd = any(_NOT_IN_PARQUET.search(name) for name in names)
    return {"delta.columnMapping.mode": "name"} if odd else {}


def _format_flag(value: bool) -> str:
    return str(value).lower()


def _merge(work: Work, step: Merge) -> None:
    """Merge by column name: columns that the rows lack stay unchanged, and are null in new rows."""
    rows = work.rows(step)
    keys = step.on or work.plan.scenario.table.key
    condition = " AND ".join(f"{_OLD}.{quote_name(name)} = {_NEW}.{quote_name(name)}" for name in keys)
    merge = work.table.alias(_OLD).merge(rows.alias(_NEW), condition)
    values: Any = {quote_name(name): f"{_NEW}.{quote_name(name)}" for name in rows.columns}
    if step.merge_schema:
        merge = merge.withSchemaEvolution()
    if step.when_matched == "update":
        merge = merge.whenMatchedUpdate(set=values)
    if step.when_matched == "delete":
        merge = merge.whenMatchedDelete()
    if step.when_not_matched == "insert":
        merge = merge.whenNotMatchedInsert(values=values)
    if step.when_not_matched_by_source == "delete":
        merge = merge.whenNotMatchedBySourceDelete()
    merge.execute()


def _update(work: Work, step: Update) -> None:
    values: Any = {quote_name(name): expression for name, expression in step.assign.items()}
    work.table.update(step.where or "true", values)


def _delete(work: Work, step: Delete) -> None:
    work.table.delete(step.where)


def _add_columns(work: Work, step: AddColumns) -> None:
    columns = ", ".join(f"{quote_name(name)} {kind}" for name, kind in step.columns.items())
    work.spark.sql(f"ALTER TABLE {work.sql_name} ADD COLUMNS ({columns})")


def _restore(work: Work, step: Restore) -> None:
    work.table.restoreToVersion(work.numbers[step.to])


def _optimize(work: Work, step: Optimize) -> None:
    optimize = work.table.optimize()
    if step.where is not None:
        optimize = optimize.where(step.where)
    if step.z_order is None:
        optimize.executeCompaction()
    else:
        optimize.executeZOrderBy(*step.z_order)


def _vacuum(work: Work, step: Vacuum) -> None:
    with _override_setting(work.spark, _RETENTION_CHECK, "false"):
        if not step.break_pins:
            _require_unpinned(work, step)
        work.table.vacuum(step.retain_hours)


def _require_unpinned(work: Work, step: Vacuum) -> None:
    """Require that a vacuum removes no file of a version that this run trains on, and so pins.

    Raises:
        ScenarioError: It would remove one.
    """
    pinned = {
        version.name: work.numbers[version.name]
        for version in work.plan.scenario.versions
        if version.is_trained and version.name in work.numbers
    }
    taken = list_vacuumed_versions(work.spark, work.plan.table_uri, step.retain_hours, pinned)
    if taken:
        names = ", ".join(f"'{name}' (Delta version {pinned[name]})" for name in taken)
        message = (
            f"version '{work.version.name}': its vacuum would remove files of {names}, which the run trains "
            "on. Increase 'retain_hours', or remove the step; 'break_pins: true' removes the files anyway."
        )
        raise ScenarioError([Problem(message, work.at)])


def _sql(work: Work, step: Sql) -> None:
    work.spark.sql(step.statement.replace(TABLE, work.sql_name))


@contextmanager
def _override_setting(spark: SparkSession, name: str, value: str) -> Iterator[None]:
    """Change a setting of the session for the duration of a block."""
    before = spark.conf.get(name, None)
    spark.conf.set(name, value)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, before)
