"""What custom pipelines do to rows, and the metrics that they return: one row per key, and finite numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession

from harness.errors import JobError
from harness.job.custom_pipeline import CheckedPipeline, _ErrorReporter
from harness.job.evaluate import score_held_out
from harness.job.prepare import PreparedRows, add_feature_columns, add_label, prepare_rows
from harness.pipelines import FEATURES, Context, PreparedFeatures
from tests.embedded.tables import make_readings, scenario

pytestmark = pytest.mark.spark

USE = "pipelines.mine:Mine"
MINE = scenario(use=USE, metrics=["mine"])


def _assemble(invalid: str = "keep", column: str | None = None) -> Callable[[Context], Any]:
    return lambda context: VectorAssembler(
        inputCols=[column or context.numbers["x"]], outputCol=FEATURES, handleInvalid=invalid
    )


def _select(sql: str) -> Callable[[Context], Any]:
    return lambda _context: SQLTransformer(statement=sql)


_KEYS_OF_OTHERS = (
    "SELECT concat(harness_key, '!') AS harness_key, label, harness_held_out, harness_fold, harness_probe, "
    "harness_number_0 FROM __THIS__"
)
_TWICE = _select("SELECT * FROM __THIS__ UNION ALL SELECT * FROM __THIS__")
_OTHER_KEYS = _select(_KEYS_OF_OTHERS)


@dataclass(frozen=True)
class Mine:
    """A custom pipeline that returns these stages, or these metrics."""

    stages: tuple[Callable[[Context], Any], ...] = ()
    drops_rows: bool = False
    metrics: Any = None

    def prepare(self, rows: DataFrame, context: Context) -> PreparedFeatures:
        """Return the stages."""
        del rows
        return PreparedFeatures([stage(context) for stage in self.stages], ["x"], drops_rows=self.drops_rows)

    def evaluate(self, scored: Any, context: Any) -> Any:
        """Return the metrics."""
        del scored, context
        return self.metrics


@pytest.fixture(name="frame", scope="module")
def _frame(spark: SparkSession) -> DataFrame:
    """Return 40 labeled rows; the feature of 10 of them is null."""
    table = make_readings(spark).selectExpr("id", "if(id % 4 = 0, NULL, x) AS x", "y")
    return add_label(add_feature_columns(table, MINE.pipeline), MINE).localCheckpoint()


def _checked(custom: Mine) -> CheckedPipeline:
    return CheckedPipeline(custom, MINE.pipeline, _ErrorReporter(USE, Path("/code")))


def _prepare(frame: DataFrame, *stages: Callable[[Context], Any], drops_rows: bool = False) -> PreparedRows:
    prepared = prepare_rows(frame, MINE, 40, _checked(Mine(stages, drops_rows)))
    prepared.release()
    return prepared


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [_assemble("skip")],
            "prepare: 40 rows went in, 30 came out; handleInvalid='skip' of VectorAssembler drops rows.",
        ),
        (
            [_select("SELECT * FROM __THIS__ WHERE label = 0"), _assemble()],
            "prepare: 40 rows went in, 26 came out; a stage drops rows.",
        ),
        (
            [_TWICE, _assemble()],
            "prepare: 40 rows went in, 80 came out, of 40 known keys; each row must stay one row.",
        ),
        (
            [_OTHER_KEYS, _assemble()],
            "prepare: 40 rows went in, 40 came out, of 0 known keys; each row must stay one row.",
        ),
        ([_assemble(column="not_there")], "what 'prepare' returned failed on the rows: "),
        ([_assemble("error")], "what 'prepare' returned failed on the rows: "),
    ],
    ids=["skip", "where", "twice", "other keys", "missing column", "null"],
)
def test_stages_keep_one_row_per_key(
    frame: DataFrame, stages: list[Callable[[Context], Any]], message: str
) -> None:
    """Stages that lose or add rows, or fail on them, are reported with the pipeline and the counts."""
    with pytest.raises(JobError) as caught:
        _prepare(frame, *stages)
    assert caught.value.message.startswith(f"{USE}: {message}")


def test_a_missing_column_is_named(frame: DataFrame) -> None:
    """The message about a column that doesn't exist has its name."""
    with pytest.raises(JobError, match="not_there"):
        _prepare(frame, _assemble(column="not_there"))


