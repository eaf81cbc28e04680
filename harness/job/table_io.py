"""Versions of a Delta table, read with Spark, and the removal of what a run built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.job.lake_files import open_lake_files
from harness.plan import Plan
from harness.reading.column_naming import quote_name
from harness.table_names import is_table_name, quote_table_name


def open_table(spark: SparkSession, table: str) -> DeltaTable:
    """Return a Delta table by its URI or its name in a catalog, in Delta's Python interface."""
    if not is_table_name(table):
        return DeltaTable.forPath(spark, table)
    # Outside Databricks, Delta only takes names of two levels, in the session's own catalog.
    own_catalog = f"`{spark.catalog.currentCatalog()}`."
    return DeltaTable.forName(spark, quote_table_name(table).removeprefix(own_catalog))


def format_table(table: str) -> str:
    """Return a table in a statement of Spark's SQL, by its URI or its name in a catalog."""
    return quote_table_name(table) if is_table_name(table) else f"delta.{quote_name(table)}"


def describe_history(spark: SparkSession, table: str, limit: int | None = None) -> DataFrame:
    """Return the commits of a Delta table, by its URI or its name in a catalog.

    Args:
        spark: The session.
        table: The table. A catalog doesn't let anybody near the files behind a name.
        limit: The largest number of commits, the newest first (default: all).
    """
    if not is_table_name(table):
        return DeltaTable.forPath(spark, table).history(limit)
    # Not DeltaTable.forName, which only takes names of two levels outside Databricks.
    newest = "" if limit is None else f" LIMIT {limit}"
    return spark.sql(f"DESCRIBE HISTORY {quote_table_name(table)}{newest}")


def describe_detail(spark: SparkSession, table: str) -> DataFrame:
    """Return the one row that describes a Delta table, by its URI or its name in a catalog."""
    if not is_table_name(table):
        return DeltaTable.forPath(spark, table).detail()
    return spark.sql(f"DESCRIBE DETAIL {quote_table_name(table)}")


def read_version(spark: SparkSession, table: str, version: int) -> DataFrame:
    """Read a table at a version, by its URI or its name in a catalog."""
    if is_table_name(table):
        # Not an option of the reader: with a name, that has the columns of the newest version.
        quoted = quote_table_name(table)
        return spark.sql(f"SELECT * FROM {quoted} VERSION AS OF {int(version)}")  # noqa: S608 - a quoted name
    return spark.read.format("delta").option("versionAsOf", version).load(table)


def read_version_at(spark: SparkSession, table: str, time: datetime) -> DataFrame:
    """Read a table as it was at a time, which must have a time zone, by its URI or its name in a catalog."""
    moment = time.isoformat(timespec="milliseconds")
    if is_table_name(table):
        quoted = quote_table_name(table)
        return spark.sql(f"SELECT * FROM {quoted} TIMESTAMP AS OF '{moment}'")  # noqa: S608 - the same
    return spark.read.format("delta").option("timestampAsOf", moment).load(table)


def read_table(spark: SparkSession, name: str, options: Mapping[str, str]) -> DataFrame:
    """Read a table or view in a catalog, with the options of Delta's reader that choose a version."""
    chosen = {option.lower(): value for option, value in options.items()}
    quoted = quote_table_name(name)
    if (version := chosen.get("versionasof")) is not None:
        return read_version(spark, name, int(version))
    if (time := chosen.get("timestampasof")) is not None:
        moment = re.sub(r"([\\'])", r"\\\1", time)
        return spark.sql(f"SELECT * FROM {quoted} TIMESTAMP AS OF '{moment}'")  # noqa: S608 - escaped
    return spark.table(quoted)


def column(name: str) -> Column:
    """Return the column with exactly this name: a dot in it does not select a struct's field."""
    return F.col(quote_name(name))


def unite(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames, of which there is at least one.

    Spark analyzes the whole plan with each union: one after the other, that takes quadratic time.
    """
    while len(frames) > 1:
        pairs = zip(frames[::2], frames[1::2], strict=False)
        frames = [one.unionByName(other) for one, other in pairs] + list(frames[len(frames) // 2 * 2 :])
    return frames[0]


def remove_table(spark: SparkSession, plan: Plan) -> None:
    """Remove the table that a run has built, with all its versions; never an existing table."""
    if plan.existing_table is not None:
        return
    if is_table_name(plan.table_uri):
        spark.sql(f"DROP TABLE IF EXISTS {quote_table_name(plan.table_uri)}")
        return
    open_lake_files(spark, plan.table_uri).remove(plan.table_uri)


def remove_commits_after(spark: SparkSession, uri: str, version: int) -> None:
    """Remove the newest commits of a table that a run builds, as if they had never been made.

    Their data files stay; no version refers to them any more.

    Args:
        spark: The session.
        uri: The table, which nobody else writes.
        version: The last Delta version to keep.
    """
    files = open_lake_files(spark, uri)
    listed = list(files.list_files(f"{uri}/_delta_log"))
    later = {file.name: file for file in listed if _find_number(file.name) > version}
    # A checkpoint may be that of a later version.
    pointer = [file for file in listed if file.name == "_last_checkpoint"]
    # The newest one first: if this is interrupted, what is left is a table without gaps.
    for file in (*pointer, *(later[name] for name in sorted(later, reverse=True))):
        files.remove(file.uri)
    context: Any = spark.sparkContext
    context._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # noqa: SLF001


def _find_number(file: str) -> int:
    """Return the version of a file of the log; -1 for other files."""
    number = file.partition(".")[0]
    return int(number) if number.isdecimal() else -1


def remove_scratch(spark: SparkSession, plan: Plan) -> None:
    """Remove the scratch files that the run has left in the lake, and the run's folder if it is empty."""
    if plan.environment.scratch is not None:
        return  # The target removes it with the run's other uploads.
    files = open_lake_files(spark, plan.run_uri)
    files.remove(plan.scratch_uri)
    files.remove_if_empty(plan.run_uri)
