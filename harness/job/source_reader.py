"""Sources of rows, read with Spark: files and folders in every format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from harness.errors import Location, Problem, ScenarioError
from harness.job.csv_source import DamagedTextError, MisfitError, read_csv
from harness.job.parquet_source import read_parquet
from harness.job.spark_errors import summarize_root_cause
from harness.plan import SourceData
from harness.reading.csv_dialect import CsvDialect, parse_dialect
from harness.reading.csv_text import CsvError, explain_bad_bytes, open_csv
from harness.reading.stated_types import parse_stated_type
from harness.scenario.model import Table
from harness.storage.uris import find_local_path
from harness.views.formatting import format_count

# Messages of Spark and its readers about a file that is not in the expected format.
_FORMAT_ERRORS = (
    "MALFORMED",
    "Malformed",
    "CANNOT_READ_FILE",
    "Could not read footer",
    "is not a Parquet file",
)
_READER_OPTIONS = {
    # A malformed row is an error to report, not a row of nulls.
    "json": {"mode": "FAILFAST"},
}
TABLE_SOURCE: Location = ("table", "source")


def read_source(
    spark: SparkSession, source: SourceData, table: Table, at: Location = TABLE_SOURCE
) -> DataFrame:
    """Read the rows of a source file or folder.

    Args:
        spark: The session.
        source: What to read.
        table: The scenario's table, with its key and the types that are stated for its columns.
        at: Where the scenario file names the source.

    Raises:
        ScenarioError: Spark can't read it, or a value is not of the type that is stated for its column.
    """
    try:
        if source.format == "csv":
            return _read_csv(spark, source, table, at)
        if source.format == "parquet":
            return read_parquet(spark, source.uri, source.options)
        options = {**_READER_OPTIONS.get(source.format, {}), **source.options}
        if source.format == "json" and "multiline" not in map(str.lower, options):
            first = spark.read.text(source.uri).where("trim(value) != ''").first()
            options["multiLine"] = str(first is not None and first[0].strip().startswith("[")).lower()
        return spark.read.format(source.format).options(**options).load(source.uri)
    except (PySparkException, Py4JJavaError) as error:
        raise unreadable_source_error(source, error, at) from error


def _read_csv(spark: SparkSession, source: SourceData, table: Table, at: Location) -> DataFrame:
    dialect = parse_dialect(source.options)
    stated = {name.lower(): parse_stated_type(kind) for name, kind in table.columns.items()}
    try:
        return read_csv(spark, source.uri, dialect, table.key, stated)
    except DamagedTextError as error:
        path = _local_file(source)
        reason = "it is not " + dialect.encoding.upper() + " text; name its encoding in 'options'"
        if path is not None:
            reason = explain_bad_bytes(path, dialect.encoding)
        raise ScenarioError([Problem(f"can't read {source.uri} as csv: {reason}.", at)]) from error
    except MisfitError as error:
        raise ScenarioError(list(_describe_misfits(error, source, dialect, table))) from error


def _describe_misfits(
    error: MisfitError, source: SourceData, dialect: CsvDialect, table: Table
) -> Iterator[Problem]:
    kinds = {name.lower(): kind for name, kind in table.columns.items()}
    written = {name.lower(): name for name in table.columns}
    for name, values in error.examples.items():
        lines = _find_lines(source, dialect, name, values)
        shown = ", ".join(
            f"{value!r} in line {lines[value]}" if value in lines else repr(value)
            for value in dict.fromkeys(values)
        )
        count = error.counts[name]
        rows = format_count(count, "row")
        yield Problem(
            f"column '{name}' of {source.uri} is not of type {kinds[name.lower()]} in {rows}: {shown}.",
            ("table", "columns", written[name.lower()]),
        )


def _find_lines(
    source: SourceData, dialect: CsvDialect, name: str, values: tuple[str, ...]
) -> dict[str, int]:
    """Return the first line with each value, if the file is on this machine."""
    path = _local_file(source)
    if path is None:
        return {}
    missing, found = set(values), dict[str, int]()
    try:
        table = open_csv(path, dialect)
        at = table.columns.index(name)
        for line, fields in table.rows:
            value = dialect.plain_number(fields[at] or "")
            if value in missing:
                found[value] = line
                missing.remove(value)
                if not missing:
                    break
    except (CsvError, OSError):
        return found
    return found


def _local_file(source: SourceData) -> Path | None:
    path = find_local_path(source.uri, Path("/"))
    return path if path is not None and path.is_file() else None


def is_format_error(error: Exception) -> bool:
    """Return whether an error is about a malformed file; Spark may notice only when it reads rows."""
    return any(sign in str(error) for sign in _FORMAT_ERRORS)


def unreadable_source_error(source: SourceData, error: Exception, at: Location) -> ScenarioError:
    """Return the error for a source that Spark can't read in its declared format."""
    message = f"can't read {source.uri} as {source.format}: {summarize_root_cause(error)}"
    return ScenarioError([Problem(message, at)])
