"""The rows that a step writes: selected, then changed, and the same on every run."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession, Window, functions as F, types as T

from harness.errors import Location, Problem, ScenarioError, did_you_mean
from harness.job.fingerprint import DIGEST, digest_content, row_digest
from harness.job.prepare import format_key, hash_to_unit_interval
from harness.job.source_reader import TABLE_SOURCE, read_source
from harness.job.spark_errors import attribute_error
from harness.job.table_io import column
from harness.plan import Plan, SourceData
from harness.reading.column_naming import quote_name
from harness.reading.row_content import REPEAT
from harness.scenario.model import Scenario
from harness.scenario.model_base import Value
from harness.scenario.row_source import Loans, Source
from harness.scenario.rows import Rows

_POSITION, _VALUE = "harness_position", "harness_value"
InlineRows = tuple[dict[str, Value | None], ...]
"""Rows that the scenario file lists value by value."""


class Sources:
    """The sources of a scenario's rows; each is opened once."""

    def __init__(self, spark: SparkSession, plan: Plan) -> None:
        self.spark = spark
        self.scenario = plan.scenario
        self._data = plan.sources
        self._opened: dict[str, DataFrame] = {}

    def read_for(self, step: Rows, at: Location) -> DataFrame:
        """Return the rows of a step's source (default: the table's source).

        Raises:
            ScenarioError: There is no source, or Spark can't read it.
        """
        source = step.source or self.scenario.table.source
        if source is None:
            version = self.scenario.versions[int(at[1])].name
            message = f"version '{version}' has no source for its rows"
            remedy = "add 'from' or 'rows', or a 'source' to the table."
            raise ScenarioError([Problem(f"{message}; {remedy}", at)])
        return self._open(source, source_location(step, at))

    def read_table_schema(self) -> T.StructType:
        """Return the schema of the table's source; without columns if the table has no source."""
        source = self.scenario.table.source
        return T.StructType() if source is None else self._open(source, TABLE_SOURCE).schema

    def find_file(self, step: Rows) -> SourceData | None:
        """Return the file that a step's rows come from; ``None`` for generated or inline rows."""
        source = step.source or self.scenario.table.source
        return None if source is None or step.rows is not None else self._data.get(source.path)

    def _open(self, source: Source, at: Location) -> DataFrame:
        name = source.model_dump_json()
        if name not in self._opened:
            rows = (
                read_source(self.spark, self._data[source.path], self.scenario.table, at)
                if source.generate is None
                else _generate(self.spark, source.generate)
            )
            self._opened[name] = _add_content_key(rows, self.scenario, at)
        return self._opened[name]


def source_location(step: Rows, at: Location) -> Location:
    """Return where the scenario file names the source of a step's rows."""
    return (*at, "from") if step.source else TABLE_SOURCE


def _add_content_key(rows: DataFrame, scenario: Scenario, at: Location) -> DataFrame:
    """Add the key if it is a digest of the rows' content; identical rows are numbered."""
    if scenario.table.key_from != "content":
        return rows
    [key] = scenario.table.key
    if key.lower() in (name.lower() for name in rows.columns):
        message = f"the rows have a column '{key}' already; name another key, or remove 'key_from'."
        raise ScenarioError([Problem(message, at)])
    # Which of identical rows has which number makes no difference.
    number = F.row_number().over(Window.partitionBy(F.col(DIGEST)).orderBy(F.lit(1)))
    numbered = rows.withColumn(DIGEST, digest_content(rows.schema)).withColumn(_POSITION, number)
    repeat = F.concat(F.col(DIGEST), F.lit(REPEAT), F.col(_POSITION).cast("string"))
    value = F.when(F.col(_POSITION) == 1, F.col(DIGEST)).otherwise(repeat)
    return numbered.select(*(column(name) for name in rows.columns), value.alias(key))


def _generate(spark: SparkSession, loans: Loans) -> DataFrame:
    from harness.job.synthetic_loans import generate_loans

    return generate_loans(spark, loans)


def make_rows(sources: Sources, step: Rows, table_schema: T.StructType | None, at: Location) -> DataFrame:
    """Return the rows of one step.

    Args:
        sources: Where the rows come from.
        step: The step as the scenario specifies it.
        table_schema: The table's schema; ``None`` before its first version.
        at: The step's location in the scenario file.

    Raises:
        ScenarioError: A condition, an expression or a value doesn't fit, or a column is unknown.
    """
    if step.rows is None:
        rows = sources.read_for(step, at)
    else:
        rows = _make_inline_rows(sources, step.rows, table_schema, at)
        rows = _add_content_key(rows, sources.scenario, (*at, "rows"))
    if step.where is not None:
        with attribute_error("the rows can't be selected", (*at, "where")):
            rows = rows.where(step.where)
    if step.sample is not None:
        with attribute_error("the rows can't be sampled by their key", (*at, "sample")):
            drawn = hash_to_unit_interval(format_key(sources.scenario), "sample", sources.scenario.seed)
            rows = rows.where(drawn < step.sample)
    if step.assign:
        rows = _assign(rows, step.assign, at)
    return rows if step.shuffle is None else _shuffle(rows, step.shuffle, sources.scenario, at)


