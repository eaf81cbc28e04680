"""The rows that a step brings: chosen, then changed, and the same ones on every run."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession, Window, functions as F, types as T

from harness.errors import Location, Problem, ScenarioError
from harness.job.fingerprint import row_digest
from harness.job.prepare import key_text, uniform
from harness.job.spark_errors import blamed_on
from harness.job.table_io import column, quoted, read_source
from harness.plan import Plan, SourceData
from harness.scenario.model import Scenario
from harness.scenario.model_base import Value
from harness.scenario.row_source import Loans, Source
from harness.scenario.rows import Rows
from harness.suggestions import did_you_mean

_PLACE, _VALUE = "harness_place", "harness_value"
_OWN_SOURCE: Location = ("table", "source")
Written = tuple[dict[str, Value | None], ...]
"""Rows as the scenario file writes them out."""


class Sources:
    """What the scenario's rows come from, each source opened once."""

    def __init__(self, spark: SparkSession, plan: Plan) -> None:
        self.spark = spark
        self.scenario = plan.scenario
        self._data = plan.sources
        self._opened: dict[str, DataFrame] = {}

    def of(self, step: Rows, at: Location) -> DataFrame:
        """The rows of a step's own source, or of the table's.

        Raises:
            ScenarioError: There is no source, or Spark can't read it.
        """
        source = step.source or self.scenario.table.source
        if source is None:
            message = "there is no source; name one under 'from' or the table's 'source', or write 'rows'."
            raise ScenarioError([Problem(message, at)])
        return self._open(source, place_of(step, at))

    def schema_of_table(self) -> T.StructType:
        """Of the table's own source; without columns where there is none."""
        own = self.scenario.table.source
        return T.StructType() if own is None else self._open(own, _OWN_SOURCE).schema

    def data_of(self, step: Rows) -> SourceData | None:
        """The file that a step's rows come from; none for rows that are made or written out."""
        source = step.source or self.scenario.table.source
        return None if source is None or step.rows is not None else self._data.get(source.path)

    def _open(self, source: Source, at: Location) -> DataFrame:
        name = source.model_dump_json()
        if name not in self._opened:
            self._opened[name] = (
                read_source(self.spark, self._data[source.path], at)
                if source.generate is None
                else _generated(self.spark, source.generate)
            )
        return self._opened[name]


def place_of(step: Rows, at: Location) -> Location:
    """Where the scenario file names the source of a step's rows."""
    return (*at, "from") if step.source else _OWN_SOURCE


def _generated(spark: SparkSession, made: Loans) -> DataFrame:
    from harness.job.synthetic_loans import loans

    return loans(spark, made)


def make_rows(sources: Sources, step: Rows, known: T.StructType | None, at: Location) -> DataFrame:
    """The rows of one step.

    Args:
        sources: What they come from.
        step: What the scenario says of them.
        known: The table's schema; none before its first version.
        at: The step's place in the scenario file.

    Raises:
        ScenarioError: A condition, an expression or a value does not fit, or a column is not known.
    """
    rows = sources.of(step, at) if step.rows is None else _written(sources, step.rows, known, at)
    if step.where is not None:
        with blamed_on("the rows can't be chosen", (*at, "where")):
            rows = rows.where(step.where)
    if step.sample is not None:
        with blamed_on("the rows can't be sampled by their key", (*at, "sample")):
            drawn = uniform(key_text(sources.scenario), "sample", sources.scenario.seed)
            rows = rows.where(drawn < step.sample)
    if step.assign:
        rows = _assigned(rows, step.assign, at)
    return rows if step.shuffle is None else _shuffled(rows, step.shuffle, sources.scenario, at)


def brought_names(sources: Sources, step: Rows, at: Location) -> set[str]:
    """The names of the columns that a step's rows will have."""
    known = {name for row in step.rows for name in row} if step.rows else sources.of(step, at).columns
    return {*known, *step.assign}


