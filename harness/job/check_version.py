"""Checks of one version before any training: its size, its fingerprint, its problems.

What is counted over the rows of several versions at once comes from ``harness.job.facts_by_file``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.errors import ScenarioError
from harness.job import fingerprint
from harness.job.data_checks import find_problems, require_columns
from harness.job.prepare import (
    HELD_OUT,
    IGNORED,
    LABEL_VALUE,
    add_feature_columns,
    add_label,
    format_key,
    has_key,
    meets_filter,
    number_columns,
)
from harness.job.spark_errors import attribute_error
from harness.job.table_io import column
from harness.job.version_files import VersionFiles
from harness.pipelines import FOLD, KEY
from harness.reading.column_naming import quote_name
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.sensitive import hide_value

_INFINITE = "double('infinity'), double('-infinity')"
_HUGE = "1e150D"
"""Least value whose square, summed over many rows, is no longer finite."""
_MOST_LABELS = 10
_GREATEST = "1.7976931348623157e308D"


@dataclass(frozen=True)
class CheckedVersion:
    """A version that was checked; a version to be trained has no problems."""

    name: str
    version: int
    rows: int
    fingerprint: str
    schema: dict[str, str]
    nulls: dict[str, float]
    """Column to the share of rows in which it is null; empty if there are no rows."""
    null_keys: int
    duplicate_keys: int
    """Rows beyond the first of each key."""
    filtered_rows: int
    ignored_rows: int
    unlabelled_rows: int
    unlabelled: dict[str, int]
    """Unexpected value of the label to its number of rows; the most frequent ones."""
    ranges: dict[str, tuple[float, float]]
    """Numeric feature to its smallest and largest finite value; empty if no model is trained."""
    scenario: Scenario
    """The scenario without the optional features that this version lacks."""
    table: DataFrame
    frame: DataFrame
    """The table with derived columns, label, key, split, fold and probe order; the plain table if no model
    is trained."""
    previous_keys: DataFrame | None = None
    """The keys of the previous version in the scenario; ``None`` for the first version, or if the previous
    one lacks a column of the key."""
    files: VersionFiles | None = None
    """The version's files, if they are known, for what is counted over several versions at once."""

    @property
    def is_trained(self) -> bool:
        """Whether a model is trained on this version."""
        return is_trained(self.scenario, self.name)

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that was counted, in the form of JSON."""
        return {name: getattr(self, name) for name in _COUNTED}


_COUNTED = (
    "rows",
    "fingerprint",
    "schema",
    "nulls",
    "null_keys",
    "duplicate_keys",
    "filtered_rows",
    "ignored_rows",
    "unlabelled_rows",
    "unlabelled",
    "ranges",
)


@dataclass(frozen=True)
class Aggregate:
    """A number over rows, that over more rows follows from those over parts of them."""

    sql: str
    merge: Callable[[Sequence[Any]], Any] = sum
    """Merges the numbers of parts, of which there is at least one, and none is null."""

    @property
    def empty(self) -> int | None:
        """The number over no rows."""
        return 0 if self.merge is sum else None


@dataclass(frozen=True)
class CheckQuery:
    """The query for a version's rows, or those of some of its files."""

    frame: DataFrame
    computed: list[Column]
    """Computed for each row; the key among them, as ``KEY``."""
    aggregates: dict[str, Aggregate]
    """Computed from these columns, over all rows."""

    @property
    def columns(self) -> list[Column]:
        """The aggregates under their names."""
        return [F.expr(f"{each.sql} AS {name}") for name, each in self.aggregates.items()]


def check_version(
    table: DataFrame, scenario: Scenario, name: str, number: int, known: Mapping[str, Any] | None = None
) -> CheckedVersion:
    """Check one version.

    Args:
        table: The version.
        scenario: The scenario; its requirements are enforced only if a model is trained on this version.
        name: The version's name in the scenario.
        number: Its Delta version.
        known: The query's aggregates and the number of different keys, and maybe others, if they are known;
            otherwise, they are counted in one pass over the rows, and another over their keys.

    Raises:
        ScenarioError: A model should be trained on the version, and a column is missing or has a reserved
            name, the key is null or not unique, the label has only one class, there are too few training
            rows, or a feature has no values.
    """
    pipeline = scenario.pipeline.at(table.columns)
    present = scenario.model_copy(update={"pipeline": pipeline})
    query = make_query(table, table, scenario, name)
    counts = _count(query) if known is None else {each: known[each] for each in ("keys", *query.aggregates)}
    if is_trained(scenario, name) and (
        problems := find_problems(counts, query.frame, scenario, pipeline, name)
    ):
        raise ScenarioError(problems)
    return _make_checked_version(table, query.frame, present, name, number, counts)


