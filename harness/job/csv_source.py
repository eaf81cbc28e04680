"""CSV files read with Spark, by the same rules as without it (:mod:`harness.reading`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame, SparkSession, functions as F, types as T

from harness.job.stated_columns import Misfits, cast_text, collect_misfits, is_misfit, matches, trim
from harness.job.table_io import column
from harness.reading import value_typing
from harness.reading.column_naming import name_columns, number_columns
from harness.reading.csv_dialect import NOT_A_NUMBER, CsvDialect, parse_dialect
from harness.reading.stated_types import StatedType
from harness.reading.value_typing import Form, choose_type

_NUMBERED = re.compile(r"_c\d+")
_REPLACEMENT = "\ufffd"
"""What Java writes in place of bytes that are not text in the stated encoding."""


class HeaderError(Exception):
    """Files of a folder with different headers."""

    def __init__(self, header: list[str | None], other: list[str | None], file: str) -> None:
        names = [", ".join(name or "" for name in each) for each in (header, other)]
        super().__init__(f"its files have different columns: {names[0]}; but {file} has {names[1]}")


class DamagedTextError(Exception):
    """Text that is not in the stated encoding."""


def read_csv(
    spark: SparkSession,
    uri: str,
    dialect: CsvDialect,
    key: Iterable[str] = (),
    stated: Mapping[str, StatedType] | None = None,
) -> DataFrame:
    """Read a CSV file or a folder of CSV files.

    Args:
        spark: The session.
        uri: The file or folder.
        dialect: How the text is split.
        key: Columns of the table's key, which stay text unless they are whole numbers.
        stated: Types of columns, by their names in lower case (default: by all values of the column).

    Raises:
        DamagedTextError: The text is not in the encoding of the dialect.
        HeaderError: Files of the folder have different headers.
        MisfitError: Values of a column are not of its stated type.
    """
    text = _read_text(spark, uri, dialect)
    if not text.columns:
        return text
    types = _find_types(text, dialect, {name.lower() for name in key}, stated or {})
    return text.select(*(_convert(name, kind, dialect).alias(name) for name, kind in types.items()))


def _read_text(spark: SparkSession, uri: str, dialect: CsvDialect) -> DataFrame:
    """Read columns of text; null for empty fields and null words."""
    options = {
        **dialect.spark_options,
        "multiLine": "true",
        "lineSep": _find_line_break(spark, uri, dialect),
    }
    raw = spark.read.options(**{**options, "header": "false"}).csv(uri)
    # Columns in the names of folders, such as month=3, come after those of the files.
    fields = raw.select(*(name for name in raw.columns if _NUMBERED.fullmatch(name)))
    first = fields.first()
    if first is None:
        return spark.createDataFrame([], T.StructType())
    if dialect.has_header:
        _require_equal_headers(fields, list(first))
    names = name_columns(list(first)) if dialect.has_header else number_columns(len(first))
    schema = T.StructType([T.StructField(name, T.StringType()) for name in names])
    rows = spark.read.options(**options).schema(schema).csv(uri)
    return rows.select(
        *(_nullify(name, dialect, is_last=name == names[-1]).alias(name) for name in rows.columns)
    )


def _require_equal_headers(fields: DataFrame, header: list[str | None]) -> None:
    """Require that the files of a folder have the same header.

    Raises:
        HeaderError: Two files have different ones.
    """
    if len(fields.inputFiles()) == 1:
        return
    # A file with line breaks in fields is read by one task, from its beginning.
    rows = fields.select(
        F.array(*fields.columns).alias("row"),
        "_metadata.file_path",
        F.monotonically_increasing_id().alias("at"),
    )
    firsts = rows.groupBy("file_path").agg(F.min_by("row", "at").alias("row"))
    other = firsts.where(F.col("row") != F.array(*map(F.lit, header))).first()
    if other is not None:
        raise HeaderError(header, list(other["row"]), other["file_path"])


def _find_line_break(spark: SparkSession, uri: str, dialect: CsvDialect) -> str:
    """Return the character that ends rows; a carriage return before a line feed is removed later.

    Spark would take the first break in the file, even inside quotes.
    """
    first = spark.read.option("lineSep", "\n").text(uri).first() if dialect.has_one_byte_line_breaks else None
    is_old = first is not None and "\r" in first[0].rstrip("\r") and dialect.quote not in first[0]
    return "\r" if is_old else "\n"


def _nullify(name: str, dialect: CsvDialect, *, is_last: bool) -> Column:
    value = F.replace(column(name), F.lit("\r\n"), F.lit("\n"))
    if is_last:
        value = F.regexp_replace(value, r"\r\z", "")
    trimmed = trim(value)
    if dialect.trims:
        value = trimmed
    is_null = (value == "") | trimmed.isin(*dialect.nulls) if dialect.nulls else value == ""
    return F.when(~is_null, value)


def type_text(rows: DataFrame, names: Iterable[str], key: Iterable[str]) -> DataFrame:
    """Return rows whose columns of text have the types that follow from their values, as those of a CSV file.

    Args:
        rows: The rows.
        names: The columns of text; all others stay unchanged.
        key: Columns of the table's key.
    """
    dialect = parse_dialect({})
    text = rows.select(*map(column, names))
    types = _find_types(text, dialect, {name.lower() for name in key}, {})
    return rows.withColumns({name: _convert(name, kind, dialect) for name, kind in types.items()})


def _find_types(
    text: DataFrame, dialect: CsvDialect, key: set[str], stated: Mapping[str, StatedType]
) -> dict[str, StatedType]:
    """Return the type of each column, in one pass over all values."""
    # As columns of their own: Spark would otherwise compute them again for each form that is tried.
    plain = text.select(
        *(_plain_number(trim(column(name)), dialect).alias(f"c{at}") for at, name in enumerate(text.columns))
    )
    types = {name: stated.get(name.lower()) for name in text.columns}
    values = [F.col(each) for each in plain.columns]
    is_damaged = F.lit(False)
    for value in values:
        is_damaged |= F.coalesce(value.contains(_REPLACEMENT), F.lit(False))
    aggregates = [
        F.bit_or(_form_of(value)) if kind is None else F.count(F.when(is_misfit(value, kind), 1))
        for value, kind in zip(values, types.values(), strict=True)
    ]
    row = plain.select(F.bool_or(is_damaged), *aggregates).first()
    found = [0] * len(values) if row is None else [each or 0 for each in row[1:]]
    if row is not None and row[0]:
        raise DamagedTextError
    misfits = {
        name: Misfits(value, is_misfit(value, kind), count)
        for (name, kind), value, count in zip(types.items(), values, found, strict=True)
        if kind is not None and count
    }
    if misfits:
        raise collect_misfits(plain, misfits)
    return {
        name: kind or StatedType(choose_type(Form(form), is_key=name.lower() in key))
        for (name, kind), form in zip(types.items(), found, strict=True)
    }


def _form_of(value: Column) -> Column:
    """Return the form of a trimmed value as a number; see :func:`harness.reading.value_typing.find_form`."""
    is_finite = F.abs(value.cast("double")) < float("inf")
    size = (
        F.when(value.cast("int").isNotNull(), F.lit(int(Form.INT)))
        .when(value.cast("bigint").isNotNull(), F.lit(int(Form.BIGINT)))
        .when(value.cast(value_typing.LONG_INTEGER).isNotNull(), F.lit(int(Form.LONG_INTEGER)))
        .when(is_finite, F.lit(int(Form.DOUBLE)))
        .otherwise(F.lit(int(Form.TEXT)))
    )
    is_canonical = matches(value, value_typing.CANONICAL_INTEGER)
    changed = F.when(is_canonical, F.lit(0)).otherwise(F.lit(int(Form.CHANGED_AS_INTEGER)))
    form = (
        F.when(matches(value, value_typing.INTEGER), size.bitwiseOR(changed))
        .when(matches(value, value_typing.NUMBER) & is_finite, F.lit(int(Form.DOUBLE)))
        .when(matches(value, value_typing.BOOLEAN), F.lit(int(Form.BOOLEAN)))
        .when(matches(value, value_typing.DATE) & value.cast("date").isNotNull(), F.lit(int(Form.DATE)))
        .when(
            matches(value, value_typing.TIMESTAMP) & value.cast("timestamp").isNotNull(),
            F.lit(int(Form.TIMESTAMP)),
        )
        .otherwise(F.lit(int(Form.TEXT)))
    )
    return F.when(value.isNotNull(), form)


def _plain_number(value: Column, dialect: CsvDialect) -> Column:
    """Write a number of the dialect with a decimal point; see :meth:`CsvDialect.plain_number`."""
    if dialect.number_form is None:
        return value
    plain = F.translate(value, dialect.thousands, "") if dialect.thousands else value
    return (
        F.when(matches(value, dialect.number_form), F.translate(plain, dialect.decimal, "."))
        .when(matches(value, value_typing.NUMBER), F.concat(F.lit(NOT_A_NUMBER), value))
        .otherwise(value)
    )


def _convert(name: str, kind: StatedType, dialect: CsvDialect) -> Column:
    text = column(name)
    return text if kind.kind == "string" else cast_text(_plain_number(trim(text), dialect), kind)
