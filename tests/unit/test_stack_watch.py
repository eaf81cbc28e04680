"""What a run in the stack waits for, how that is reported, and when the run is ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.targets.compose import stack_watch as module
from harness.targets.compose.stack_watch import (
    Application,
    Container,
    Snapshot,
    StackWatch,
    find_wait,
    read_snapshot,
)

RUN, OTHER = "20260101-120000-loans-0001", "20260101-115900-loans-0000"
SERVICES = ("azurite", "postgres", "mlflow", "spark-master", "spark-worker")
KILLED = Container("spark-worker", "exited", exit_code=137, finished="2026-01-01T12:00:30.5Z")
OWN = Application(RUN, 2)


def _snapshot(
    *changed: Container, workers: int | None = 1, apps: tuple[Application, ...] = (OWN,)
) -> Snapshot:
    """Return the state of a stack with some containers instead of healthy ones."""
    services = {each.service for each in changed}
    healthy = [Container(name, "running", "healthy") for name in SERVICES if name not in services]
    return Snapshot([*healthy, *changed], workers, apps)


def _find(snapshot: Snapshot, *, was_listed: bool = True) -> str | None:
    wait = find_wait(snapshot, RUN, was_listed=was_listed, now=1000.0)
    return wait.message if wait else None


@pytest.fixture(name="utc", autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set this machine's time zone."""
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        (_snapshot(), None),
        (_snapshot(apps=()), "waiting for the Spark master, which was restarted and lost this run"),
        (
            _snapshot(KILLED, workers=0),
            "waiting for workers: 0 of 1 (worker exited 137 at 12:00:30)",
        ),
        (
            _snapshot(KILLED, Container("spark-worker", "restarting"), workers=0),
            "waiting for workers: 0 of 2 (worker exited 137 at 12:00:30)",
        ),
        (_snapshot(KILLED, Container("spark-worker", "running", "healthy")), None),
        (
            _snapshot(Container("spark-worker", "running", "starting"), workers=0),
            "waiting for workers: 0 of 1 (worker is starting)",
        ),
        (
            Snapshot([Container(name, "running") for name in SERVICES[:4]], 0, (OWN,)),
            "waiting for workers: 0 of 0 (worker has no container)",
        ),
        (
            _snapshot(
                Container("postgres", "exited", "", 137, "2026-01-01T12:00:30Z", out_of_memory=True),
                workers=0,
            ),
            "waiting for the service postgres (postgres exited 137, out of memory at 12:00:30)",
        ),
        (
            _snapshot(Container("mlflow", "running", "unhealthy")),
            "waiting for the service mlflow (mlflow doesn't answer)",
        ),
        (_snapshot(Container("mlflow", "running", "starting")), None),
        (
            _snapshot(Container("azurite", "paused")),
            "waiting for the service azurite (azurite is paused)",
        ),
        (
            _snapshot(workers=None),
            "waiting for the service spark-master (its page doesn't answer)",
        ),
        (
            _snapshot(apps=(Application(OTHER, 2, 960_000.0), Application(RUN, 0))),
            f"waiting for the run {OTHER} to end, which has the workers (for 40 s)",
        ),
        (
            _snapshot(apps=(Application(RUN, 0),)),
            "waiting for a worker to start an executor (it has neither started one nor refused to)",
        ),
    ],
)
def test_a_run_knows_what_it_waits_for(snapshot: Snapshot, expected: str | None) -> None:
    """A missing service or worker, or another run, is named with what happened to it and when."""
    assert expected == _find(snapshot)


def test_a_run_that_has_not_started_or_has_ended_is_not_lost() -> None:
    """The master doesn't list a run before its session is open, and lists it elsewhere after its end."""
    assert _find(_snapshot(apps=()), was_listed=False) is None
    ended = Snapshot(_snapshot().containers, 1, (), frozenset({RUN}))
    assert _find(ended) is None


class _Watched:
    """A watch whose clock and stack the test sets."""

    def __init__(self, deadline_s: float = 180) -> None:
        self.now = 0.0
        self.snapshot = _snapshot()
        self.lines: list[str] = []
        self.ends: list[float] = []
        self.watch = StackWatch(
            lambda: self.snapshot,
            RUN,
            self.lines.append,
            lambda _has_ended: self.ends.append(self.now),
            deadline_s,
            lambda: self.now,
        )

    def look(self, until_s: float, snapshot: Snapshot) -> list[str]:
        """Look every three seconds until a time, and return what is reported."""
        self.snapshot, self.lines[:] = snapshot, []
        while self.now < until_s and not self.ends:
            self.now += 3
            self.watch.check()
        return list(self.lines)


LOST_WORKER = "waiting for workers: 0 of 1 (worker exited 137 at 12:00:30)"


