"""The server of MLflow's pages."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import PrerequisiteError
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
    with pytest.raises(PrerequisiteError, match="port 5001 ended with exit code 1"):
        serve(settings, 5001)
    [environ] = started
    assert ("1", None) == (environ["PYTHONSAFEPATH"], environ.get("PYTHONPATH"))
