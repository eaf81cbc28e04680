"""What is wrong with a version that is to be trained on, each fault where the scenario can mend it."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row, functions as F

from harness.errors import Location, Problem, ScenarioError
from harness.job.table_io import column
from harness.pipelines import KEY
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.reserved_names import is_reserved


def inputs(whole: Pipeline, present: Pipeline) -> list[tuple[str, Location]]:
    """Every feature that a version has, numeric ones first, and where the scenario names it.

    Args:
        whole: The pipeline as the scenario has it.
        present: The same without the features that the version lacks.
    """
    return [
        *((name, ("pipeline", "features", whole.features.index(name))) for name in present.features),
        *((name, ("pipeline", "categorical", whole.categorical.index(name))) for name in present.categorical),
    ]


def require_columns(table: DataFrame, scenario: Scenario, name: str) -> None:
    """The key, the label and the features must be there, and no name may be one that the models need.

    Args:
        table: The version.
        scenario: As it was written, with the features that the version may lack.
        name: The version's.

    Raises:
        ScenarioError: Something is missing, or a name is taken.
    """
    pipeline = scenario.pipeline
    features = inputs(pipeline, pipeline.at(table.columns))
    wanted: list[tuple[str, Location]] = [
        *((part, ("table", "key", index)) for index, part in enumerate(scenario.table.key)),
        (pipeline.label.column, ("pipeline", "label", "column")),
        *features,
    ]
    known = {each.lower() for each in (*table.columns, *pipeline.derive)}
    problems = [
        Problem(f"the table has no column '{each}'.", at) for each, at in wanted if each.lower() not in known
    ]
    if not features:
        problems.append(_no_features(pipeline, name))
    problems += [
        Problem(f"column '{each}' of the table has a name that the models need; rename it.", ("table",))
        for each in table.columns
        if is_reserved(each)
    ]
    problems += [
        Problem(f"'{each}' is a name that the models need; take another.", ("pipeline", "derive", each))
        for each in pipeline.derive
        if is_reserved(each)
    ]
    if problems:
        raise ScenarioError(problems)


def _no_features(pipeline: Pipeline, name: str) -> Problem:
    features = ", ".join((*pipeline.features, *pipeline.categorical))
    message = (
        f"version '{name}' has none of the features, which are all optional: {features}; "
        "say 'train: false' of it, or add a feature that it has."
    )
    return Problem(message, ("pipeline", "optional"))


def faults(counts: Row, frame: DataFrame, scenario: Scenario, present: Pipeline, name: str) -> list[Problem]:
    """Why a version can't be trained on; none where it can.

    Args:
        counts: What was counted of it.
        frame: Its rows.
        scenario: As it was written.
        present: Its pipeline, without the features that the version lacks.
        name: The version's.
    """
    return (
        _key_problems(counts, frame, scenario, name)
        or _filter_problems(counts, name)
        or [
            *_label_problems(counts, scenario, name),
            *_feature_problems(counts, inputs(scenario.pipeline, present), len(present.features), name),
        ]
    )


def _key_problems(counts: Row, frame: DataFrame, scenario: Scenario, name: str) -> list[Problem]:
    at: Location = ("table", "key")
    key = ", ".join(scenario.table.key)
    if counts["rows"] == 0:
        return [Problem(f"version '{name}' has no rows.", ("versions", scenario.index_of(name)))]
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


def _feature_problems(
    counts: Row, features: list[tuple[str, Location]], numeric: int, name: str
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
            rows = counts[f"infinite_{index}"]
            problems.append(
                Problem(f"feature '{feature}' is infinite in {rows} rows of version '{name}'.", at)
            )
    return problems
