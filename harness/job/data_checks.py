"""Checks of whether a model can be trained on a version; each problem has its location in the scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import DataFrame, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.table_io import column
from harness.pipelines import KEY
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.text_checks import is_reserved
from harness.views.formatting import format_count


def list_features(whole: Pipeline, present: Pipeline) -> list[tuple[str, Location]]:
    """Return every feature of a version, numeric ones first, with its location in the scenario.

    Args:
        whole: The pipeline as written in the scenario.
        present: The same without the features that the version lacks.
    """
    return [
        *((name, ("pipeline", "features", whole.features.index(name))) for name in present.features),
        *((name, ("pipeline", "categorical", whole.categorical.index(name))) for name in present.categorical),
    ]


def require_sensitive_columns(scenario: Scenario, tables: Iterable[DataFrame]) -> None:
    """Require that each sensitive column is in some version: the values of a misspelled one would be shown.

    Raises:
        ScenarioError: No version has one of them.
    """
    available = {name.lower() for table in tables for name in table.columns}
    available |= {name.lower() for name in scenario.pipeline.derive}
    problems = [
        Problem(f"no version of the table has a column '{name}'.", ("table", "sensitive", index))
        for index, name in enumerate(scenario.table.sensitive)
        if name.lower() not in available
    ]
    if problems:
        raise ScenarioError(problems)


def require_columns(table: DataFrame, scenario: Scenario, name: str) -> None:
    """Require that all needed columns exist and that no column has a reserved name.

    Args:
        table: The version.
        scenario: The scenario as written, with features that the version may lack.
        name: The version's name.

    Raises:
        ScenarioError: A column is missing, or a name is reserved.
    """
    pipeline = scenario.pipeline
    features = list_features(pipeline, pipeline.at(table.columns))
    required: list[tuple[str, Location]] = [
        *((part, ("table", "key", index)) for index, part in enumerate(scenario.table.key)),
        (pipeline.label.column, ("pipeline", "label", "column")),
        *features,
    ]
    available = {each.lower() for each in (*table.columns, *pipeline.derive)}
    problems = [
        Problem(f"the table has no column '{each}'.", at)
        for each, at in required
        if each.lower() not in available
    ]
    if not features:
        problems.append(_no_features(pipeline, name))
    problems += [
        Problem(
            f"the table's column '{each}' has a name that is reserved for the models; rename it.", ("table",)
        )
        for each in table.columns
        if is_reserved(each)
    ]
    problems += [
        Problem(f"'{each}' is reserved for the models; choose another name.", ("pipeline", "derive", each))
        for each in pipeline.derive
        if is_reserved(each)
    ]
    if problems:
        raise ScenarioError(problems)


def _no_features(pipeline: Pipeline, name: str) -> Problem:
    features = ", ".join((*pipeline.features, *pipeline.categorical))
    message = (
        f"version '{name}' has none of the features, which are all optional: {features}. "
        "Set 'train: false' for it, or add a feature that it has."
    )
    return Problem(message, ("pipeline", "optional"))


def find_problems(
    counts: Mapping[str, Any], frame: DataFrame, scenario: Scenario, present: Pipeline, name: str
) -> list[Problem]:
    """Return why a model can't be trained on a version; an empty list if it can.

    Args:
        counts: Counts over the version's rows.
        frame: The rows.
        scenario: The scenario as written.
        present: The version's pipeline, without the features that the version lacks.
        name: The version's name.
    """
    return (
        _find_key_problems(counts, frame, scenario, name)
        or _find_filter_problems(counts, name)
        or [
            *_find_label_problems(counts, scenario, name),
            *_find_feature_problems(
                counts, list_features(scenario.pipeline, present), len(present.features), name
            ),
        ]
    )


def _find_key_problems(
    counts: Mapping[str, Any], frame: DataFrame, scenario: Scenario, name: str
) -> list[Problem]:
    at: Location = ("table", "key")
    key = ", ".join(scenario.table.key)
    if counts["rows"] == 0:
        return [Problem(f"version '{name}' has no rows.", ("versions", scenario.index_of(name)))]
    if counts["null_keys"]:
        return [
            Problem(
                f"key '{key}' is null in {format_count(counts['null_keys'], 'row')} of version '{name}'.", at
            )
        ]
    if counts["keys"] < counts["rows"]:
        parts = F.array(*(column(part).cast("string") for part in scenario.table.key))
        repeated = frame.groupBy(parts.alias(KEY)).count().where("count > 1").orderBy(KEY).first()
        example = f", such as '{', '.join(repeated[KEY])}' ({repeated['count']} times)" if repeated else ""
        if scenario.has_sensitive_key:
            example = ""
        extra = format_count(counts["rows"] - counts["keys"], "row")
        return [Problem(f"key '{key}' is not unique in version '{name}': {extra} too many{example}.", at)]
    return []


def _find_filter_problems(counts: Mapping[str, Any], name: str) -> list[Problem]:
    if counts["kept"]:
        return []
    message = f"the filter excludes all {format_count(counts['rows'], 'row')} of version '{name}'."
    return [Problem(message, ("pipeline", "filter"))]


def _find_label_problems(counts: Mapping[str, Any], scenario: Scenario, name: str) -> list[Problem]:
    label = scenario.pipeline.label.column
    problems: list[Problem] = []
    for kind in ("positive", "negative"):
        at: Location = ("pipeline", "label", kind)
        if counts[f"{kind}s"] == 0:
            other = "negative" if kind == "positive" else "positive"
            problems.append(
                Problem(
                    f"label '{label}' has only one class in version '{name}': "
                    f"{format_count(counts[f'{other}s'], f'{other} row')}, no {kind} one, "
                    f"and {format_count(counts['unlabelled'], 'row')} with a value in none of the lists.",
                    at,
                )
            )
        elif counts[f"train_{kind}s"] == 0:
            problems.append(
                Problem(
                    f"version '{name}' has {format_count(counts[f'{kind}s'], f'{kind} row')}, but none is in "
                    "the training rows: lower split.test, choose another seed, or add rows.",
                    at,
                )
            )
    if not problems and counts["first_fold"] == counts["last_fold"]:
        rows = counts["train_positives"] + counts["train_negatives"]
        message = (
            f"version '{name}' has only {format_count(rows, 'training row')}, all in one fold: "
            "choose another seed, or add rows."
        )
        problems.append(Problem(message, ("pipeline", "model", "folds")))
    return problems


def _find_feature_problems(
    counts: Mapping[str, Any], features: list[tuple[str, Location]], numeric: int, name: str
) -> list[Problem]:
    if counts["train_positives"] + counts["train_negatives"] == 0:
        return []
    problems = []
    for index, (feature, at) in enumerate(features):
        if counts[f"values_{index}"] == 0:
            problems.append(
                Problem(f"feature '{feature}' is null in all training rows of version '{name}'.", at)
            )
        elif index < numeric and counts[f"infinite_{index}"]:
            rows = format_count(counts[f"infinite_{index}"], "row")
            problems.append(Problem(f"feature '{feature}' is infinite in {rows} of version '{name}'.", at))
        elif index < numeric and counts[f"huge_{index}"]:
            rows = format_count(counts[f"huge_{index}"], "row")
            example = max(counts[f"least_{index}"], counts[f"greatest_{index}"], key=abs)
            message = (
                f"feature '{feature}' is too large to compute with in {rows} of version '{name}', such as "
                f"{example:g}: its square overflows. If the value stands for a missing one, make it null in "
                "'derive'; otherwise, derive a feature of another scale."
            )
            problems.append(Problem(message, at))
    return problems
