"""Requests to an MLflow server that may stop answering: one outage is waited for once, by all threads.

MLflow's own client repeats each request for minutes, in each thread on its own, without a word.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests
from mlflow import MlflowClient

from harness.errors import PrerequisiteError
from harness.events import Event, Listener
from harness.storage.tracking_server import (
    describe_request_error,
    is_server,
    list_chain,
    make_unanswered_error,
)
from harness.storage.uris import remove_password

WAIT = "wait for MLflow"
"""Name of the wait in the job's events."""
_OUTAGES = (
    requests.ConnectionError,
    requests.Timeout,
    # MLflow's session raises it for the answers 408, 429, 500, 502, 503 and 504.
    requests.exceptions.RetryError,
    requests.exceptions.ChunkedEncodingError,
)
_REQUEST_TIMEOUT_S = 60
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server that doesn't answer."""

    outage_s: float = 90.0
    """How long an outage may take; restarts of a minute are survived."""
    pause_s: float = 2.0
    """Time between two requests to a server that doesn't answer."""
    silence_s: float = 10.0
    """A request that is still unanswered after this time is reported."""


class TrackingRequests:
    """The requests of one job to its MLflow server, from several threads.

    During an outage only one thread repeats its request, and the others wait. After the outage is over for
    good, no thread sends any further request.
    """

    def __init__(self, uri: str, listener: Listener, patience: Patience) -> None:
        self._uri = uri
        self._listener = listener
        self._patience = patience
        self._repeating = threading.Lock()
        self._stopped = threading.Event()
        self._lost: PrerequisiteError | None = None
        self._answered_at = time.monotonic()
        self._reporting = threading.Lock()
        self._reported_at: float | None = None
        if is_server(uri):
            # Read by MLflow at each request. Somebody with a slow server can allow more time.
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(_REQUEST_TIMEOUT_S))

    def send(self, request: Callable[[], Answer], repeat: Callable[[], Answer] | None = None) -> Answer:
        """Send a request, and repeat it while the server doesn't answer.

        Args:
            request: Sends it and returns the answer.
            repeat: Sends it again (default: ``request``). The server may have done what it was asked to.

        Raises:
            PrerequisiteError: The server hasn't answered for too long, or nobody waits for it any longer.
        """
        if not is_server(self._uri):
            return request()
        with self._repeating:
            self._require_not_lost()
        began = time.monotonic()
        try:
            return self._try(request)
        except Exception as error:
            outage = find_outage(error)
            if outage is None:
                raise
            with self._repeating:
                self._require_not_lost()
                return self._repeat(repeat or request, began, outage)

    def stop(self) -> None:
        """Stop waiting: from now on every request is sent once at most, and the first outage is the end."""
        self._stopped.set()

    def _try(self, request: Callable[[], Answer]) -> Answer:
        with self._report_silence():
            answer = request()
        self._report_answer()
        return answer

    def _repeat(self, request: Callable[[], Answer], began: float, outage: BaseException) -> Answer:
        """Repeat a request, at once for the first time: an idle connection may just have been closed."""
        try:
            while not self._is_over(began):
                try:
                    return self._try(request)
                except Exception as error:
                    again = find_outage(error)
                    if again is None:
                        raise
                    outage = again
                self._report_outage()
                self._stopped.wait(self._patience.pause_s)
        except KeyboardInterrupt:
            self._lose(outage)
            raise
        raise self._lose(outage)

    def _is_over(self, began: float) -> bool:
        unanswered_s = time.monotonic() - max(began, self._answered_at)
        return self._stopped.is_set() or unanswered_s > self._patience.outage_s

    def _lose(self, outage: BaseException) -> PrerequisiteError:
        self._lost = make_unanswered_error(self._uri, describe_request_error(outage))
        return self._lost

    def _require_not_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    @contextmanager
    def _report_silence(self) -> Iterator[None]:
        """Report an outage if the block takes long: a server may accept a request and never answer."""
        timer = threading.Timer(self._patience.silence_s, self._report_outage)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _report_outage(self) -> None:
        with self._reporting:
            if self._reported_at is None:
                self._reported_at = time.monotonic()
                sentence = f"MLflow at {remove_password(self._uri)} does not answer; trying again"
                self._listener(Event(WAIT, "notice", detail=sentence))

    def _report_answer(self) -> None:
        with self._reporting:
            self._answered_at = time.monotonic()
            if self._reported_at is not None:
                elapsed = self._answered_at - self._reported_at
                self._reported_at = None
                self._listener(Event(WAIT, "done", elapsed_s=round(elapsed, 3)))


def find_outage(error: BaseException) -> BaseException | None:
    """Return the cause of an error if it is a server that doesn't answer; an untrusted one is not."""
    for each in list_chain(error):
        if isinstance(each, _OUTAGES):
            return None if isinstance(each, requests.exceptions.SSLError) else each
    return None


def make_patient(client: MlflowClient, sender: TrackingRequests) -> MlflowClient:
    """Return a client all of whose requests wait for a server that doesn't answer."""
    return cast(MlflowClient, _PatientClient(client, sender))


class _PatientClient:
    """MLflow's client; each of its methods is sent as one request."""

    def __init__(self, client: MlflowClient, sender: TrackingRequests) -> None:
        self._client = client
        self._sender = sender

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *values, **named: self._sender.send(lambda: method(*values, **named))
