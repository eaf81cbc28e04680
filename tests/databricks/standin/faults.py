"""Faults between a client and a workspace, enabled by tests."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

API = "/api/"


class Kind(Enum):
    """Effect of a fault on a request."""

    REFUSED = auto()
    DROPPED = auto()
    TOKEN_EXPIRES = auto()


@dataclass
class RequestFault:
    """A fault that affects some requests below a path, after a number of others."""

    kind: Kind
    prefix: str
    count: int
    after: int = 0
    status: int = HTTPStatus.TOO_MANY_REQUESTS


@dataclass(frozen=True)
class ClusterFailure:
    """Reason why a cluster does not start: a TerminationReasonCode of the API, and a message."""

    code: str
    message: str


class Faults:
    """The enabled faults; each ends after its number of occurrences."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._request_faults: list[RequestFault] = []
        self._cut_uploads = 0
        self._cluster_failures: list[ClusterFailure] = []
        self._cluster_polls = 0
        self._cancel_polls: int | None = None

    def throttle(self, count: int, *, status: int, prefix: str, after: int = 0) -> None:
        """Answer some requests with 429 or 503 and a Retry-After."""
        self._add(RequestFault(Kind.REFUSED, prefix, count, after, status))

    def drop(self, count: int = 1, *, prefix: str = API, after: int = 0) -> None:
        """Close the connection of some requests without an answer."""
        self._add(RequestFault(Kind.DROPPED, prefix, count, after))

    def expire_token(self, *, prefix: str = API, after: int = 0) -> None:
        """Refuse the token from that request on, until the stand-in's `token` is set."""
        self._add(RequestFault(Kind.TOKEN_EXPIRES, prefix, 1, after))

    def cut_uploads(self, count: int = 1) -> None:
        """Interrupt some uploads, and store nothing of them."""
        with self._lock:
            self._cut_uploads = count

    def fail_cluster(self, message: str) -> None:
        """Prevent the next cluster from starting."""
        with self._lock:
            self._cluster_failures.append(ClusterFailure("CLOUD_PROVIDER_RESOURCE_STOCKOUT", message))

    def delay_cluster(self, polls: int) -> None:
        """Start the next cluster only after this many requests for its run."""
        with self._lock:
            self._cluster_polls = polls

    def cancel_outside(self, polls: int) -> None:
        """Cancel the next run, like another user, after this many requests for it."""
        with self._lock:
            self._cancel_polls = polls

    def clear(self) -> None:
        """Disable all faults."""
        with self._lock:
            self._request_faults.clear()
            self._cluster_failures.clear()
            self._cut_uploads = self._cluster_polls = 0
            self._cancel_polls = None

    def take(self, path: str) -> RequestFault | None:
        """Return the fault that affects a request, if any, and count it."""
        with self._lock:
            for each in self._request_faults:
                if not path.startswith(each.prefix):
                    continue
                if each.after > 0:
                    each.after -= 1
                    continue
                each.count -= 1
                if each.count <= 0:
                    self._request_faults.remove(each)
                return each
        return None

    def upload_is_cut(self) -> bool:
        """Return whether this upload is interrupted, and count it."""
        with self._lock:
            cut = self._cut_uploads > 0
            self._cut_uploads -= cut
        return cut

    def cluster_failure(self) -> ClusterFailure | None:
        """Return the reason why the next cluster does not start, if any."""
        with self._lock:
            return self._cluster_failures.pop(0) if self._cluster_failures else None

    def cluster_polls(self) -> int:
        """Return the number of requests for a run before its cluster starts."""
        with self._lock:
            polls, self._cluster_polls = self._cluster_polls, 0
        return polls

    def cancel_polls(self) -> int | None:
        """Return the number of requests for a run before it is cancelled, if it is."""
        with self._lock:
            polls, self._cancel_polls = self._cancel_polls, None
        return polls

    def _add(self, fault: RequestFault) -> None:
        with self._lock:
            self._request_faults.append(fault)