def _assigned(rows: DataFrame, assign: dict[str, str], at: Location) -> DataFrame:
    """With columns replaced or added; every expression sees the rows as they came."""
    for name, expression in assign.items():
        with blamed_on(f"'{name}' can't be set", (*at, "set", name)):
            rows.select(F.expr(expression))
    return rows.withColumns({name: F.expr(expression) for name, expression in assign.items()})


def _written(sources: Sources, rows: Written, known: T.StructType | None, at: Location) -> DataFrame:
    """The rows that the scenario writes out, in the types of the table's columns, or of its source's."""
    kinds = _kinds(sources, rows, known, at)
    # As texts first, which Spark casts: it knows how a value of each type is written.
    schema = T.StructType([T.StructField(name, T.StringType()) for name in kinds])
    frame = sources.spark.createDataFrame(
        [tuple(_text(row.get(name)) for name in kinds) for row in rows], schema
    )
    typed = {
        name: F.expr(f"try_cast({quoted(name)} AS {kind.simpleString()})") for name, kind in kinds.items()
    }
    with blamed_on("the rows can't be made", (*at, "rows")):
        misfits = frame.select(
            *((column(name).isNotNull() & cast.isNull()).alias(name) for name, cast in typed.items())
        ).collect()
    problems = [
        Problem(f"{row[name]!r} is no {kinds[name].simpleString()}.", (*at, "rows", index, name))
        for index, (row, misfit) in enumerate(zip(rows, misfits, strict=True))
        for name, is_misfit in zip(kinds, misfit, strict=True)
        if is_misfit
    ]
    if problems:
        raise ScenarioError(problems)
    return frame.select(*(cast.alias(name) for name, cast in typed.items()))


def _kinds(
    sources: Sources, rows: Written, known: T.StructType | None, at: Location
) -> dict[str, T.DataType]:
    """The columns that are written out, each with its type."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {field.name.lower(): field.dataType for field in known or ()}
    if any(name.lower() not in kinds for name in names):
        kinds = {field.name.lower(): field.dataType for field in sources.schema_of_table()} | kinds
    problems = [_unknown(name, rows, kinds, at) for name in names if name.lower() not in kinds]
    if problems:
        raise ScenarioError(problems)
    return {name: kinds[name.lower()] for name in names}


def _unknown(name: str, rows: Written, kinds: dict[str, T.DataType], at: Location) -> Problem:
    index = next(index for index, row in enumerate(rows) if name in row)
    message = f"neither the table nor its source has a column '{name}', so that its type is not known."
    remedy = did_you_mean(name, kinds) or " Bring a new column by 'set', such as CAST(1 AS INT)."
    return Problem(message + remedy, (*at, "rows", index, name))


def _text(value: Value | None) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shuffled(rows: DataFrame, name: str, scenario: Scenario, at: Location) -> DataFrame:
    """The n-th row in one order is dealt the value of the n-th row in another.

    Both orders are by a hash of the key, and by the whole row where keys are alike: neither files nor
    partitions have a say in it.
    """
    known = {each.lower(): each for each in rows.columns}
    if name.lower() not in known:
        message = f"the rows have no column '{name}' to be shuffled.{did_you_mean(name, rows.columns)}"
        raise ScenarioError([Problem(message, (*at, "shuffle"))])
    dealt = known[name.lower()]
    with blamed_on(f"'{name}' can't be shuffled by the rows' key", (*at, "shuffle")):
        takers = rows.withColumn(_PLACE, _place(rows, "taker", scenario))
        givers = rows.select(column(dealt).alias(_VALUE), _place(rows, "giver", scenario).alias(_PLACE))
    return takers.join(givers, _PLACE).select(
        *(column(_VALUE).alias(each) if each == dealt else column(each) for each in rows.columns)
    )


def _place(rows: DataFrame, purpose: str, scenario: Scenario) -> Column:
    chance = uniform(key_text(scenario), f"shuffle {purpose}", scenario.seed)
    return F.row_number().over(Window.orderBy(chance, row_digest(rows.schema)))
