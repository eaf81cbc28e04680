"""MLflow's own server in this process, which fails on demand."""

from __future__ import annotations

import errno
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from mlflow.server import app, handlers
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from harness.ports import find_free_port

with warnings.catch_warnings():
    # Here, because a handler imports it, and a warning would be its failure.
    warnings.simplefilter("ignore")
    import mlflow.server.fastapi_app  # noqa: F401

Fault = Literal["error", "hang", "lose the answer", "before MLflow 3"]
_LIMIT_S, _PAUSE_S = 60, 0.1


class FaultyServer:
    """An MLflow server on this machine, with its runs and artifacts in a folder.

    Attributes:
        fault: How it fails from now on; ``None`` if it works.
        requests: Method and path of each request that has arrived.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._released = threading.Event()
        self._server: BaseWSGIServer | None = None
        self._port = find_free_port()
        self.fault: Fault | None = None
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen for requests."""
        self.fault = None
        self.requests = []
        self._released.clear()
        if not (self._folder / "mlflow.db").exists():
            handlers._tracking_store = None
            handlers.initialize_backend_stores(
                f"sqlite:///{self._folder}/mlflow.db", None, f"{self._folder}/artifacts"
            )
        # The server has a duplicate of the listening socket.
        with _listen(self._port) as listening:
            self._server = make_server(
                "127.0.0.1", self._port, self._answer, True, request_handler=_Quiet, fd=listening.fileno()
            )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the port: from now on connections are refused."""
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self.fault == "hang":
            self._released.wait()
        if self.fault == "lose the answer" and environ["PATH_INFO"].endswith("/create"):
            self.fault = None
            list(app(environ, lambda *_: lambda _: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        if self.fault == "before MLflow 3":
            if "logged-models" not in environ["PATH_INFO"]:
                return app(environ, respond)
            respond("404 Not Found", [("Content-Type", "text/html")])
            return [b"The requested URL was not found on the server."]
        if self.fault is not None:
            respond("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"the database is gone"]
        return app(environ, respond)


class _Quiet(WSGIRequestHandler):
    """Log nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing."""


def _listen(port: int) -> socket.socket:
    """Return a socket that listens at a port.

    A server that was just stopped may still hold it for a moment: a process that another thread starts has a
    duplicate of each of our sockets until it runs its program, which takes long on a busy machine.
    """
    limit = time.monotonic() + _LIMIT_S
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > limit:
                raise
        time.sleep(_PAUSE_S)