def list_column_names(sources: Sources, step: Rows, at: Location) -> set[str]:
    """Return the names of the columns that a step's rows will have."""
    names = {name for row in step.rows for name in row} if step.rows else sources.read_for(step, at).columns
    return {*names, *step.assign}


def _assign(rows: DataFrame, assign: dict[str, str], at: Location) -> DataFrame:
    """Replace or add columns; every expression refers to the rows as they were read."""
    for name, expression in assign.items():
        with attribute_error(f"'{name}' can't be set", (*at, "set", name)):
            rows.select(F.expr(expression))
    return rows.withColumns({name: F.expr(expression) for name, expression in assign.items()})


def _make_inline_rows(
    sources: Sources, rows: InlineRows, table_schema: T.StructType | None, at: Location
) -> DataFrame:
    """Return inline rows with the types of the table's columns, or else those of its source."""
    types = _find_types(sources, rows, table_schema, at)
    # As text first, because Spark's cast knows how values of each type are written.
    schema = T.StructType([T.StructField(name, T.StringType()) for name in types])
    frame = sources.spark.createDataFrame(
        [tuple(_format_value(row.get(name)) for name in types) for row in rows], schema
    )
    typed = {
        name: F.expr(f"try_cast({quote_name(name)} AS {data_type.simpleString()})")
        for name, data_type in types.items()
    }
    with attribute_error("the rows can't be created", (*at, "rows")):
        misfits = frame.select(
            *((column(name).isNotNull() & cast.isNull()).alias(name) for name, cast in typed.items())
        ).collect()
    problems = [
        Problem(f"{row[name]!r} is not of type {types[name].simpleString()}.", (*at, "rows", index, name))
        for index, (row, misfit) in enumerate(zip(rows, misfits, strict=True))
        for name, is_misfit in zip(types, misfit, strict=True)
        if is_misfit
    ]
    if problems:
        raise ScenarioError(problems)
    return frame.select(*(cast.alias(name) for name, cast in typed.items()))


def _find_types(
    sources: Sources, rows: InlineRows, table_schema: T.StructType | None, at: Location
) -> dict[str, T.DataType]:
    """Return the type of each column of inline rows."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    types = {field.name.lower(): field.dataType for field in table_schema or ()}
    if any(name.lower() not in types for name in names):
        types = {field.name.lower(): field.dataType for field in sources.read_table_schema()} | types
    problems = [_unknown_column(name, rows, types, at) for name in names if name.lower() not in types]
    if problems:
        raise ScenarioError(problems)
    return {name: types[name.lower()] for name in names}


def _unknown_column(name: str, rows: InlineRows, types: dict[str, T.DataType], at: Location) -> Problem:
    index = next(index for index, row in enumerate(rows) if name in row)
    message = f"the type of column '{name}' is unknown: neither the table nor its source has it."
    remedy = did_you_mean(name, types) or " Add a new column with 'set', such as CAST(1 AS INT)."
    return Problem(message + remedy, (*at, "rows", index, name))


def _format_value(value: Value | None) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shuffle(rows: DataFrame, name: str, scenario: Scenario, at: Location) -> DataFrame:
    """Redistribute a column's values at random.

    Pairs two random orders of the rows, and moves each value along. Both orders are by a hash of the key,
    then by the whole row if keys are equal, so that they depend neither on files nor on partitions.
    """
    names = {each.lower(): each for each in rows.columns}
    if name.lower() not in names:
        message = f"the rows have no column '{name}' to shuffle.{did_you_mean(name, rows.columns)}"
        raise ScenarioError([Problem(message, (*at, "shuffle"))])
    shuffled = names[name.lower()]
    with attribute_error(f"'{name}' can't be shuffled by the rows' key", (*at, "shuffle")):
        takers = rows.withColumn(_POSITION, _rank(rows, "taker", scenario))
        givers = rows.select(column(shuffled).alias(_VALUE), _rank(rows, "giver", scenario).alias(_POSITION))
    return takers.join(givers, _POSITION).select(
        *(column(_VALUE).alias(each) if each == shuffled else column(each) for each in rows.columns)
    )


def _rank(rows: DataFrame, purpose: str, scenario: Scenario) -> Column:
    chance = hash_to_unit_interval(format_key(scenario), f"shuffle {purpose}", scenario.seed)
    return F.row_number().over(Window.orderBy(chance, row_digest(rows.schema)))
