"""What is made of the states that the engine tells of."""

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
    """A stack of one service, whose health the engine tells anew each time; the last one stays."""
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


def test_a_service_that_starts_is_waited_for(engine: Engine) -> None:
    """Compose's own waiting may end before the first look at a service's health."""
    assert engine("starting", "starting", "healthy").is_healthy_by(time.monotonic() + 60)


def test_a_service_that_goes_on_starting_is_not_healthy(engine: Engine) -> None:
    """The wait has an end."""
    assert not engine("starting").is_healthy_by(time.monotonic())


@pytest.mark.parametrize(("state", "health"), [("exited", ""), ("running", "unhealthy")])
def test_a_service_that_ends_ill_is_not_healthy(engine: Engine, state: str, health: str) -> None:
    """Whether it has ended or only does not answer, nobody waits any longer."""
    assert not engine(health, state=state).is_healthy_by(time.monotonic() + 60)
