"""The ports of the stack: taken ones, and two services with the same number."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.settings import read_settings
from harness.targets.compose.stack import Stack


@pytest.fixture(name="engine")
def _engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that creates a Docker command which lists these containers."""

    def create(line: str) -> None:
        command = tmp_path / "docker"
        command.write_text(f"#!/bin/sh\nprintf '{line}'\n")
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return create


@pytest.fixture(name="taken")
def _taken() -> Iterator[int]:
    """Return a port that is in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def _stack(folder: Path, **ports: int) -> Stack:
    return Stack(read_settings({name: str(port) for name, port in ports.items()}, folder=folder, environ={}))


@pytest.mark.parametrize(
    ("line", "user"),
    [
        ("first-mlflow-1\tfirst\t/home/me/first\n", "the stack 'first' of the folder /home/me/first"),
        ("web\t\t\n", "the container web"),
        ("", "another process"),
    ],
    ids=["stack", "container", "process"],
)
def test_a_taken_port_names_its_user(
    tmp_path: Path, engine: Callable[[str], None], taken: int, line: str, user: str
) -> None:
    """A port in use is reported with who uses it and a free one."""
    engine(line)
    with pytest.raises(PrerequisiteError) as caught:
        _stack(tmp_path, mlflow_port=taken).require_ports({"azurite", "spark-master"})
    message, remedy = str(caught.value).splitlines()
    assert f"Port {taken} is in use by {user}; the stack's service mlflow needs it." == message
    assert remedy.startswith("  Set HARNESS_MLFLOW_PORT to a free port, such as ")


def test_two_services_need_two_ports(tmp_path: Path) -> None:
    """Two services with the same port are refused, even if both run already."""
    with pytest.raises(UsageError) as caught:
        _stack(tmp_path, azurite_port=5000).require_ports({"azurite", "mlflow", "spark-master"})
    message, remedy = str(caught.value).splitlines()
    assert "The settings 'azurite_port' and 'mlflow_port' are the same port: 5000." == message
    assert remedy.startswith("  Set HARNESS_MLFLOW_PORT to another free port, such as ")
    assert ExitCode.WRONG_INPUT == caught.value.exit_code
