"""Every version is looked at before the first training: its size, its fingerprint, its faults."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Row, functions as F, types as T

from harness.errors import Location, Problem, ScenarioError
from harness.job import fingerprint
from harness.job.faults import blamed_on
from harness.job.prepare import FEATURES, FOLD, HELD_OUT, KEY, TARGET, kept, labelled, with_columns
from harness.job.table import column, quoted
from harness.scenario.model import Scenario

_OURS = "harness_"
_OF_MODELS = (FEATURES, "rawPrediction", "probability", "prediction", "weights", "r2")
"""Columns that the bundle's models add beside the table's own."""
_INFINITE = "double('infinity'), double('-infinity')"


@dataclass(frozen=True)
class CheckedVersion:
    """A version that a model can be trained on."""

    name: str
    version: int
    rows: int
    fingerprint: str
    schema: dict[str, str]
    filtered_rows: int
    unlabelled_rows: int
    table: DataFrame
    frame: DataFrame
    """The table with derived columns, label, key, side, fold and probe order."""


def check_version(table: DataFrame, scenario: Scenario, version: int) -> CheckedVersion:
    """Look at one version in one pass.

    Raises:
        ScenarioError: A column is missing or has a name that the models need, the key is null or not unique,
            the label has one class only, the training rows are too few, or a feature has no values.
    """
    name = scenario.versions[version].name
    _require_columns(table, scenario)
    frame = labelled(with_columns(table, scenario.pipeline), scenario)
    with blamed_on("the filter can't be applied", ("pipeline", "filter")):
        facts = frame.select(
            fingerprint.row_digest(table.schema).alias(fingerprint.DIGEST), *_facts(frame, scenario)
        )
        counts = facts.agg(*fingerprint.aggregates(), *_counts(scenario)).first()
    if counts is None:
        raise AssertionError("an aggregate without groups has one row")
    problems = (
        _key_problems(counts, frame, scenario, name)
        or _filter_problems(counts, name)
        or [*_label_problems(counts, scenario, name), *_feature_problems(counts, scenario, name)]
    )
    if problems:
        raise ScenarioError(problems)
    return CheckedVersion(
        name=name,
        version=version,
        rows=counts["rows"],
        fingerprint=fingerprint.combine(table.schema, counts.asDict()),
        schema={field.name: field.dataType.simpleString() for field in table.schema},
        filtered_rows=counts["rows"] - counts["kept"],
        unlabelled_rows=counts["unlabelled"],
        table=table,
        frame=frame,
    )


def _require_columns(table: DataFrame, scenario: Scenario) -> None:
    """The key, the label and the features must be there, and no name may be one that the models need."""
    known = {name.lower() for name in table.columns}
    wanted: list[tuple[str, Location]] = [
        *((name, ("table", "key", index)) for index, name in enumerate(scenario.table.key)),
        (scenario.pipeline.label.column, ("pipeline", "label", "column")),
        *_inputs(scenario),
    ]
    known |= {name.lower() for name in scenario.pipeline.derive}
    problems = [
        Problem(f"the table has no column '{name}'.", at) for name, at in wanted if name.lower() not in known
    ]
    problems += [
        Problem(f"column '{name}' of the table has a name that the models need; rename it.", ("table",))
        for name in table.columns
        if _is_taken(name)
    ]
    problems += [
        Problem(f"'{name}' is a name that the models need; take another.", ("pipeline", "derive", name))
        for name in scenario.pipeline.derive
        if _is_taken(name)
    ]
    if problems:
        raise ScenarioError(problems)


def _is_taken(name: str) -> bool:
    return name.lower().startswith(_OURS) or name.lower() in {each.lower() for each in _OF_MODELS}


def _facts(frame: DataFrame, scenario: Scenario) -> list[Column]:
    """What is asked of each row, each once: what is added up below refers to it by name."""
    kinds = {field.name.lower(): field.dataType for field in frame.schema}
    asked = [
        *(
            f"{_has_value(quoted(name), kinds[name.lower()])} AS has_value_{index}"
            for index, (name, _) in enumerate(_inputs(scenario))
        ),
        *(
            f"CAST({quoted(name)} AS DOUBLE) IN ({_INFINITE}) AS is_infinite_{index}"
            for index, name in enumerate(scenario.pipeline.features)
        ),
    ]
    target = F.col(TARGET)
    return [
        F.col(KEY),
        F.col(FOLD),
        target,
        kept(scenario).alias("kept"),
        (kept(scenario) & target.isNotNull() & ~F.col(HELD_OUT)).alias("train"),
        *(F.expr(each) for each in asked),
    ]


def _inputs(scenario: Scenario) -> list[tuple[str, Location]]:
    """Every feature, numeric ones first, and where the scenario names it."""
    pipeline = scenario.pipeline
    return [
        *((name, ("pipeline", "features", index)) for index, name in enumerate(pipeline.features)),
        *((name, ("pipeline", "categorical", index)) for index, name in enumerate(pipeline.categorical)),
    ]


def _counts(scenario: Scenario) -> list[Column]:
    values, infinite = len(_inputs(scenario)), len(scenario.pipeline.features)
    counted = {
        "rows": "count(1)",
        "kept": "count_if(kept)",
        "unlabelled": f"count_if(kept AND {TARGET} IS NULL)",
        "null_keys": f"count_if({KEY} IS NULL)",
        "keys": f"count(DISTINCT {KEY})",
        "positives": f"count_if(kept AND {TARGET} = 1)",
        "negatives": f"count_if(kept AND {TARGET} = 0)",
        "train_positives": f"count_if(train AND {TARGET} = 1)",
        "train_negatives": f"count_if(train AND {TARGET} = 0)",
        "first_fold": f"min(IF(train, {FOLD}, NULL))",
        "last_fold": f"max(IF(train, {FOLD}, NULL))",
        **{f"values_{index}": f"count_if(train AND has_value_{index})" for index in range(values)},
        **{f"infinite_{index}": f"count_if(kept AND is_infinite_{index})" for index in range(infinite)},
    }
    return [F.expr(f"{what} AS {name}") for name, what in counted.items()]


def _has_value(value: str, kind: T.DataType) -> str:
    there = f"{value} IS NOT NULL"
    return f"{there} AND NOT isnan(CAST({value} AS DOUBLE))" if isinstance(kind, T.FractionalType) else there


def _key_problems(counts: Row, frame: DataFrame, scenario: Scenario, name: str) -> list[Problem]:
    at: Location = ("table", "key")
    key = ", ".join(scenario.table.key)
    if counts["rows"] == 0:
        return [Problem(f"version '{name}' has no rows.", _version_at(scenario, name))]
    if counts["null_keys"]:
        return [Problem(f"key '{key}' is null in {counts['null_keys']} rows of version '{name}'.", at)]
    if counts["keys"] < counts["rows"]:
        parts = F.array(*(column(part).cast("string") for part in scenario.table.key))
        doubled = frame.groupBy(parts.alias(KEY)).count().where("count > 1").orderBy(KEY).first()
        example = f", such as '{', '.join(doubled[KEY])}' ({doubled['count']} times)" if doubled else ""
        twice = counts["rows"] - counts["keys"]
        return [
            Problem(f"key '{key}' is not unique in version '{name}': {twice} rows too many{example}.", at)
        ]
    return []


def _filter_problems(counts: Row, name: str) -> list[Problem]:
    if counts["kept"]:
        return []
    message = f"no row of version '{name}' meets the filter; it leaves out all {counts['rows']} rows."
    return [Problem(message, ("pipeline", "filter"))]


def _label_problems(counts: Row, scenario: Scenario, name: str) -> list[Problem]:
    column = scenario.pipeline.label.column
    problems: list[Problem] = []
    for kind in ("positive", "negative"):
        at: Location = ("pipeline", "label", kind)
        if counts[f"{kind}s"] == 0:
            other = "negative" if kind == "positive" else "positive"
            problems.append(
                Problem(
                    f"label '{column}' has one class only in version '{name}': "
                    f"{counts[f'{other}s']} rows are {other}, none is {kind}; "
                    f"{counts['unlabelled']} rows have a value in neither list.",
                    at,
                )
            )
        elif counts[f"train_{kind}s"] == 0:
            problems.append(
                Problem(
                    f"version '{name}' has {counts[f'{kind}s']} {kind} rows, but all of them are held out; "
                    "lower split.test, take another seed, or bring more rows.",
                    at,
                )
            )
    if not problems and counts["first_fold"] == counts["last_fold"]:
        rows = counts["train_positives"] + counts["train_negatives"]
        message = (
            f"version '{name}' has {rows} training rows only, which all fall into one fold; "
            "take another seed, or bring more rows."
        )
        problems.append(Problem(message, ("pipeline", "model", "folds")))
    return problems


def _feature_problems(counts: Row, scenario: Scenario, name: str) -> list[Problem]:
    if counts["train_positives"] + counts["train_negatives"] == 0:
        return []
    problems = []
    for index, (feature, at) in enumerate(_inputs(scenario)):
        if counts[f"values_{index}"] == 0:
            problems.append(
                Problem(f"feature '{feature}' is null in all training rows of version '{name}'.", at)
            )
        elif index < len(scenario.pipeline.features) and counts[f"infinite_{index}"]:
            rows = counts[f"infinite_{index}"]
            problems.append(
                Problem(f"feature '{feature}' is infinite in {rows} rows of version '{name}'.", at)
            )
    return problems


def _version_at(scenario: Scenario, name: str) -> Location:
    return ("versions", [version.name for version in scenario.versions].index(name))
