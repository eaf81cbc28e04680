"""MLflow servers that don't answer, or something else in their place: found at once, without MLflow."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from harness.errors import PrerequisiteError
from harness.storage.tracking_server import find_experiment
from harness.storage.tracking_store import require_usable_store

Page = tuple[bytes, dict[str, str]]
PAGE: Page = (b"<html><form>Sign in</form></html>", {"Content-Type": "text/html; charset=utf-8"})
UNKNOWN: Page = (b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No experiment"}', {})
KNOWN: Page = (b'{"experiment": {"experiment_id": "7", "lifecycle_stage": "active"}}', {})
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server with one answer, and returns its address."""
    servers: list[HTTPServer] = []

    def start(
        code: int,
        text: bytes = b"",
        headers: dict[str, str] | None = None,
        asked: list[str | None] | None = None,
    ) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                (asked if asked is not None else []).append(self.headers.get("Authorization"))
                self.send_response(code)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        server = HTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, *PAGE), r"This is not an MLflow server: URL \(it answers 200 with text/html\)\."),
        ((404, *PAGE), r"This is not an MLflow server: URL \(it answers 404 with text/html\)\."),
        (
            (200, b'{"status": "UP"}', {}),
            r"This is not an MLflow server: URL \(it answers 200 with no content",
        ),
        (
            (302, b"", {"Location": "https://login.example.org/start?token=abc"}),
            r"This is not an MLflow server: URL \(it redirects to https://login\.example\.org/start\)\.",
        ),
        ((503, b"", {}), r"MLflow at URL returned a server error: 503 Service Unavailable\."),
    ],
    ids=["login page", "other pages", "other service", "redirect", "server error"],
)
def test_what_is_no_usable_server_is_refused(
    serve: Serve, answer: tuple[int, bytes, dict[str, str]], message: str
) -> None:
    """A web page, another service, a redirect and a server error are each refused by name."""
    url = serve(*answer)
    with pytest.raises(PrerequisiteError, match=message.replace("URL", url)):
        require_usable_store(url, "harness")


@pytest.mark.parametrize(("code", "answer"), [(200, KNOWN), (404, UNKNOWN), (401, (b"", {})), (403, PAGE)])
def test_a_usable_server_is_accepted(serve: Serve, code: int, answer: tuple[bytes, dict[str, str]]) -> None:
    """A server with or without the experiment is usable; one that asks for a login is left to MLflow."""
    require_usable_store(serve(code, *answer), "harness")


def test_something_that_does_not_speak_http_is_refused() -> None:
    """A service of another kind at the address, such as SSH, is not an MLflow server."""
    with socket.create_server(("127.0.0.1", 0)) as service:

        def greet() -> None:
            with service.accept()[0] as client:
                client.recv(1000)
                client.sendall(b"SSH-2.0-Other\r\n")

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(PrerequisiteError, match=r"This is not an MLflow server: .* \(SSH-2\.0-Other\)"):
            find_experiment(f"http://127.0.0.1:{service.getsockname()[1]}", "harness")


@pytest.mark.parametrize("listens", [False, True], ids=["gone", "silent"])
def test_a_server_that_does_not_answer_is_reported(listens: bool) -> None:
    """A server that is gone or accepts connections without an answer is reported after one request."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        url = f"http://127.0.0.1:{service.getsockname()[1]}"
        if not listens:
            service.close()
        reason = "the request timed out" if listens else "Connection refused"
        with pytest.raises(PrerequisiteError, match=rf"MLflow at {url} doesn't answer: {reason}\."):
            find_experiment(url, "harness", timeout_s=0.2)


def test_an_invalid_address_is_refused() -> None:
    """An address that can't be one is refused, and not shown with its password."""
    with pytest.raises(PrerequisiteError, match="This is not an MLflow server") as caught:
        find_experiment("http://me:secret@:5000", "harness")
    assert "secret" not in str(caught.value)


def test_the_login_of_mlflow_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check sends the token that MLflow's client would send."""
    asked: list[str | None] = []
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    find_experiment(serve(200, *KNOWN, asked=asked), "harness")
    assert ["Bearer abc"] == asked


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "postgresql+psycopg2://me:secret@db/mlflow",
            "needs the Python package psycopg2-binary, which is not installed",
        ),
        ("mysql+pymysql://db/mlflow", "needs the Python package pymysql, which is not installed"),
        (
            "mssql+other://db/mlflow",
            "MLflow can't open its store mssql\\+other://db/mlflow: Can't load plugin",
        ),
    ],
)
def test_a_database_without_its_driver_is_refused(uri: str, message: str) -> None:
    """A database whose driver is not installed is refused with the package to install."""
    with pytest.raises(PrerequisiteError, match=message) as caught:
        require_usable_store(uri, "harness")
    assert "secret" not in str(caught.value)
