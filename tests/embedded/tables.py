"""Small tables and scenarios on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from harness.errors import Location, ScenarioError
from harness.job.models.cross_validation import TrainingOutcome
from harness.job.models.model_registry import make_built_in_pipeline
from harness.job.prepare import PreparedRows, add_feature_columns, add_label, prepare_rows
from harness.scenario.model import Scenario
from harness.scenario.model_kinds import ModelKind


def scenario(
    *,
    key: str | list[str] = "id",
    label: dict[str, Any] | None = None,
    seed: int = 0,
    versions: Sequence[str] = ("first",),
    train: bool = True,
    **pipeline: Any,
) -> Scenario:
    """Return a small scenario; its default feature is ``x`` and its default label ``y``."""
    return Scenario.model_validate(
        {
            "name": "small",
            "seed": seed,
            "table": {"name": "small", "source": "small.csv", "key": key},
            "pipeline": {
                "label": label or {"column": "y", "positive": ["bad"], "negative": ["good"]},
                **({} if "categorical" in pipeline else {"features": ["x"]}),
                **pipeline,
            },
            "versions": [{"name": name, "append": {}, "train": train} for name in versions],
        }
    )


def make_readings(spark: SparkSession, rows: int = 40) -> DataFrame:
    """Return rows with ``id``, ``x`` (a double) and ``y`` (every third one bad)."""
    return spark.range(rows).selectExpr("id", "id % 7 + 0.5D AS x", "if(id % 3 = 0, 'bad', 'good') AS y")


def add_columns(table: DataFrame, small: Scenario) -> DataFrame:
    """Return a table with its feature columns, label, key, split, fold and probe order."""
    return add_label(add_feature_columns(table, small.pipeline), small)


def make_small_samples(frame: DataFrame, small: Scenario, rows: int) -> PreparedRows:
    """Return the feature vectors that the built-in pipeline makes."""
    return prepare_rows(frame, small, rows, make_built_in_pipeline(small.pipeline.model))


def train(
    rows: DataFrame,
    options: ModelKind,
    report_progress: Callable[[str], None] = lambda _detail: None,
    seed: int = 0,
) -> TrainingOutcome:
    """Train the best point of a grid, as the pipeline of the model kind does."""
    return make_built_in_pipeline(options).train(rows, seed, report_progress)


def list_problems(error: ScenarioError) -> list[tuple[Location, str]]:
    """Return the locations and messages of a scenario's problems."""
    return [(problem.location, problem.message) for problem in error.problems]