def test_a_pipeline_may_say_that_it_drops_rows(frame: DataFrame) -> None:
    """A pipeline that says so may drop rows, which are counted; but it may not add any."""
    assert 10 == _prepare(frame, _assemble("skip"), drops_rows=True).dropped_rows
    assert 0 == _prepare(frame, _assemble("keep")).dropped_rows
    with pytest.raises(JobError, match="each row must stay one row"):
        _prepare(frame, _TWICE, _assemble("skip"), drops_rows=True)


@pytest.mark.parametrize(
    ("probability", "more", "message"),
    [
        (
            "0.5D",
            "LATERAL VIEW explode(array(1, 2, 3)) AS part",
            "scoring: 4 rows went in, 12 came out",
        ),
        ("0.5D", "WHERE label = 0", "scoring: 4 rows went in, 2 came out"),
        ("1.5D", "", "fit: the 'probability' of 4 held-out rows is not between 0 and 1, such as 1.5."),
        ("-0.5D", "", "fit: the 'probability' of 4 held-out rows is not between 0 and 1, such as -0.5."),
        ("not_there", "", "what 'fit' returned failed on the rows: "),
    ],
    ids=["more", "fewer", "above 1", "below 0", "missing column"],
)
def test_a_model_gives_each_row_one_probability(
    spark: SparkSession, probability: str, more: str, message: str
) -> None:
    """A model that scores other rows, or whose scores aren't probabilities, is reported with the pipeline."""
    test = spark.createDataFrame(
        [(str(at), float(at % 2)) for at in range(4)], "harness_key STRING, label DOUBLE"
    )
    model = SQLTransformer(statement=f"SELECT *, {probability} AS p FROM __THIS__ {more}")  # noqa: S608
    whole = _Both(model, VectorAssembler(inputCols=["p", "p"], outputCol="probability"))
    with pytest.raises(JobError) as caught, score_held_out(whole, test, None, USE):
        pass
    assert caught.value.message.startswith(f"{USE}: {message}")


@dataclass(frozen=True)
class _Both:
    """Two stages, one after the other."""

    first: Any
    second: Any

    def transform(self, rows: DataFrame) -> DataFrame:
        scored: DataFrame = self.second.transform(self.first.transform(rows))
        return scored


_NO_NUMBER = "return a number, or None if it can't be measured."
_TOO_LARGE = "which is too large; return a smaller number."


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, f"as True (bool); {_NO_NUMBER}"),
        ("0.99", f"as '0.99' (str); {_NO_NUMBER}"),
        ([0.5], f"as [0.5] (list); {_NO_NUMBER}"),
        (1j, f"as 1j (complex); {_NO_NUMBER}"),
        (1e308, f"as 1e+308 (float), {_TOO_LARGE}"),
        (10**400, f"(int), {_TOO_LARGE}"),
        (10**5000, f"as a number of many digits (int), {_TOO_LARGE}"),
    ],
    ids=["bool", "text", "list", "complex", "large", "large integer", "very large integer"],
)
def test_a_metric_that_is_not_a_number_is_reported(value: object, message: str) -> None:
    """The message about a metric that can't be used has the pipeline, the step, the metric and its value."""
    with pytest.raises(JobError) as caught:
        _checked(Mine(metrics={"mine": value})).evaluate(None, None)  # type: ignore[arg-type]
    assert caught.value.message.startswith(f"{USE} returned the metric 'mine' from 'evaluate' as ")
    assert caught.value.message.endswith(message)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (math.nan, None), (math.inf, None), (2, 2.0), (Decimal("0.25"), 0.25), (-3.5, -3.5)],
)
def test_a_metric_is_a_finite_number_or_not_measured(value: object, expected: float | None) -> None:
    """Real numbers of any type are metrics; NaN and infinity are not measured, and never pass."""
    checked = _checked(Mine(metrics={"mine": value}))
    assert {"mine": expected} == checked.evaluate(None, None)  # type: ignore[arg-type]
