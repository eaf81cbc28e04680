"""What can go wrong between a client and a workspace, switched on by a test."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

API = "/api/"
CLUSTER_FAILURE = "The requested VM size is currently not available in this region."


class Kind(Enum):
    """What happens to a request."""

    REFUSED = auto()
    DROPPED = auto()
    TOKEN_EXPIRES = auto()


@dataclass
class Trouble:
    """A fault that meets requests below a path, once so many of them have got through."""

    kind: Kind
    prefix: str
    count: int
    after: int = 0
    status: int = HTTPStatus.TOO_MANY_REQUESTS
    retry_after_s: int = 0


@dataclass(frozen=True)
class ClusterFailure:
    """Why a cluster does not start: a code of the API's TerminationReasonCode, and a message."""

    code: str
    message: str


class Faults:
    """The faults that are switched on; each ends by itself once it has happened as often as it was to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []
        self._cut_uploads = 0
        self._cluster_failures: list[ClusterFailure] = []
        self._cluster_polls = 0
        self._cancel_polls: int | None = None

    def throttle(
        self, count: int, *, status: int = 429, prefix: str = API, after: int = 0, retry_after_s: int = 0
    ) -> None:
        """So many requests are answered with 429 or 503 and a Retry-After."""
        self._add(Trouble(Kind.REFUSED, prefix, count, after, status, retry_after_s))

    def drop(self, count: int = 1, *, prefix: str = API, after: int = 0) -> None:
        """So many requests get no answer: the connection is closed."""
        self._add(Trouble(Kind.DROPPED, prefix, count, after))

    def expire_token(self, *, prefix: str = API, after: int = 0) -> None:
        """The token is wrong from that request on, until the stand-in's `token` is set."""
        self._add(Trouble(Kind.TOKEN_EXPIRES, prefix, 1, after))

    def cut_uploads(self, count: int = 1) -> None:
        """So many uploads lose their connection on the way; nothing of them is stored."""
        with self._lock:
            self._cut_uploads = count

    def fail_cluster(
        self, message: str = CLUSTER_FAILURE, code: str = "CLOUD_PROVIDER_RESOURCE_STOCKOUT"
    ) -> None:
        """The next cluster does not start."""
        with self._lock:
            self._cluster_failures.append(ClusterFailure(code, message))

    def delay_cluster(self, polls: int) -> None:
        """The next cluster starts when its run has been asked for so often."""
        with self._lock:
            self._cluster_polls = polls

    def cancel_outside(self, polls: int = 1) -> None:
        """Somebody else cancels the next run when it has been asked for so often."""
        with self._lock:
            self._cancel_polls = polls

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._troubles.clear()
            self._cluster_failures.clear()
            self._cut_uploads = self._cluster_polls = 0
            self._cancel_polls = None

    def meet(self, path: str) -> Trouble | None:
        """What happens to a request, if anything does."""
        with self._lock:
            for each in self._troubles:
                if not path.startswith(each.prefix):
                    continue
                if each.after > 0:
                    each.after -= 1
                    continue
                each.count -= 1
                if each.count <= 0:
                    self._troubles.remove(each)
                return each
        return None

    def upload_is_cut(self) -> bool:
        """Whether this upload loses its connection."""
        with self._lock:
            cut = self._cut_uploads > 0
            self._cut_uploads -= cut
        return cut

    def cluster_failure(self) -> ClusterFailure | None:
        """Why this cluster does not start."""
        with self._lock:
            return self._cluster_failures.pop(0) if self._cluster_failures else None

    def cluster_polls(self) -> int:
        """How often this run is asked for before its cluster has started."""
        with self._lock:
            polls, self._cluster_polls = self._cluster_polls, 0
        return polls

    def cancel_polls(self) -> int | None:
        """How often this run is asked for before somebody cancels it."""
        with self._lock:
            polls, self._cancel_polls = self._cancel_polls, None
        return polls

    def _add(self, trouble: Trouble) -> None:
        with self._lock:
            self._troubles.append(trouble)
