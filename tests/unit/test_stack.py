"""Waiting for the services of a stack, by the states that the engine reports."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.settings import read_settings
from harness.targets.compose import stack as module
from harness.targets.compose.stack import Stack

Engine = Callable[..., Stack]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return a function that starts a stack of one service with these successive health states."""
    monkeypatch.setattr(module, "_POLL_S", 0.01)

    def start(*healths: str, state: str = "running") -> Stack:
        for number, health in enumerate(healths):
            row = {"Service": "mlflow", "Name": "m-1", "State": state, "Health": health, "ExitCode": 1}
            (tmp_path / f"{number}.json").write_text(json.dumps(row) + "\n")
        command = tmp_path / "docker"
        command.write_text(
            f'#!/bin/sh\ncd "{tmp_path}"\nset -- *.json\ncat "$1"\nif [ $# -gt 1 ]; then rm "$1"; fi\n'
        )
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return Stack(read_settings(folder=tmp_path, environ={}))

    return start


def test_up_waits_for_a_starting_service(engine: Engine) -> None:
    """The wait includes services that are starting, even if Compose stops waiting."""
    assert engine("starting", "starting", "healthy").is_healthy_by(time.monotonic() + 60)


def test_a_service_that_keeps_starting_is_not_healthy(engine: Engine) -> None:
    """The wait for a service ends at its deadline."""
    assert not engine("starting").is_healthy_by(time.monotonic())


@pytest.mark.parametrize(("state", "health"), [("exited", ""), ("running", "unhealthy")])
def test_up_does_not_wait_for_a_failed_service(engine: Engine, state: str, health: str) -> None:
    """The wait ends at once if a service has ended or is unhealthy."""
    assert not engine(health, state=state).is_healthy_by(time.monotonic() + 60)


def test_up_waits_for_a_service_that_docker_restarts(engine: Engine) -> None:
    """A service that Docker starts again is waited for like one that starts."""
    assert not engine("", state="restarting").is_healthy_by(time.monotonic())
    assert engine("", state="restarting").services()[0].is_starting


REASON = ("25/01/01 ERROR Master: Can't bind", "java.net.BindException: in use")
MASTER = "\n".join((*REASON, "\tat a.b.C.d(E.java:1)", "\t... 9 more\n"))


@pytest.fixture
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Return a stack whose master has ended, whose worker lost it, and whose MLflow waits for Postgres."""
    states = (
        ("spark-worker", "running", "unhealthy"),
        ("spark-master", "exited", ""),
        ("mlflow", "created", ""),
        ("postgres", "running", "healthy"),
    )
    rows = [
        {"Service": name, "Name": name, "State": state, "Health": health, "ExitCode": 137}
        for name, state, health in states
    ]
    (tmp_path / "services").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "spark-master").write_text(MASTER)
    command = tmp_path / "docker"
    command.write_text(
        f'#!/bin/sh\ncd "{tmp_path}"\nif [ $1 = logs ]; then shift 3; cat "$1"; else cat services; fi\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Stack(read_settings(folder=tmp_path, environ={}))


def test_a_failed_start_names_the_first_service(failed: Stack) -> None:
    """The service that the others need is reported, with the true time and without a stack trace."""
    message, *log, remedy = str(failed.startup_error("dependency failed to start", 12.3)).splitlines()
    assert message == (
        "The service spark-master ended within 12 s: its last state is 'exited (137)'. Last lines of its log:"
    )
    assert [f"    {line}" for line in REASON] == log
    assert remedy.startswith("  Docker's message: dependency failed to start.")
