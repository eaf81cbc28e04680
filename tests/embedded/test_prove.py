"""Faults that the job injects, judged with a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from harness.job.prove import prove
from harness.plan import PlannedFault, PlannedProof
from harness.results import FaultResult, Result, Verdict
from tests.embedded.runner import change_scenario, make_job, make_plan, run_job
from tests.embedded.small import SMALL, UNPUBLISHED, write_table

pytestmark = pytest.mark.spark

_GATE = change_scenario(
    SMALL,
    {
        "publish": {"when": "never"},
        # A proof compares its values all the same, although results hide the bins.
        "table": {"sensitive": ["load"]},
        "segments": {"hot": "heat > 20", "cold": "not heat > 20"},
        "every": {
            "standard": True,
            "drift": {"load": {"max": 0.5}},
            "metrics": {"test_accuracy": {"min": 0.2, "on": "hot"}},
        },
    },
)
_STATEMENTS = {
    "nothing": "SELECT * FROM harness_added",
    "thousand": "SELECT id, batch, heat, load * 1000 AS load, outcome FROM harness_added",
    "no_outcome": "SELECT id, batch, heat, load, CAST(NULL AS STRING) AS outcome FROM harness_added",
}


@dataclass(frozen=True)
class _Proven:
    clean: Result
    proof: Result

    def find(self, name: str) -> FaultResult:
        return next(each for each in self.proof.faults if each.name == name)

    def failing(self, name: str) -> set[str]:
        return {each.metric for each in self.find(name).bounds if each.verdict is not Verdict.PASS}


@pytest.fixture(scope="module", name="proven")
def _proven(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> _Proven:
    home: Path = tmp_path_factory.mktemp("prove")
    source = write_table(home)
    clean = run_job(spark, _GATE, source, home)
    faults = tuple(PlannedFault(name=name, statement=text) for name, text in _STATEMENTS.items())
    planned = PlannedProof(version="second", known=clean.versions, faults=faults)
    plan = make_plan(_GATE, source, home, "proof").model_copy(
        update={"proof": planned, "existing_table": clean.table_uri}
    )
    return _Proven(clean, prove(make_job(spark, plan)))


def test_without_a_fault_every_number_is_that_of_the_run(proven: _Proven) -> None:
    """A fault is judged as the run would judge it: nothing else differs, to the last digit."""
    assert proven.proof.failure is None
    assert proven.clean.versions[1].bounds == proven.find("nothing").bounds


def test_a_fault_makes_bounds_fail(proven: _Proven) -> None:
    """Also those that need a model are judged; bounds that don't see the fault still hold."""
    assert {"standard.drift", "drift(load)"} <= proven.failing("thousand") - proven.failing("nothing")
    assert "rows" not in proven.failing("thousand")
    assert {"test_roc_auc", "rows"} <= {each.metric for each in proven.find("thousand").bounds}


def test_missing_labels_are_found(proven: _Proven) -> None:
    """Rows whose label is null are an unexpected value."""
    assert "unlabelled_rows" in proven.failing("no_outcome")


def test_nothing_is_tracked_or_published(proven: _Proven) -> None:
    """A proof leaves no trace in MLflow, and none beside the table."""
    assert (None, Verdict.OBSERVED) == (proven.proof.mlflow_run_id, proven.proof.verdict)
    assert () == proven.proof.versions


def test_segments_divide_the_held_out_rows(proven: _Proven) -> None:
    """Each segment is measured on its own rows, and so is the part where the model is weakest."""
    for measured in proven.clean.versions:
        hot, cold = (measured.segments[name] for name in ("hot", "cold"))
        assert measured.metrics["test_rows"] == (hot["test_rows"] or 0) + (cold["test_rows"] or 0)
        assert 0 < (hot["test_rows"] or 0) < (measured.metrics["test_rows"] or 0)
    weakest = proven.clean.versions[1].weakest
    assert weakest is not None
    assert weakest.name.split()[0] in ("heat", "load") or " < " in weakest.name
    assert "load" not in weakest.name
    assert min(weakest.positives, weakest.rows - weakest.positives) >= _GATE.proof.min_class_rows


def test_scores_are_counted_by_group(proven: _Proven) -> None:
    """Every held-out row is from before or added; the first version has no such groups."""
    first, second = proven.clean.versions
    assert {} == first.scores
    assert second.metrics["added_test_rows"] == sum(second.scores["added"])
    assert second.metrics["test_rows"] == sum(map(sum, second.scores.values()))


def test_a_segment_in_wrong_sql_is_a_mistake(spark: SparkSession, tmp_path: Path) -> None:
    """It is found before the first training, with its line."""
    gate = change_scenario(UNPUBLISHED, {"segments": {"hot": "warmth > 20"}})
    failure = run_job(spark, gate, write_table(tmp_path), tmp_path).failure
    assert failure is not None
    assert ("segments", "hot") == failure.problems[0].location
    assert "the segment 'hot' can't be selected" in failure.problems[0].message
