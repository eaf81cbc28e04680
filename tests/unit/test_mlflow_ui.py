"""The server of MLflow's pages."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, PrerequisiteError
from harness.ports import find_free_port
from harness.settings import read_settings
from harness.tracking.mlflow_ui import serve


def test_the_server_imports_the_installed_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file 'mlflow.py' in the current folder or on the Python path does not become the server."""
    settings = read_settings({"home": str(tmp_path)}, folder=tmp_path, environ={})
    (tmp_path / "mlflow.db").touch()
    started: list[Mapping[str, str]] = []

    def start(_command: Sequence[str], env: Mapping[str, str]) -> SimpleNamespace:
        started.append(env)
        return SimpleNamespace(pid=1, wait=lambda: 1)

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    port = find_free_port()
    with pytest.raises(PrerequisiteError, match=f"port {port} ended with exit code 1"):
        serve(settings, port)
    [environ] = started
    assert ("1", None) == (environ["PYTHONSAFEPATH"], environ.get("PYTHONPATH"))


def test_a_taken_port_is_found_before_mlflow_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port in use leads to one message with a free one, and to exit code 3; nothing is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path))
    (tmp_path / "mlflow.db").touch()
    monkeypatch.setattr(subprocess, "Popen", None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = CliRunner().invoke(app, ["ui", "--target", "embedded", "--port", str(port)])
    error = outcome.exception
    assert isinstance(error, PrerequisiteError)
    assert (ExitCode.PREREQUISITE_MISSING, "") == (error.exit_code, outcome.output + capsys.readouterr().out)
    message, remedy = str(error).splitlines()
    assert f"Port {port} of this machine can't be used for MLflow's pages: Address already in use." == message
    assert re.fullmatch(r"  Choose a free one: harness ui --port \d+\.", remedy)
