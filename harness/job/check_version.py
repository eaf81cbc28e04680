"""Every version is looked at before the first training: its size, its fingerprint, its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Row, functions as F, types as T

from harness.errors import ScenarioError
from harness.job import fingerprint
from harness.job.data_checks import faults, require_columns
from harness.job.prepare import HELD_OUT, TARGET, kept, key_text, labelled, number_columns, with_columns
from harness.job.spark_errors import blamed_on
from harness.job.table_io import quoted
from harness.pipelines import FOLD, KEY
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline

_INFINITE = "double('infinity'), double('-infinity')"


@dataclass(frozen=True)
class CheckedVersion:
    """A version that was looked at; where a model is trained at it, one that it can be trained on."""

    name: str
    version: int
    rows: int
    fingerprint: str
    schema: dict[str, str]
    nulls: dict[str, float]
    """Column to the share of rows in which it is null; empty where there are no rows."""
    null_keys: int
    duplicate_keys: int
    """Rows beyond the first of each key."""
    filtered_rows: int
    unlabelled_rows: int
    ranges: dict[str, tuple[float, float]]
    """Numeric feature to its least and greatest value, infinities apart; without those that are all missing,
    and empty where no model is trained."""
    scenario: Scenario
    """With the pipeline as it is here: without the optional features that this version lacks."""
    table: DataFrame
    frame: DataFrame
    """The table with derived columns, label, key, side, fold and probe order; the table alone where no
    model is trained."""
    before: DataFrame | None = None
    """The keys of the version before it in the scenario; none for the first, or where they are not there."""

    @property
    def is_trained(self) -> bool:
        """Whether a model is trained at this version."""
        return self.scenario.versions[self.scenario.index_of(self.name)].is_trained


@dataclass(frozen=True)
class _Look:
    """What is looked at in the one pass over a version: of each row, and what is added up of that."""

    frame: DataFrame
    key: Column
    facts: list[Column]
    counts: list[Column]


def check_version(table: DataFrame, scenario: Scenario, name: str, number: int) -> CheckedVersion:
    """Look at one version in one pass.

    Args:
        table: The version.
        scenario: What to look for; only where it trains a model at this version, its faults are refused.
        name: The version's, in the scenario.
        number: Its Delta version.

    Raises:
        ScenarioError: A model is to be trained at the version, and a column is missing or has a name that
            the models need, the key is null or not unique, the label has one class only, the training rows
            are too few, or a feature has no values.
    """
    pipeline = scenario.pipeline.at(table.columns)
    present = scenario.model_copy(update={"pipeline": pipeline})
    is_trained = scenario.versions[scenario.index_of(name)].is_trained
    look = _look_for_training(table, scenario, name) if is_trained else _look(table, scenario)
    with blamed_on("the filter can't be applied", ("pipeline", "filter")):
        facts = look.frame.select(
            fingerprint.row_digest(table.schema).alias(fingerprint.DIGEST),
            look.key.alias(KEY),
            *(F.expr(f"{quoted(each)} IS NULL AS is_null_{at}") for at, each in enumerate(table.columns)),
            *look.facts,
        )
        counts = facts.agg(*fingerprint.aggregates(), *_counts(table.columns), *look.counts).first()
    if counts is None:
        raise AssertionError("an aggregate without groups has one row")
    if is_trained and (problems := faults(counts, look.frame, scenario, pipeline, name)):
        raise ScenarioError(problems)
    return _checked(table, look.frame, present, name, number, counts)


def _checked(
    table: DataFrame, frame: DataFrame, scenario: Scenario, name: str, number: int, counts: Row
) -> CheckedVersion:
    found: Mapping[str, Any] = counts.asDict()
    rows = found["rows"]
    return CheckedVersion(
        name=name,
        version=number,
        rows=rows,
        fingerprint=fingerprint.combine(table.schema, found),
        schema={field.name: field.dataType.simpleString() for field in table.schema},
        nulls={each: found[f"nulls_{at}"] / rows for at, each in enumerate(table.columns) if rows},
        null_keys=found["null_keys"],
        duplicate_keys=rows - found["null_keys"] - found["keys"],
        filtered_rows=rows - found.get("kept", rows),
        unlabelled_rows=found.get("unlabelled", 0),
        ranges={
            feature: (found[f"least_{index}"], found[f"greatest_{index}"])
            for index, feature in enumerate(scenario.pipeline.features)
            if found.get(f"least_{index}") is not None
        },
        scenario=scenario,
        table=table,
        frame=frame,
    )


def _look(table: DataFrame, scenario: Scenario) -> _Look:
    """Where no model is trained there is nothing to ask but the key; without its columns all are null."""
    known = {name.lower() for name in table.columns}
    has_key = all(name.lower() in known for name in scenario.table.key)
    key = key_text(scenario) if has_key else F.lit(None).cast("string")
    return _Look(frame=table, key=key, facts=[], counts=[])


def _look_for_training(table: DataFrame, scenario: Scenario, name: str) -> _Look:
    require_columns(table, scenario, name)
    frame = labelled(with_columns(table, scenario.pipeline), scenario)
    pipeline = scenario.pipeline.at(table.columns)
    with blamed_on("the filter can't be applied", ("pipeline", "filter")):
        return _Look(
            frame=frame,
            key=F.col(KEY),
            facts=_training_facts(frame, scenario, pipeline),
            counts=_training_counts(pipeline),
        )


def _training_facts(frame: DataFrame, scenario: Scenario, pipeline: Pipeline) -> list[Column]:
    """What is asked of each row, each once: what is added up below refers to it by name."""
    kinds = {field.name.lower(): field.dataType for field in frame.schema}
    asked = [
        *(
            f"{_has_value(quoted(name), kinds[name.lower()])} AS has_value_{index}"
            for index, name in enumerate((*pipeline.features, *pipeline.categorical))
        ),
        *(
            f"CAST({quoted(name)} AS DOUBLE) IN ({_INFINITE}) AS is_infinite_{index}"
            for index, name in enumerate(pipeline.features)
        ),
        *(
            f"IF(abs({number}) < double('infinity'), {number}, NULL) AS finite_{index}"
            for index, number in enumerate(number_columns(pipeline))
        ),
    ]
    target = F.col(TARGET)
    return [
        F.col(FOLD),
        target,
        kept(scenario).alias("kept"),
        (kept(scenario) & target.isNotNull() & ~F.col(HELD_OUT)).alias("train"),
        *(F.expr(each) for each in asked),
    ]


def _counts(columns: list[str]) -> list[Column]:
    counted = {
        "rows": "count(1)",
        "null_keys": f"count_if({KEY} IS NULL)",
        "keys": f"count(DISTINCT {KEY})",
        **{f"nulls_{index}": f"count_if(is_null_{index})" for index in range(len(columns))},
    }
    return [F.expr(f"{what} AS {name}") for name, what in counted.items()]


def _training_counts(pipeline: Pipeline) -> list[Column]:
    infinite = len(pipeline.features)
    values = infinite + len(pipeline.categorical)
    counted = {
        "kept": "count_if(kept)",
        "unlabelled": f"count_if(kept AND {TARGET} IS NULL)",
        "positives": f"count_if(kept AND {TARGET} = 1)",
        "negatives": f"count_if(kept AND {TARGET} = 0)",
        "train_positives": f"count_if(train AND {TARGET} = 1)",
        "train_negatives": f"count_if(train AND {TARGET} = 0)",
        "first_fold": f"min(IF(train, {FOLD}, NULL))",
        "last_fold": f"max(IF(train, {FOLD}, NULL))",
        **{f"values_{index}": f"count_if(train AND has_value_{index})" for index in range(values)},
        **{f"infinite_{index}": f"count_if(kept AND is_infinite_{index})" for index in range(infinite)},
        **{f"least_{index}": f"min(finite_{index})" for index in range(infinite)},
        **{f"greatest_{index}": f"max(finite_{index})" for index in range(infinite)},
    }
    return [F.expr(f"{what} AS {name}") for name, what in counted.items()]


def _has_value(value: str, kind: T.DataType) -> str:
    there = f"{value} IS NOT NULL"
    return f"{there} AND NOT isnan(CAST({value} AS DOUBLE))" if isinstance(kind, T.FractionalType) else there
