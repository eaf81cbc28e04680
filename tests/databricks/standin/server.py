"""The stand-in itself: a workspace that runs on this machine during a block."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.databricks.standin.app import Gate
from tests.databricks.standin.runtime import Runtime
from tests.databricks.standin.state import Tasks, Workspace

_END_S = 30


class _Abortable(H11Protocol):
    """Protocol that lets a request close its connection without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}


class StandIn(Workspace):
    """A workspace at `host` with the token `token`, during a block.

    Args:
        folder: Empty folder for everything that it stores.
        tasks: Runs the tasks; by default, they are really installed and run.
        tracking_url: URL of a real MLflow server; without one, MLflow's calls are answered with 503.
    """

    def __init__(self, folder: Path, tasks: Tasks | None = None, tracking_url: str | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        super().__init__(
            folder, host, tasks or Runtime(folder / "Volumes", folder / "Workspace"), tracking_url
        )
        config: dict[str, Any] = {"http": _Abortable, "ws": "none", "lifespan": "off", "log_config": None}
        self._server = uvicorn.Server(uvicorn.Config(Gate(self), **config))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="standin", daemon=True
        )

    def __enter__(self) -> Self:
        # The socket listens already: a client that is faster than the server only has to wait.
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_runs()
        self._server.should_exit = True
        self._thread.join(_END_S)
        self._socket.close()

    def end_runs(self) -> None:
        """Cancel all runs that have not ended, and wait for their end."""
        for run in list(self.runs.values()):
            run.cancel()
            run.thread.join(_END_S)

    def reset(self) -> None:
        """Restore the state before a test: no faults, a valid token, no recorded calls, no active runs."""
        self.faults.clear()
        self.renew_token()
        self.end_runs()
        self.calls.clear()
