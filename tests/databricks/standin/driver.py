"""The program of a task's process: starts the Spark session, then runs the entry point in it.

It runs in the wheel's environment, so it only uses pyspark. Spark's settings are in SPARK_CONF_DIR.

Usage: driver.py PACKAGE ENTRY_POINT PARAMETERS...
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from types import FrameType
from typing import Any

from pyspark.sql import SparkSession

_CATALOG = "spark_catalog"


def main(package: str, name: str, parameters: Sequence[str]) -> int:
    """Run an entry point; the exit code is 0 if it succeeds, else 1."""
    signal.signal(signal.SIGTERM, _end_group)
    spark = SparkSession.builder.appName("Databricks Shell").getOrCreate()
    _register_tables(spark)
    fault = _run(package, name, parameters)
    if not _is_stopped(spark):
        _list_tables(spark)
    if _is_stopped(spark):
        fault = fault or "The Spark context was stopped: it is the cluster's, and no task may stop it."
    else:
        spark.stop()
    if fault:
        sys.stderr.write(f"{fault}\n")
    return 1 if fault else 0


def _register_tables(spark: SparkSession) -> None:
    """Make the workspace's tables known to the session's own catalog, by their schema and name."""
    for full_name, folder in json.loads(os.environ.get("STANDIN_TABLES", "{}")).items():
        catalog, schema, name = full_name.split(".")
        if catalog == _CATALOG:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            spark.sql(f"CREATE TABLE {schema}.{name} USING delta LOCATION '{folder}'")
    for full_name in json.loads(os.environ.get("STANDIN_SCHEMAS", "[]")):
        catalog, schema = full_name.split(".")
        if catalog == _CATALOG:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")


def _list_tables(spark: SparkSession) -> None:
    """Write the names and folders of the managed tables of the session's own catalog."""
    found = {}
    for schema in spark.catalog.listDatabases():
        for table in spark.catalog.listTables(schema.name):
            if table.tableType == "MANAGED":
                name = f"`{schema.name}`.`{table.name}`"
                [row] = spark.sql(f"DESCRIBE DETAIL {name}").select("location").collect()
                found[f"{_CATALOG}.{schema.name}.{table.name}"] = row[0].removeprefix("file:")
    Path("tables.json").write_text(json.dumps(found), encoding="utf-8")


def _run(package: str, name: str, parameters: Sequence[str]) -> str | None:
    """Return what failed, or None if nothing did."""
    try:
        entry_point = _entry_point(package, name)
        sys.argv = [name, *parameters]
        entry_point()
    except SystemExit as end:
        return f"SystemExit: {end.code}" if end.code not in {None, 0} else None
    except BaseException:  # Every error of a task must be shown.
        return traceback.format_exc().rstrip()
    return None


def _entry_point(package: str, name: str) -> Callable[[], Any]:
    """Return the package's console script, or else its attribute of that name."""
    found = distribution(package).entry_points.select(group="console_scripts", name=name)
    for script in found:
        loaded: Callable[[], Any] = script.load()
        return loaded
    attribute: Callable[[], Any] = getattr(import_module(package.replace("-", "_")), name)
    return attribute


def _is_stopped(spark: SparkSession) -> bool:
    context: Any = spark.sparkContext
    return context._jsc is None or context._jsc.sc().isStopped()


def _end_group(number: int, frame: FrameType | None) -> None:
    """End the JVM and the Python workers together with the task."""
    del frame
    signal.signal(number, signal.SIG_DFL)
    os.killpg(os.getpgid(0), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
