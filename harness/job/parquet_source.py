"""Parquet files read with Spark, with timestamps in nanoseconds as timestamps."""

from __future__ import annotations

import re
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.job.table_io import column
from harness.reading.column_naming import quote_name

_NANOSECONDS = re.compile(r"int64 (.+) \(TIMESTAMP\(NANOS,(true|false)\)\)")


class MixedUnitsError(Exception):
    """A file of a folder whose timestamps have another unit than those of the files before it."""

    def __init__(self, file: str) -> None:
        super().__init__(
            "some of its files have timestamps in nanoseconds and others don't, such as "
            f"{file}; write all of them with the same unit"
        )


def read_parquet(spark: SparkSession, uri: str, options: dict[str, str]) -> DataFrame:
    """Read a Parquet file or folder.

    Spark refuses timestamps in nanoseconds, which pandas writes by default. The session reads them as numbers
    (``spark.sql.legacy.parquet.nanosAsLong``), and digits beyond the microsecond are cut off here.

    Raises:
        MixedUnitsError: Only some of the files have timestamps in nanoseconds.
    """
    rows = spark.read.options(**options).parquet(uri)
    nanoseconds: dict[str, str] = {}
    for at, file in enumerate(rows.inputFiles() if "bigint" in dict(rows.dtypes).values() else ()):
        found = _find_nanoseconds(spark, file)
        if at and found != nanoseconds:
            raise MixedUnitsError(file)
        nanoseconds = found
    return rows.select(
        *(
            _to_timestamp(name, nanoseconds[name]).alias(name)
            if nanoseconds.get(name) and kind == "bigint"
            else column(name)
            for name, kind in rows.dtypes
        )
    )


def _find_nanoseconds(spark: SparkSession, file: str) -> dict[str, str]:
    """Return the columns of a file with timestamps in nanoseconds, with their types."""
    # Spark's own reader of footers has no public way from Python.
    context: Any = spark.sparkContext
    jvm, configuration = context._jvm, context._jsc.hadoopConfiguration()  # noqa: SLF001
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(file))
    source = jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(path, configuration)
    reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(source)
    try:
        schema = reader.getFooter().getFileMetaData().getSchema().toString()
    finally:
        reader.close()
    return {
        name: "timestamp" if is_utc == "true" else "timestamp_ntz"
        for name, is_utc in _NANOSECONDS.findall(schema)
    }


def _to_timestamp(name: str, kind: str) -> Column:
    quoted = quote_name(name)
    # 'div' divides whole numbers; '/' would divide doubles, which have too few digits.
    return F.expr(f"timestamp_micros(({quoted} - pmod({quoted}, 1000L)) div 1000L)").cast(kind)