def make_query(table: DataFrame, rows: DataFrame, scenario: Scenario, name: str) -> CheckQuery:
    """Return what must be counted to check a version.

    Args:
        table: The version, whose columns count.
        rows: Its rows, or others with the same columns and maybe more.
        scenario: The scenario.
        name: The version's name.

    Raises:
        ScenarioError: A model is to be trained on it, which needs other columns than it has.
    """
    frame, columns, aggregates = rows, list[Column](), _make_table_aggregates(table.columns)
    key = format_key(scenario) if has_key(table, scenario) else F.lit(None).cast("string")
    with attribute_error("the filter can't be applied", ("pipeline", "filter")):
        if is_trained(scenario, name):
            require_columns(table, scenario, name)
            frame, key = _make_training_frame(rows, scenario), F.col(KEY)
            pipeline = scenario.pipeline.at(table.columns)
            for segment, condition in scenario.segments.items():
                with attribute_error(f"the segment '{segment}' can't be selected", ("segments", segment)):
                    frame.where(condition)
            columns = _make_training_columns(frame, scenario, pipeline)
            aggregates |= _make_training_aggregates(pipeline)
        computed = [
            fingerprint.row_digest(table.schema).alias(fingerprint.DIGEST),
            key.alias(KEY),
            *(F.expr(f"{quote_name(each)} IS NULL AS is_null_{at}") for at, each in enumerate(table.columns)),
            *columns,
        ]
    return CheckQuery(frame, computed, aggregates)


def is_trained(scenario: Scenario, name: str) -> bool:
    """Return whether a model is trained on a version."""
    return scenario.versions[scenario.index_of(name)].is_trained


def _count(query: CheckQuery) -> Mapping[str, Any]:
    """Count over all rows; the keys on their own, because counting them keeps every other count per key."""
    with attribute_error("the filter can't be applied", ("pipeline", "filter")):
        computed = query.frame.select(query.computed)
        counts = computed.agg(*query.columns).first()
        keys = computed.agg(F.count_distinct(KEY).alias("keys")).first()
    if counts is None or keys is None:
        raise AssertionError("an aggregate without groups has one row")
    return {**counts.asDict(), **keys.asDict()}


def reopen_check(
    table: DataFrame, scenario: Scenario, name: str, number: int, facts: Mapping[str, Any]
) -> CheckedVersion:
    """Return a version that was checked before the run was interrupted.

    Args:
        table: The version.
        scenario: The scenario.
        name: The version's name.
        number: Its Delta version.
        facts: What the check found.
    """
    present = scenario.model_copy(update={"pipeline": scenario.pipeline.at(table.columns)})
    ranges = {feature: (least, greatest) for feature, (least, greatest) in facts["ranges"].items()}
    return CheckedVersion(
        **{**facts, "ranges": ranges},
        name=name,
        version=number,
        scenario=present,
        table=table,
        frame=_make_training_frame(table, scenario) if is_trained(scenario, name) else table,
    )


def _make_training_frame(table: DataFrame, scenario: Scenario) -> DataFrame:
    return add_label(add_feature_columns(table, scenario.pipeline), scenario)


def _make_checked_version(
    table: DataFrame,
    frame: DataFrame,
    scenario: Scenario,
    name: str,
    number: int,
    totals: Mapping[str, Any],
) -> CheckedVersion:
    rows = totals["rows"]
    return CheckedVersion(
        name=name,
        version=number,
        rows=rows,
        fingerprint=fingerprint.combine_sums(table.schema, totals),
        schema={field.name: field.dataType.simpleString() for field in table.schema},
        nulls={each: totals[f"nulls_{at}"] / rows for at, each in enumerate(table.columns) if rows},
        null_keys=totals["null_keys"],
        duplicate_keys=rows - totals["null_keys"] - totals["keys"],
        filtered_rows=rows - totals.get("kept", rows),
        ignored_rows=totals.get("ignored", 0),
        unlabelled_rows=totals.get("unlabelled", 0),
        unlabelled=_count_unexpected_labels(frame, scenario) if totals.get("unlabelled") else {},
        ranges={
            feature: (totals[f"least_{index}"], totals[f"greatest_{index}"])
            for index, feature in enumerate(scenario.pipeline.features)
            if totals.get(f"least_{index}") is not None
        },
        scenario=scenario,
        table=table,
        frame=frame,
    )


