"""A tracking server that stops answering in the middle of a run: waited for once, then the end of the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from harness.errors import ExitCode, PrerequisiteError
from harness.events import Event
from harness.job.__main__ import main
from harness.job.clock import Clock
from harness.job.main import run
from harness.job.mlflow_tracker import Tracker
from harness.job.running_job import Job
from harness.job.tracking_requests import WAIT, Patience
from harness.plan import Plan
from harness.results import Result, VersionResult
from tests.embedded.faulty_mlflow import Fault, FaultyServer
from tests.embedded.runner import make_plan
from tests.embedded.small import SMALL, UNPUBLISHED, write_table

SHORT = Patience(outage_s=0.2, pause_s=0.05)
ENDLESS = Patience(outage_s=1e6, pause_s=1e6)
VERSION = VersionResult(
    name="second", version=1, rows=300, fingerprint="0" * 32, data_schema={"id": "int"}, metrics={"auc": 0.5}
)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> FaultyServer:
    """One server for all tests, because the tables of its store take seconds to create."""
    return FaultyServer(tmp_path_factory.mktemp("tracking") / "server")


@pytest.fixture
def server(one_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    one_server.start()
    yield one_server
    one_server.stop()


def open_tracker(
    server: FaultyServer, patience: Patience, listener: Callable[[Event], None] = lambda _event: None
) -> Tracker:
    """Return a tracker whose parent run has started."""
    tracker = Tracker(plan_of(server), listener, patience)
    tracker.start()
    return tracker


def plan_of(server: FaultyServer) -> Plan:
    """Return a plan that is tracked by the server."""
    folder = server._folder.parent
    plan = make_plan(SMALL, folder / "readings.csv", folder, uuid4().hex)
    environment = plan.environment.model_copy(update={"tracking_uri": server.url, "artifacts": None})
    return plan.model_copy(update={"environment": environment})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (None, "Connection refused"),
        ("error", "it returns the server error 500"),
        ("hang", "the request timed out"),
    ],
)
def test_a_server_that_does_not_come_back_is_reported(
    server: FaultyServer, fault: Fault | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is gone, fails or hangs is reported at once, then ends the run; nobody asks it again."""
    events: list[Event] = []
    silent = 0.1 if fault == "hang" else 1e6
    tracker = open_tracker(server, Patience(SHORT.outage_s, SHORT.pause_s, silent), events.append)
    events.clear()
    server.fault = fault
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1" if fault == "hang" else "60")
    if fault is None:
        server.stop()
    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(tracker.start_version, VERSION) for _ in range(4)]
    # All threads get the same end of one outage.
    [error] = {each.exception() for each in threads}
    assert isinstance(error, PrerequisiteError)
    assert f"MLflow at {server.url} doesn't answer: {reason}." == error.message
    sentence = f"MLflow at {server.url} does not answer; trying again"
    assert [Event(WAIT, "notice", detail=sentence)] == events
    server.stop()
    server.start()
    with pytest.raises(PrerequisiteError):
        tracker.abandon("FAILED")
    assert [] == server.requests


def test_a_server_that_comes_back_is_waited_for(server: FaultyServer, tmp_path: Path) -> None:
    """After an outage everything is logged, files too; start and end of the outage are reported."""
    events: list[Event] = []

    def repair(event: Event) -> None:
        events.append(event)
        server.fault = None

    (tmp_path / "models" / "classifier" / "sparkml").mkdir(parents=True)
    for name in ("MLmodel", "sparkml/metadata"):
        (tmp_path / "models" / "classifier" / name).write_text(name)
    tracker = open_tracker(server, Patience(pause_s=0), repair)
    run_id = tracker.start_version(VERSION)
    server.fault = "error"
    tracker.log_version(run_id, VERSION, tmp_path / "models")
    assert {"auc": 0.5} == tracker.client.get_run(run_id).data.metrics
    found = [each.path for each in tracker.client.list_artifacts(run_id, "models/classifier")]
    assert ["models/classifier/MLmodel", "models/classifier/sparkml"] == found
    assert ["notice", "done"] == [each.state for each in events]


def test_a_run_whose_creation_was_not_confirmed_is_found(server: FaultyServer) -> None:
    """If only the answer about a new run is lost, the run is used, and no second one stays open for ever."""
    tracker = open_tracker(server, ENDLESS)
    server.fault = "lose the answer"
    run_id = tracker.start_version(VERSION)
    own = f"tags.`mlflow.parentRunId` = '{tracker.parent_run_id}'"
    runs = tracker.client.search_runs([tracker._experiment_id], own)
    assert [run_id] == [each.info.run_id for each in runs]


def test_nobody_waits_for_the_server_of_a_failed_run(server: FaultyServer) -> None:
    """The wait of each thread ends as soon as the run has failed elsewhere, or is interrupted."""
    tracker: Tracker

    def stop(_event: Event) -> None:
        tracker.stop_waiting()

    tracker = open_tracker(server, ENDLESS, stop)
    server.fault = "error"
    with pytest.raises(PrerequisiteError, match="the server error 500"):
        tracker.start_version(VERSION)


def test_a_job_without_its_server_ends_before_spark_starts(
    server: FaultyServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A job checks its server first: without it there is a result with the reason, and no Spark."""
    server.stop()
    (tmp_path / "plan.json").write_text(plan_of(server).model_dump_json(by_alias=True))
    code = main([str(tmp_path / "plan.json"), str(tmp_path / "result.json")])
    result = Result.from_json((tmp_path / "result.json").read_text())
    assert result.failure is not None
    expected = f"MLflow at {server.url} doesn't answer: Connection refused."
    assert (3, expected) == (code, result.failure.message)
    assert '"session", "state": "done"' not in capfd.readouterr().out


@pytest.mark.spark
def test_a_job_whose_server_goes_away_keeps_what_it_measured(
    server: FaultyServer, spark: SparkSession, tmp_path: Path
) -> None:
    """A job whose server goes away ends with exit code 3, and its result has all measurements so far."""
    plan = plan_of(server).model_copy(update={"scenario": UNPUBLISHED})
    source = {
        path: each.model_copy(update={"uri": str(write_table(tmp_path))})
        for path, each in plan.sources.items()
    }
    events: list[Event] = []

    def break_server(event: Event) -> None:
        events.append(event)
        if (event.step, event.state) == ("train", "done"):
            server.fault = "error"

    clock = Clock(break_server)
    tracker: Future[Tracker] = Future()
    tracker.set_result(Tracker(plan, clock.report, SHORT))
    result = run(
        Job(
            plan.model_copy(update={"sources": source}),
            clock,
            spark,
            tracker,
            tmp_path / "scratch",
            threading.Event(),
        )
    )
    assert result.failure is not None
    assert (ExitCode.PREREQUISITE_MISSING, True) == (
        result.exit_code,
        result.failure.message.endswith("doesn't answer: it returns the server error 500."),
    )
    [version] = result.versions
    assert (version.metrics["test_roc_auc"] or 0) > 0.7
    assert (WAIT, "notice") in [(each.step, each.state) for each in events]
