"""A copy of a Delta table as Parquet files, for tables that only Spark can read.

``python -m harness.job.copy_table ENVIRONMENT TABLE FOLDER``: the environment is a JSON file, and the folder
must not exist.
"""

from __future__ import annotations

import sys
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession, types as T

from harness.job.spark_errors import find_author_error, format_error, summarize_error
from harness.job.spark_session import open_spark_session
from harness.job.table_io import column
from harness.plan import Environment


def copy_table(spark: SparkSession, table: str, folder: str) -> None:
    """Write the newest version of a table as Parquet files; columns without any value become text."""
    rows = spark.read.format("delta").load(table)
    columns = [
        column(field.name).cast("string").alias(field.name)
        if isinstance(field.dataType, T.NullType)
        else column(field.name)
        for field in rows.schema
    ]
    rows.select(*columns).write.parquet(folder)


def _main() -> int:
    environment, table, folder = sys.argv[1:]
    spark = open_spark_session(Environment.model_validate_json(Path(environment).read_text(encoding="utf-8")))
    try:
        copy_table(spark, table, folder)
    except (PySparkException, Py4JJavaError) as error:
        named = find_author_error(error)
        sys.stdout.write(format_error(named) if named is not None else summarize_error(error))
        return 1
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(_main())
