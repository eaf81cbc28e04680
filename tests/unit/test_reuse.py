"""Which earlier runs make a new one unnecessary, and which changes are noticed."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console

from harness.errors import ExitCode
from harness.events import Listener
from harness.files import sha256_of, write_text
from harness.plan import Plan
from harness.prediction_files import write_predictions
from harness.predictions import Predictions
from harness.request import Session
from harness.results import Failure, Registration, Result, StoredPredictions, Verdict
from harness.reuse import (
    find_known_runs,
    find_known_versions,
    find_reason_to_train,
    find_usable_run,
    take_over,
)
from harness.runs import RESULT, WORK, RunFolder
from harness.scenario.model import Scenario
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from harness.workflow import execute
from tests.unit.studies_samples import (
    DATA,
    RUN,
    loaded,
    make_plan,
    measured,
    result,
    scenario,
    store_run,
    with_versions,
)

FILE = "predictions/one.parquet"
LATER = "20260301-101501-readings-7f3a"


def change_environment(**changes: Any) -> dict[str, Any]:
    """Return the change of a plan's environment."""
    return {"environment": make_plan().environment.model_copy(update=changes)}


def change_scenario(**changes: Any) -> dict[str, Any]:
    """Return the change of a plan's scenario."""
    base = scenario([{"name": "one"}, {"name": "two"}]).model_dump(mode="json", by_alias=True)
    return {"scenario": Scenario.model_validate({**base, **changes})}


def list_known(runs: Path, plan: Plan) -> list[str]:
    """Return the ids of the runs whose numbers are those of a plan."""
    return [known.result.run_id for known in find_known_runs(runs, plan)]


TWO = make_plan(**change_scenario())


def test_finished_runs_with_the_same_numbers_are_found_newest_first(tmp_path: Path) -> None:
    """Finished runs with the same work are found, newest first."""
    for run_id in (RUN, LATER):
        store_run(tmp_path, make_plan(run_id=run_id), result(measured("one")))
    assert [LATER, RUN] == list_known(tmp_path, make_plan())


