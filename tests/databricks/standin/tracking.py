"""A real MLflow server, for the tracking of the stand-in's workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.ports import find_free_port

_DEADLINE_S = 300
_ANSWER_S = 30
_PAUSE_S = 0.2
_END_S = 10
_LINES_SHOWN = 12


class TrackingServer:
    """An MLflow server that runs during a block and keeps everything in the folder.

    It stores runs and metadata of models. Clients write artifacts themselves, to a folder of this machine.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "mlflow.log"
        self._port = find_free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            TimeoutError: It does not answer in time.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = self._start()
        try:
            self._wait(self._process)
        except BaseException:
            _end(self._process)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            _end(self._process)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            *("-m", "mlflow", "server"),
            *("--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"),
            *("--no-serve-artifacts", "--default-artifact-root", f"file://{self._folder}/artifacts"),
            *("--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"),
        ]
        environ = {
            # Settings of MLflow in the tests must not affect the server.
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                start_new_session=True,
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        state = self._state()
        while state != "healthy":
            if time.monotonic() > deadline:
                raise self._late(f"did not become healthy within {_DEADLINE_S} s: {state}")
            if (exit_code := _exit_code(process)) is not None:
                raise self._late(f"ended with exit code {exit_code}")
            state = self._state()

    def _state(self) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_S)
        try:
            connection.request("GET", "/health")
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            return str(error)
        finally:
            connection.close()
        return "healthy" if status == 200 else f"answers {status}"

    def _late(self, what: str) -> TimeoutError:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_SHOWN:]
        message = f"MLflow's server at {self.url} {what}. Last lines of its log:"
        return TimeoutError("\n    ".join([message, *lines]))


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """Return the server's exit code if it ends before the next request."""
    try:
        return process.wait(_PAUSE_S)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers; first those that clean up after themselves."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