def test_a_lost_worker_is_reported_within_seconds() -> None:
    """A wait is reported within 15 s and then every minute, and so is its end."""
    watched = _Watched()
    assert [] == watched.look(9, _snapshot())
    assert [LOST_WORKER] == watched.look(24, _snapshot(KILLED, workers=0))
    assert [f"{LOST_WORKER}, 66 s so far"] == watched.look(84, _snapshot(KILLED, workers=0))
    assert ["going on after 75 s"] == watched.look(90, _snapshot())
    assert ([], None) == (watched.ends, watched.watch.error)


def test_a_service_that_starts_again_at_once_is_not_reported() -> None:
    """A short wait is not worth a line."""
    watched = _Watched()
    assert [] == watched.look(3, _snapshot(KILLED, workers=0))
    assert [] == watched.look(30, _snapshot())


def test_a_run_that_waits_in_vain_is_ended() -> None:
    """After the deadline the run is ended once, with exit code 3 and the cause."""
    watched = _Watched(60)
    watched.look(300, _snapshot(KILLED, workers=0))
    error = watched.watch.error
    assert ([63.0], ExitCode.PREREQUISITE_MISSING) == (watched.ends, error and error.exit_code)
    assert str(error).startswith(f"The run was ended after 60 s of {LOST_WORKER}.\n  'make ps' shows")
    assert "HARNESS_SERVICE_TIMEOUT" in str(error)


def test_each_failure_has_the_whole_deadline() -> None:
    """A wait that was over doesn't count."""
    watched = _Watched(60)
    for start in (0, 100, 200):
        watched.look(start + 50, _snapshot(KILLED, workers=0))
        watched.look(start + 100, _snapshot())
    assert [] == watched.ends


def test_a_restarted_master_ends_the_run_soon() -> None:
    """A master that was restarted doesn't know the run, which waiting doesn't change."""
    watched = _Watched()
    watched.look(9, _snapshot())
    lines = watched.look(60, _snapshot(apps=()))
    assert (["waiting for the Spark master, which was restarted and lost this run"], [24.0]) == (
        lines,
        watched.ends,
    )


def test_a_run_waits_for_another_one_as_long_as_it_takes() -> None:
    """A run that waits for another run says so, and is not ended."""
    watched = _Watched(60)
    apps = (Application(OTHER, 2), Application(RUN, 0))
    lines = watched.look(600, _snapshot(apps=apps))
    assert (True, 10) == (lines[0].startswith(f"waiting for the run {OTHER} to end"), len(lines))
    assert [] == watched.ends


def test_the_deadline_starts_after_the_other_run() -> None:
    """The time that a run waited for another one doesn't count for a worker that is lost then."""
    watched = _Watched(60)
    watched.look(300, _snapshot(apps=(Application(OTHER, 2), Application(RUN, 0))))
    watched.look(330, _snapshot(KILLED, workers=0))
    assert [] == watched.ends


PAGE = {
    "aliveworkers": 1,
    "activeapps": [{"name": RUN, "cores": 2, "starttime": 5.0}],
    "completedapps": [{"name": OTHER}],
}


@pytest.fixture(name="page")
def _page() -> Iterator[str]:
    """Serve the page of a Spark master."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(PAGE).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="engine")
def _engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that creates a Docker command which lists these containers."""

    def create(*lines: str) -> None:
        (tmp_path / "lines").write_text("".join(f"{line}\n" for line in lines))
        command = tmp_path / "docker"
        names = "one" if lines else ""
        command.write_text(f'#!/bin/sh\nif [ $1 = ps ]; then echo {names}; else cat "{tmp_path}/lines"; fi\n')
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return create


def test_the_state_of_a_stack_is_read(engine: Callable[..., None], page: str) -> None:
    """The engine's containers and the master's page are put together."""
    state = {"Status": "exited", "ExitCode": 137, "FinishedAt": "2026-01-01T12:00:30Z", "OOMKilled": True}
    healthy = {"Status": "running", "ExitCode": 0, "Health": {"Status": "healthy"}}
    engine(json.dumps(["spark-worker", state]), json.dumps(["mlflow", healthy]))
    containers = [
        Container("spark-worker", "exited", "", 137, "2026-01-01T12:00:30Z", out_of_memory=True),
        Container("mlflow", "running", "healthy"),
    ]
    expected = Snapshot(containers, 1, (Application(RUN, 2, 5.0),), frozenset({OTHER}))
    assert expected == read_snapshot("harness", page)


def test_a_master_that_does_not_answer_has_no_workers(engine: Callable[..., None]) -> None:
    """Without an answer, nothing is known about workers; without containers, there are none."""
    engine()
    assert Snapshot([], None) == read_snapshot("harness", "http://127.0.0.1:1")


def test_the_thread_ends_a_run_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch works beside the job, ends it, and stops with it."""
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    ended = threading.Event()
    watch = StackWatch(lambda: _snapshot(KILLED, workers=0), RUN, lambda _: None, lambda _: ended.set(), 0)
    with watch.watching():
        assert ended.wait(60)
    assert watch.error is not None
    assert "stack watch" not in {thread.name for thread in threading.enumerate()}