_OTHER_STEP = {"name": "two", "append": {"where": "batch = 9"}}
_ONE = {"name": "one", "append": {"where": "batch = 0"}}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"harness_version": "0.1.0+c2"}, "the harness's code"),
        ({"code": {"pipelines.py": "x = 1"}}, "the pipeline's code"),
        ({"sources": {"readings.csv": DATA.model_copy(update={"sha256": "e" * 64})}}, "a source"),
        ({"sources": {"readings.csv": DATA.model_copy(update={"options": {"sep": ";"}})}}, "a source"),
        ({"existing_table": "/lake/other"}, "the table"),
        (change_environment(target="compose"), "the target"),
        (change_environment(libraries="2"), "the libraries"),
        (change_environment(spark={"spark.sql.shuffle.partitions": "8"}), "Spark's settings"),
        (change_scenario(seed=4), "seed"),
        (change_scenario(segments={"hot": "heat > 20"}), "segments"),
        (change_scenario(proof={"min_class_rows": 3}), "proof.min_class_rows"),
        (
            change_scenario(table={**TWO.scenario.table.model_dump(mode="json"), "sensitive": ["heat"]}),
            "table.sensitive",
        ),
        (
            change_scenario(pipeline={**TWO.scenario.pipeline.model_dump(mode="json"), "features": ["heat"]}),
            "pipeline.features",
        ),
        (change_scenario(versions=[_ONE, _OTHER_STEP]), "the steps"),
    ],
    ids=lambda each: "" if isinstance(each, dict) else each,
)
def test_what_changes_a_number_is_noticed(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    """Neither the run nor its version is used after any such change, and the change is named."""
    changed = TWO.model_copy(update=changes)
    store_run(tmp_path, TWO, result(measured("one"), measured("two")))
    assert [TWO.run_id] == list_known(tmp_path, TWO)
    assert [] == list_known(tmp_path, changed)
    assert [] == list(find_known_versions(tmp_path, changed, "two"))
    assert reason in find_reason_to_train(tmp_path, changed, "two")


@pytest.mark.parametrize(
    "expression",
    ["heat > day(current_date())", "rand(1) < 0.5", "now() > 'x'", "unix_timestamp() > 3", "uuid() IS NULL"],
)
def test_expressions_on_the_time_are_measured_again(tmp_path: Path, expression: str) -> None:
    """They have another value each time, so that no other run has measured the same."""
    pipeline = {**TWO.scenario.pipeline.model_dump(mode="json", by_alias=True), "filter": expression}
    timed = TWO.model_copy(update=change_scenario(pipeline=pipeline))
    store_run(tmp_path, timed, result(measured("one"), measured("two")))
    later = timed.model_copy(update={"run_id": LATER})
    assert [] == list_known(tmp_path, later)
    assert [timed.run_id] == list_known(tmp_path, timed)
    assert "the time, on which an expression depends" in find_reason_to_train(tmp_path, later, "two")


@pytest.mark.parametrize(
    "changes",
    [
        {"every": {"metrics": {"test_roc_auc": {"min": 0.7}}}},
        {"description": "Readings of two days."},
        {"observe": True},
        {"publish": {"when": "never"}},
        {"proof": {"min_explanation_r2": 0.5}},
        {"verdict": "fail", "caught_by": ["two.test_roc_auc"]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_changes_no_number_is_no_reason_to_measure(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Bounds, words and publishing change no number; neither does the size of a heap."""
    store_run(tmp_path, TWO, result(measured("one"), measured("two")))
    heap = change_environment(spark={"spark.sql.shuffle.partitions": "4", "spark.driver.memory": "4g"})
    changed = TWO.model_copy(update=change_scenario(**changes) | heap)
    assert [TWO.run_id] == list_known(tmp_path, changed)
    assert "" == find_reason_to_train(tmp_path, changed, "two")


def test_facts_that_only_some_bounds_need_are_measured(tmp_path: Path) -> None:
    """A run that never described its added rows can't be judged by the standard gate; its models can be."""
    store_run(tmp_path, TWO, result(measured("one"), measured("two")))
    gate = TWO.model_copy(update=change_scenario(every={"standard": True}))
    assert [] == list_known(tmp_path, gate)
    assert 1 == len(list(find_known_versions(tmp_path, gate, "two")))


def test_an_unfinished_run_is_not_used(tmp_path: Path) -> None:
    """A run that is still running or broken is not used."""
    store_run(tmp_path, make_plan())
    assert [] == list_known(tmp_path, make_plan())
    failure = Failure(kind="JobError", exit_code=5, message="The job broke.")
    store_run(tmp_path, make_plan(), result(measured("one")).model_copy(update={"failure": failure}))
    assert [] == list_known(tmp_path, make_plan())


def test_an_edited_result_is_not_used(tmp_path: Path) -> None:
    """Its digest doesn't fit any more."""
    folder = store_run(tmp_path, make_plan(), result(measured("one")))
    file = folder.path / RESULT
    write_text(file, file.read_text().replace('"rows": 300', '"rows": 301'))
    assert [] == list_known(tmp_path, make_plan())


@pytest.mark.parametrize("text", ["", "[]", '{"run": 1}', '{"run": "x", "versions": [1]}', "[" * 9999])
def test_keys_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    """A run without readable keys, such as one of an older version, is not used."""
    folder = store_run(tmp_path, make_plan(), result(measured("one")))
    write_text(folder.path / WORK, text)
    assert [] == list_known(tmp_path, make_plan())
    assert "" == find_reason_to_train(tmp_path, make_plan(), "one")


@pytest.mark.parametrize(
    ("digests", "found"), [({}, 0), ({"folder_sha256": "a" * 64}, 1)], ids=["remote", "folder"]
)
def test_a_source_counts_by_its_content(tmp_path: Path, digests: Mapping[str, str], found: int) -> None:
    """Files of a folder count by their content; a source elsewhere may change unnoticed."""
    source = DATA.model_copy(update={"sha256": None, **digests})
    plan = make_plan(sources={"readings.csv": source})
    store_run(tmp_path, plan, result(measured("one")))
    assert found == len(list_known(tmp_path, plan)) == len(list(find_known_versions(tmp_path, plan, "one")))


def test_a_version_of_an_existing_table_counts_by_its_commit(tmp_path: Path) -> None:
    """The latest version is another one after a commit; without a known commit, it may be."""
    read = scenario([{"name": "one", "append": None, "read": {"version": "latest"}}])
    commits = {"one": "version 12, aaa"}
    plan = make_plan(scenario=read, existing_table="/lake/table", commits=commits)
    store_run(tmp_path, plan, result(measured("one")))
    assert [plan.run_id] == list_known(tmp_path, plan)
    assert [] == list_known(tmp_path, plan.model_copy(update={"commits": {"one": "version 12, bbb"}}))
    assert [] == list_known(tmp_path, plan.model_copy(update={"commits": {}}))


def test_a_version_is_the_same_whatever_follows_it(tmp_path: Path) -> None:
    """A whole run has trained each version; another seed, or other rows to explain, make another model."""
    whole = make_plan(scenario=with_versions(4))
    store_run(tmp_path, whole, result(*(measured(f"v{number}") for number in range(4))))
    shorter = make_plan(scenario=with_versions(3))
    assert ["v2"] == [each.name for _, each in find_known_versions(tmp_path, shorter, "v2")]
    assert [] == list_known(tmp_path, shorter)
    other = shorter.scenario.model_copy(update={"seed": 9})
    assert [] == list(find_known_versions(tmp_path, make_plan(scenario=other), "v2"))
    versions = tuple(
        each.model_copy(update={"train": each.name != "v0"}) for each in shorter.scenario.versions
    )
    later = shorter.scenario.model_copy(update={"versions": versions})
    assert [] == list(find_known_versions(tmp_path, make_plan(scenario=later), "v2"))
    assert "the first trained version" == find_reason_to_train(tmp_path, make_plan(scenario=later), "v2")


def test_an_untrained_version_is_not_used(tmp_path: Path) -> None:
    """A version without a model can't be used."""
    plan = make_plan(scenario=with_versions(2))
    built = measured("v1").model_copy(update={"status": "built"})
    store_run(tmp_path, plan, result(measured("v0"), built))
    assert [] == list(find_known_versions(tmp_path, plan, "v1"))


@pytest.fixture(name="session")
def _session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings = read_settings({"target": "embedded"})
    one = loaded(tmp_path, every={"metrics": {"test_roc_auc": {"min": 0.6}}})
    return Session(one, (one,), _NoJob(settings), settings, Console(file=io.StringIO(), width=200))


class _NoJob(Embedded):
    """The embedded target, whose job must not run."""

    def run(self, folder: Path, listener: Listener) -> Result:
        raise AssertionError(f"a job was started: {folder}, {listener}")


def leave_finished_run(session: Session) -> Result:
    """Leave a finished run of the session's scenario, with everything that its result refers to."""
    from harness.resolve import resolve_plan

    plan = resolve_plan(session.loaded, session.settings, session.target)
    file = Path(plan.environment.tracking_uri.removeprefix("sqlite:///"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE runs (run_uuid TEXT, lifecycle_stage TEXT)")
        database.executemany("INSERT INTO runs VALUES (?, 'active')", [("p" * 32,), ("c" * 32,)])
    bundle = Path(plan.environment.model_store, "readings", "v0-" + "c" * 32)
    write_text(bundle / "manifest.json", "{}")
    table = Path(plan.environment.lake, "runs", plan.run_id, "readings")
    table.mkdir(parents=True)
    folder = session.settings.runs / plan.run_id
    write_predictions(Predictions(rows=()), folder / FILE)
    version = measured("one", test_roc_auc=0.7).model_copy(
        update={
            "run_id": "c" * 32,
            "bundle": str(bundle),
            "predictions": StoredPredictions(file=FILE, sha256=sha256_of(folder / FILE), rows=0, held_out=0),
        }
    )
    made = result(version).model_copy(
        update={"run_id": plan.run_id, "mlflow_run_id": "p" * 32, "table_uri": str(table)}
    )
    store_run(session.settings.runs, plan, made)
    write_text(folder / "junit.xml", "")
    return made


def test_an_unchanged_scenario_is_only_judged_again(session: Session) -> None:
    """The result has the numbers, the MLflow runs and the bundles of the earlier run, and names it."""
    earlier = leave_finished_run(session)
    outcome = execute(session, session.loaded)
    made = outcome.result
    assert (ExitCode.PASS, Verdict.PASS) == (outcome.exit_code, made.verdict)
    assert made.run_id != made.reused_from == earlier.run_id
    assert made == RunFolder(outcome.folder).read_result()
    [before], [now] = earlier.versions, made.versions
    kept = ("metrics", "run_id", "bundle", "predictions", "fingerprint")
    assert [getattr(before, name) for name in kept] == [getattr(now, name) for name in kept]
    assert earlier.run_id == now.reused_from
    names = {path.name for path in outcome.folder.iterdir()}
    assert {"report.html", "report.md", "junit.xml", "predictions", "result.json"} <= names
    assert f"Nothing has changed since the run {earlier.run_id}" in _read(session)
    assert earlier.run_id == execute(session, session.loaded).result.reused_from


def test_an_edited_bound_judges_the_same_numbers(session: Session, tmp_path: Path) -> None:
    """A bound that the stored numbers don't meet fails, and nothing is published then."""
    leave_finished_run(session)
    stricter = loaded(tmp_path, every={"metrics": {"test_roc_auc": {"min": 0.8}}})
    outcome = execute(session, stricter)
    assert (ExitCode.BOUND_FAILED, [None]) == (
        outcome.exit_code,
        [each.bundle for each in outcome.result.versions],
    )


@pytest.mark.parametrize(
    "gone", ["MLflow run", "parent run", "store", "bundle", "table", "predictions", "result"]
)
def test_what_is_gone_is_measured_again(session: Session, gone: str) -> None:
    """A run whose table, MLflow runs, bundle or result is gone, or whose predictions differ, is not used."""
    made = leave_finished_run(session)
    file = Path(session.settings.home, "mlflow.db")
    if gone.endswith("run"):
        with closing(sqlite3.connect(file)) as database, database:
            deleted = made.versions[0].run_id if gone == "MLflow run" else made.mlflow_run_id
            database.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (deleted,))
    elif gone == "store":
        file.unlink()
    elif gone == "bundle":
        shutil.rmtree(made.versions[0].bundle or "")
    elif gone == "predictions":
        (session.settings.runs / made.run_id / FILE).write_bytes(b"others")
    elif gone == "table":
        shutil.rmtree(made.table_uri)
    else:
        (session.settings.runs / made.run_id / RESULT).unlink()
    plan = RunFolder(session.settings.runs / made.run_id).read_plan()
    assert find_usable_run(session.settings.runs, plan, session.target) is None


def test_a_model_that_is_still_to_be_published_needs_a_job(session: Session) -> None:
    """If edited bounds let the models pass, they are published: by a job, which trains nothing."""
    made = leave_finished_run(session)
    unpublished = made.versions[0].model_copy(update={"bundle": None})
    folder = session.settings.runs / made.run_id
    write_text(folder / RESULT, made.model_copy(update={"versions": (unpublished,)}).to_json())
    plan = RunFolder(folder).read_plan()
    assert find_usable_run(session.settings.runs, plan, session.target) is None
    never = plan.scenario.model_copy(
        update={"publish": plan.scenario.publish.model_copy(update={"when": "never"})}
    )
    unpublishing = plan.model_copy(update={"scenario": never})
    assert find_usable_run(session.settings.runs, unpublishing, session.target) is not None


@pytest.mark.parametrize(
    ("registered", "is_used"),
    [
        (Registration(name="loan", version="2", alias="champion"), True),
        (Registration(name="loan", version="1", alias="champion", has_alias=False), True),
        (Registration(name="loan", version="1", alias="champion"), False),
        (Registration(name="loan", version="2"), False),
        (Registration(name="other", version="2", alias="champion"), False),
        (None, False),
    ],
)
def test_a_model_that_is_still_to_be_registered_needs_a_job(
    session: Session, tmp_path: Path, empty_store: Path, registered: Registration | None, is_used: bool
) -> None:
    """If the model is not registered as the scenario asks, or its alias was moved, a job sees to that."""
    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'registry.db')}"
    client = MlflowClient(uri)
    client.create_registered_model("loan")
    for number in "12":
        client.create_model_version("loan", str(tmp_path))
        client.set_registered_model_alias("loan", "champion", number)
    made = leave_finished_run(session)
    version = made.versions[0].model_copy(update={"registered": registered})
    folder = session.settings.runs / made.run_id
    write_text(folder / RESULT, made.model_copy(update={"versions": (version,)}).to_json())
    plan = RunFolder(folder).read_plan()
    publish = plan.scenario.publish.model_copy(update={"model": "loan", "alias": "champion"})
    scenario = plan.scenario.model_copy(update={"publish": publish})
    environment = plan.environment.model_copy(update={"registry_uri": uri})
    asked = plan.model_copy(update={"scenario": scenario, "environment": environment})
    known = find_usable_run(session.settings.runs, asked, session.target)
    assert is_used == (known is not None)
    assert known is None or take_over(known, asked, RunFolder(tmp_path)).versions[0].registered == registered


def test_a_fresh_run_and_a_target_out_of_reach_measure_again(session: Session) -> None:
    """``--fresh`` uses nothing; neither does a target whose stores this machine doesn't reach."""
    made = leave_finished_run(session)
    plan = RunFolder(session.settings.runs / made.run_id).read_plan()
    runs = session.settings.runs
    assert find_usable_run(runs, plan, session.target) is not None
    assert find_usable_run(runs, plan.model_copy(update={"fresh": True}), session.target) is None
    assert find_usable_run(runs, plan, object()) is None


def _read(session: Session) -> str:
    file = session.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()
