"""Sources of rows, read with Spark: files and folders in every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, types as T

from harness.errors import Location, Problem, ScenarioError
from harness.job.csv_source import DamagedTextError, HeaderError, read_csv, type_text
from harness.job.parquet_source import MixedUnitsError, read_parquet
from harness.job.spark_errors import summarize_error
from harness.job.stated_columns import MisfitError, apply_stated_types
from harness.job.table_io import read_table
from harness.plan import SourceData
from harness.reading.csv_dialect import parse_dialect
from harness.reading.csv_text import explain_bad_bytes, open_csv
from harness.reading.data_folders import parse_partitions
from harness.reading.json_rows import list_json_fields
from harness.reading.stated_types import StatedType, parse_stated_type
from harness.reading.value_typing import BLANKS
from harness.scenario.model import Table
from harness.storage.uris import find_local_path
from harness.table_names import is_table_name
from harness.views.formatting import format_count

# Messages of Spark and its readers about a file that is not in the expected format.
_FORMAT_ERRORS = (
    "MALFORMED",
    "Malformed",
    "CANNOT_READ_FILE",
    "Could not read footer",
    "is not a Parquet file",
)
# A malformed row is an error to report, not a row of nulls.
_JSON_OPTIONS = {"mode": "FAILFAST"}
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
    stated = {name.lower(): parse_stated_type(kind) for name, kind in table.columns.items()}
    try:
        match source.format:
            case "csv":
                return _read_csv(spark, source, table.key, stated, at)
            case "json":
                rows = _type_partitions(_read_json(spark, source, stated), source, table.key)
            case "parquet":
                rows = _type_partitions(read_parquet(spark, source.uri, source.options), source, table.key)
            case _ if is_table_name(source.uri):
                rows = read_table(spark, source.uri, source.options)
            case _:
                rows = spark.read.format(source.format).options(**source.options).load(source.uri)
        return apply_stated_types(rows, stated)
    except (HeaderError, MixedUnitsError) as error:
        raise ScenarioError([Problem(f"can't read {source.uri} as {source.format}: {error}.", at)]) from error
    except MisfitError as error:
        raise ScenarioError(list(_describe_misfits(error, source, table))) from error
    except (PySparkException, Py4JJavaError) as error:
        raise unreadable_source_error(source, error, at) from error


def _read_csv(
    spark: SparkSession,
    source: SourceData,
    key: Iterable[str],
    stated: Mapping[str, StatedType],
    at: Location,
) -> DataFrame:
    dialect = parse_dialect(source.options)
    try:
        return read_csv(spark, source.uri, dialect, key, stated)
    except DamagedTextError as error:
        path = _local_file(source)
        reason = "it is not " + dialect.encoding.upper() + " text; name its encoding in 'options'"
        if path is not None:
            reason = explain_bad_bytes(path, dialect.encoding)
        raise ScenarioError([Problem(f"can't read {source.uri} as csv: {reason}.", at)]) from error


def _type_partitions(rows: DataFrame, source: SourceData, key: Iterable[str]) -> DataFrame:
    """Type the columns in the names of folders, which are text, by the same rules as those of CSV files."""
    root = urlsplit(source.uri).path
    paths = (PurePath(urlsplit(file).path.partition(root)[2]) for file in rows.inputFiles())
    names = dict.fromkeys(name for path in paths for name in parse_partitions(path))
    texts = [name for name, kind in rows.dtypes if name in names and kind == "string"]
    return type_text(rows, texts, key) if texts else rows


def _read_json(spark: SparkSession, source: SourceData, stated: Mapping[str, StatedType]) -> DataFrame:
    """Read JSON; columns with a stated type as the text that the file has, with all of its digits."""
    options = {**_JSON_OPTIONS, **source.options}
    if "multiline" not in map(str.lower, options):
        first = spark.read.text(source.uri).where("trim(value) != ''").first()
        options["multiLine"] = str(first is not None and first[0].strip().startswith("[")).lower()
    reader = spark.read.format("json").options(**options)
    rows = reader.load(source.uri)
    if not {name.lower() for name in rows.columns} & stated.keys():
        return rows
    fields = [
        T.StructField(each.name, T.StringType() if each.name.lower() in stated else each.dataType)
        for each in rows.schema
    ]
    return reader.schema(T.StructType(fields)).load(source.uri)


def _describe_misfits(error: MisfitError, source: SourceData, table: Table) -> Iterator[Problem]:
    kinds = {name.lower(): kind for name, kind in table.columns.items()}
    written = {name.lower(): name for name in table.columns}
    for name, values in error.examples.items():
        lines = _find_lines(source, name, set(values))
        shown = ", ".join(
            f"{value!r} in line {lines[value]}" if value in lines else repr(value)
            for value in dict.fromkeys(values)
        )
        if name.lower() in map(str.lower, table.sensitive):
            shown = f"see line {min(lines.values())}" if lines else "its values are sensitive"
        count = error.counts[name]
        rows = format_count(count, "row")
        yield Problem(
            f"column '{name}' of {source.uri} is not of type {kinds[name.lower()]} in {rows}: {shown}.",
            ("table", "columns", written[name.lower()]),
        )


def _find_lines(source: SourceData, name: str, values: set[str]) -> dict[str, int]:
    """Return the first line with each value, if the file is on this machine and has lines."""
    path = _local_file(source)
    if path is None or source.format not in _FIELD_READERS:
        return {}
    found = dict[str, int]()
    try:
        for line, value in _FIELD_READERS[source.format](path, source.options, name):
            if value in values:
                found.setdefault(value, line)
                if len(found) == len(values):
                    break
    except (ValueError, OSError):
        return found
    return found


def _list_csv_fields(path: Path, options: Mapping[str, str], name: str) -> Iterator[tuple[int, str | None]]:
    dialect = parse_dialect(options)
    table = open_csv(path, dialect)
    at = table.columns.index(name)
    for line, fields in table.rows:
        yield line, dialect.plain_number((fields[at] or "").strip(BLANKS))


_FIELD_READERS = {"csv": _list_csv_fields, "json": list_json_fields}
"""Format to a function that yields line and text of each field of a column."""


def _local_file(source: SourceData) -> Path | None:
    path = find_local_path(source.uri, Path("/"))
    return path if path is not None and path.is_file() else None


def is_format_error(error: Exception) -> bool:
    """Return whether an error is about a malformed file; Spark may notice only when it reads rows."""
    return any(sign in str(error) for sign in _FORMAT_ERRORS)


def unreadable_source_error(source: SourceData, error: Exception, at: Location) -> ScenarioError:
    """Return the error for a source that Spark can't read in its declared format."""
    message = f"can't read {source.uri} as {source.format}: {summarize_error(error)}"
    return ScenarioError([Problem(message, at)])
