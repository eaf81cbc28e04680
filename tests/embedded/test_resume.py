"""Runs that ended before their verdict, and go on after the last step that they had finished."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from harness.events import Event, FinishedStep
from harness.job.clock import Clock
from harness.job.main import run
from harness.job.step_record import StepRecord
from harness.plan import Plan
from harness.results import Result
from tests.embedded.runner import TrackedHome, change_scenario, make_job, make_plan
from tests.embedded.small import SMALL, write_table

pytestmark = pytest.mark.spark

_OF_A_RUN = {"run_id", "bundle", "timings", "commit"}
_VERSIONS = SMALL.model_dump(exclude_none=True)["versions"]
Point = tuple[str, str | None]


class BrokenError(Exception):
    """The end of a part of a run."""


class Runs(TrackedHome):
    """Runs of the small scenario in one home, each in several parts, on the session of the tests."""

    def __init__(self, spark: SparkSession, home: Path) -> None:
        super().__init__(spark, home)
        self.source = write_table(home / "data")
        self.finished: list[FinishedStep] = []
        """The steps that the newest run has finished."""
        self.started: list[Point] = []
        """The steps that its newest part has started."""

    def plan(self, run_id: str, **changes: Any) -> Plan:
        """Return the plan of a new run that uses no models of other runs."""
        self.finished = []
        return make_plan(SMALL, self.source, self.home, run_id).model_copy(update={"fresh": True, **changes})

    def run(self, plan: Plan, end: Point | None = None) -> Result:
        """Run a plan until a step starts, or to its verdict."""
        self.started = []

        def follow(event: Event) -> None:
            point = (event.step, event.version)
            if event.state == "started":
                self.started.append(point)
                if point == end:
                    raise BrokenError

        job = make_job(self.spark, plan)
        job.clock = Clock(follow)
        job.steps = StepRecord(plan.finished, self.finished.append)
        result = run(job)
        assert (end is None) == (result.failure is None), result.failure
        return result

    def go_on(self, plan: Plan, end: Point | None = None) -> Result:
        """Go on with the run after the steps that it has finished."""
        # As its command keeps them.
        lines = [each.to_line() for each in self.finished]
        finished = tuple(each for line in lines if (each := FinishedStep.from_line(line)))
        resumed = plan.resume(plan.run_id, finished)
        return self.run(Plan.model_validate_json(resumed.model_dump_json(by_alias=True)), end)

    def list_tracked(self, run_id: str) -> list[tuple[str, str]]:
        """Return name and status of each run that MLflow has of a run."""
        return sorted((str(each.info.run_name), each.info.status) for each in self.search(run_id))


@pytest.fixture(name="runs", scope="module")
def _runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(spark, tmp_path_factory.mktemp("resume"))


def measured(result: Result) -> list[dict[str, Any]]:
    """Return everything that a run has measured."""
    return [version.model_dump(exclude=_OF_A_RUN) for version in result.versions]


def list_commits(plan: Plan) -> list[int]:
    """Return the Delta versions of the table that a run has built."""
    return sorted(int(each.stem) for each in Path(plan.table_uri, "_delta_log").glob("*.json"))


def test_a_run_goes_on_after_its_last_step(runs: Runs) -> None:
    """A run that breaks four times measures the same, and doubles nothing in table, MLflow, model store."""
    # The second and the third version have the same rows, so their trainings have one key.
    scenario = change_scenario(SMALL, {"versions": [*_VERSIONS, {"name": "third", "optimize": {}}]})
    undisturbed = runs.run(runs.plan("undisturbed", scenario=scenario))
    plan = runs.plan("broken", scenario=scenario)
    runs.run(plan, ("ingest", "second"))
    runs.go_on(plan, ("describe", None))
    assert {("ingest", "second"), ("check", "first")} <= set(runs.started)
    assert ("ingest", "first") not in runs.started
    runs.go_on(plan, ("train", "second"))
    assert not {"ingest", "check"} & {step for step, version in runs.started if version}
    runs.go_on(plan, ("publish", "second"))
    assert {step for step, _ in runs.started} >= {"train", "evaluate", "explain"}
    assert ("describe", None) not in runs.started
    result = runs.go_on(plan)
    assert not {"check", "describe", "prepare", "train", "evaluate"} & {step for step, _ in runs.started}
    assert measured(undisturbed) == measured(result)
    tracked = [(name, "FINISHED") for name in ("small", "small/first", "small/second", "small/third")]
    assert (tracked, [0, 1]) == (runs.list_tracked("broken"), list_commits(plan)[:2])
    bundles = {f"v{each.version}-{each.run_id}" for each in (*undisturbed.versions, *result.versions)}
    assert bundles == {each.name for each in (runs.home / "models" / "readings").iterdir()}


def test_what_came_after_the_last_finished_step_is_undone(runs: Runs) -> None:
    """Commits of a step that was not finished are removed from the table, with their checkpoints."""
    plan = runs.plan("half")
    runs.run(plan, ("describe", None))
    checked = {each.version: each.facts for each in runs.finished if each.step == "check"}
    runs.finished = [each for each in runs.finished if (each.step, each.version) == ("ingest", "first")]
    rows = runs.spark.read.format("delta").load(plan.table_uri).limit(1)
    for _ in range(10):  # Delta writes a checkpoint after ten commits.
        rows.write.format("delta").mode("append").save(plan.table_uri)
    assert Path(plan.table_uri, "_delta_log", "_last_checkpoint").exists()
    runs.go_on(plan, ("describe", None))
    again = {each.version: each.facts for each in runs.finished if each.step == "check"}
    assert (checked, [0, 1]) == (again, list_commits(plan))


def test_a_table_that_was_changed_is_built_again(runs: Runs) -> None:
    """If a commit is another one than that of a finished step, nothing counts as finished."""
    plan = runs.plan("changed")
    runs.run(plan, ("describe", None))
    os.utime(Path(plan.table_uri, "_delta_log", f"{0:020d}.json"), (1e9, 1e9))  # It is the commit's time.
    runs.go_on(plan, ("describe", None))
    assert {("ingest", "first"), ("ingest", "second"), ("check", "first")} <= set(runs.started)
    assert [0, 1] == list_commits(plan)


def test_a_training_that_lost_files_is_repeated(runs: Runs) -> None:
    """A storage that crashed may lack the newest files: of a record, or of a model."""
    plan = runs.plan("lost")
    runs.run(plan, ("publish", "first"))
    [first, second] = [
        next(runs.home.rglob(f"{each.info.run_id}/artifacts"))
        for name in ("small/first", "small/second")
        for each in runs.search("lost")
        if each.info.run_name == name
    ]
    shutil.rmtree(first / "training")
    next(second.glob("models/**/part-*")).unlink()
    runs.go_on(plan)
    assert {("train", "first"), ("train", "second")} <= set(runs.started)
    tracked = [(name, "FINISHED") for name in ("small", "small/first", "small/second")]
    assert tracked == runs.list_tracked("lost")


def test_facts_of_sensitive_columns_are_not_kept(runs: Runs) -> None:
    """The step that knows ranges and labels leaves no record if the scenario hides columns."""
    hidden = change_scenario(SMALL, {"table": {"sensitive": ["heat"]}})
    runs.run(runs.plan("hidden", scenario=hidden), ("describe", None))
    assert ["ingest", "ingest"] == [each.step for each in runs.finished]