def _count_unexpected_labels(frame: DataFrame, scenario: Scenario) -> dict[str, int]:
    """Return the most frequent values of the label that no list has, as messages write them."""
    value = column(scenario.pipeline.label.column).cast("string")
    rows = (
        frame.where(meets_filter(scenario) & F.col(LABEL_VALUE).isNull() & ~F.col(IGNORED))
        .groupBy(value.alias("value"))
        .count()
        .orderBy(F.desc("count"), "value")
        .limit(_MOST_LABELS)
        .collect()
    )
    is_hidden = scenario.pipeline.label.column.lower() in scenario.sensitive_columns
    show = hide_value if is_hidden else repr
    return {"null" if row["value"] is None else show(row["value"]): row["count"] for row in rows}


def _make_training_columns(frame: DataFrame, scenario: Scenario, pipeline: Pipeline) -> list[Column]:
    """Return the columns computed for each row, to which the aggregates refer by name."""
    kinds = {field.name.lower(): field.dataType for field in frame.schema}
    expressions = [
        *(
            f"{_has_value(quote_name(name), kinds[name.lower()])} AS has_value_{index}"
            for index, name in enumerate((*pipeline.features, *pipeline.categorical))
        ),
        *(
            f"CAST({quote_name(name)} AS DOUBLE) IN ({_INFINITE}) AS is_infinite_{index}"
            for index, name in enumerate(pipeline.features)
        ),
        *(
            f"abs(CAST({quote_name(name)} AS DOUBLE)) BETWEEN {_HUGE} AND {_GREATEST} AS is_huge_{index}"
            for index, name in enumerate(pipeline.features)
        ),
        *(
            f"IF(abs({number}) < double('infinity'), {number}, NULL) AS finite_{index}"
            for index, number in enumerate(number_columns(pipeline))
        ),
    ]
    target = F.col(LABEL_VALUE)
    return [
        F.col(FOLD),
        target,
        F.col(IGNORED),
        meets_filter(scenario).alias("kept"),
        (meets_filter(scenario) & target.isNotNull() & ~F.col(HELD_OUT)).alias("train"),
        *(F.expr(each) for each in expressions),
    ]


def _make_table_aggregates(columns: list[str]) -> dict[str, Aggregate]:
    return {
        **{name: Aggregate(sql) for name, sql in fingerprint.sum_digests().items()},
        "rows": Aggregate("count(1)"),
        "null_keys": Aggregate(f"count_if({KEY} IS NULL)"),
        **{f"nulls_{index}": Aggregate(f"count_if(is_null_{index})") for index in range(len(columns))},
    }


def _make_training_aggregates(pipeline: Pipeline) -> dict[str, Aggregate]:
    numeric = len(pipeline.features)
    features = numeric + len(pipeline.categorical)
    sums = {
        "kept": "count_if(kept)",
        "ignored": f"count_if(kept AND {LABEL_VALUE} IS NULL AND {IGNORED})",
        "unlabelled": f"count_if(kept AND {LABEL_VALUE} IS NULL AND NOT {IGNORED})",
        "positives": f"count_if(kept AND {LABEL_VALUE} = 1)",
        "negatives": f"count_if(kept AND {LABEL_VALUE} = 0)",
        "train_positives": f"count_if(train AND {LABEL_VALUE} = 1)",
        "train_negatives": f"count_if(train AND {LABEL_VALUE} = 0)",
        **{f"values_{index}": f"count_if(train AND has_value_{index})" for index in range(features)},
        **{f"infinite_{index}": f"count_if(kept AND is_infinite_{index})" for index in range(numeric)},
        **{f"huge_{index}": f"count_if(kept AND is_huge_{index})" for index in range(numeric)},
    }
    least = {
        "first_fold": f"min(IF(train, {FOLD}, NULL))",
        **{f"least_{index}": f"min(finite_{index})" for index in range(numeric)},
    }
    greatest = {
        "last_fold": f"max(IF(train, {FOLD}, NULL))",
        **{f"greatest_{index}": f"max(finite_{index})" for index in range(numeric)},
    }
    return {
        **{name: Aggregate(sql) for name, sql in sums.items()},
        **{name: Aggregate(sql, min) for name, sql in least.items()},
        **{name: Aggregate(sql, max) for name, sql in greatest.items()},
    }


def _has_value(value: str, kind: T.DataType) -> str:
    present = f"{value} IS NOT NULL"
    if isinstance(kind, T.FractionalType):
        return f"{present} AND NOT isnan(CAST({value} AS DOUBLE))"
    return present
