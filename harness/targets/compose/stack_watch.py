"""Watch over the services that a run in the stack needs, while its job runs.

Spark's job waits without a word while it has no workers. The command sees more: the engine's containers and
the page of the Spark master. It reports what the run waits for, and ends a run that has waited too long.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.errors import HarnessError, PrerequisiteError
from harness.targets.compose.docker import run_docker

_POLL_S = 3.0
_SHORT_S = 5.0
"""A shorter wait isn't reported: a service is only starting again."""
_REPEAT_S = 60.0
"""A run that still waits says so this often."""
_LOST_AFTER_S = 12.0
"""A master that doesn't list a run for so long after it did has forgotten it."""
_TIMEOUT_S = 5
_REMEDY = (
    "'make ps' shows the stack's services, 'make logs' their logs, and 'make up' starts those that have "
    "ended. HARNESS_SERVICE_TIMEOUT sets how long a run waits."
)
_WORKER, _MASTER = "spark-worker", "spark-master"
_NEEDED = ("azurite", "postgres", "mlflow", _MASTER)

Clock = Callable[[], float]
HasEnded = Callable[[float], bool]
"""Waits for the job's end, for some seconds at most, and returns whether it has ended."""


@dataclass(frozen=True)
class Container:
    """A container of a service, as the engine reports it."""

    service: str
    status: str
    health: str = ""
    exit_code: int = 0
    finished: str = ""
    """Time of its last end, in the engine's format."""
    out_of_memory: bool = False

    @property
    def is_available(self) -> bool:
        """Whether it runs and is not known to be unhealthy."""
        return self.status == "running" and self.health != "unhealthy"

    @property
    def description(self) -> str:
        """What happened to it, such as ``exited 137 at 02:13:05``."""
        if self.status == "running":
            return "doesn't answer" if self.health == "unhealthy" else "is starting"
        if self.status not in ("exited", "dead"):
            return f"is {self.status}"
        memory = ", out of memory" if self.out_of_memory else ""
        return f"exited {self.exit_code}{memory} at {_format_time(self.finished)}"


@dataclass(frozen=True)
class Application:
    """An application of the Spark master; the harness names each after its run."""

    name: str
    cores: int
    started_ms: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """The state of a stack at one time."""

    containers: Sequence[Container]
    alive_workers: int | None = None
    """Workers that the master has; ``None`` if it doesn't answer."""
    applications: Sequence[Application] = ()
    ended: frozenset[str] = frozenset()
    """Names of applications that have ended."""

    def of(self, service: str) -> list[Container]:
        """Return the containers of a service."""
        return [each for each in self.containers if each.service == service]


@dataclass(frozen=True)
class Wait:
    """What a run waits for."""

    message: str
    has_deadline: bool = True
    """Whether the wait can be in vain; one for another run isn't."""
    is_hopeless: bool = False
    """Whether waiting can't help."""

    @property
    def kind(self) -> str:
        """The part of the message that is the same while the wait lasts."""
        return self.message.partition(" (")[0]


def find_wait(snapshot: Snapshot, run_id: str, *, was_listed: bool, now: float) -> Wait | None:
    """Return what a run waits for, or ``None`` if nothing is missing.

    Args:
        snapshot: State of the stack.
        run_id: Name of the run's application.
        was_listed: Whether the master listed the application before.
        now: Seconds since the epoch.
    """
    return _find_missing_service(snapshot) or _find_missing_workers(snapshot, run_id, was_listed, now)


def _find_missing_service(snapshot: Snapshot) -> Wait | None:
    for service in _NEEDED:
        containers = snapshot.of(service)
        if not any(each.is_available for each in containers):
            reason = _describe(containers) or "has no container"
            return Wait(f"waiting for the service {service} ({service} {reason})")
    if snapshot.alive_workers is None:
        return Wait("waiting for the service spark-master (its page doesn't answer)")
    return None


def _find_missing_workers(snapshot: Snapshot, run_id: str, was_listed: bool, now: float) -> Wait | None:
    own = next((each for each in snapshot.applications if each.name == run_id), None)
    if was_listed and own is None and run_id not in snapshot.ended:
        return Wait("waiting for the Spark master, which was restarted and lost this run", is_hopeless=True)
    workers = snapshot.of(_WORKER)
    if snapshot.alive_workers == 0:
        reason = _describe(workers) or "has no container"
        return Wait(f"waiting for workers: 0 of {len(workers)} (worker {reason})")
    if own is not None and own.cores == 0:
        others = [each for each in snapshot.applications if each is not own and each.cores > 0]
        if others:
            first = others[0]
            since = max(0, round(now - first.started_ms / 1000))
            return Wait(
                f"waiting for the run {first.name} to end, which has the workers (for {since} s)",
                has_deadline=False,
            )
        return Wait("waiting for a worker to start an executor (it has neither started one nor refused to)")
    return None


class StackWatch:
    """The watch over one run: a thread that reports waits, and ends the run after its deadline."""

    def __init__(
        self,
        read: Callable[[], Snapshot],
        run_id: str,
        report: Callable[[str], None],
        end: Callable[[HasEnded], None],
        deadline_s: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self._read = read
        self._run_id = run_id
        self._report = report
        self._end = end
        self._deadline_s = deadline_s
        self._clock = clock
        self._state = _State()
        self._ended = threading.Event()
        self.error: PrerequisiteError | None = None
        """Why the run was ended; ``None`` if it wasn't."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the block ends."""
        thread = threading.Thread(target=self._watch, name="stack watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def check(self) -> None:
        """Look at the stack once, report a wait, and end the run if it has waited too long."""
        snapshot = self._read()
        state, now = self._state, self._clock()
        state.was_listed |= any(each.name == self._run_id for each in snapshot.applications)
        wait = find_wait(snapshot, self._run_id, was_listed=state.was_listed, now=time.time())
        if wait is None:
            if state.reported is not None:
                self._report(f"going on after {round(now - state.since)} s")
            self._state = _State(was_listed=state.was_listed)
            return
        if state.wait is None or state.wait.has_deadline != wait.has_deadline:
            state.since = now
        state.wait = wait
        waited = now - state.since
        is_new = state.reported != wait.kind and waited >= _SHORT_S
        if is_new or (state.reported is not None and now - state.reported_at >= _REPEAT_S):
            self._report(wait.message if is_new else f"{wait.message}, {round(waited)} s so far")
            state.reported, state.reported_at = wait.kind, now
        limit = min(self._deadline_s, _LOST_AFTER_S) if wait.is_hopeless else self._deadline_s
        if wait.has_deadline and waited >= limit:
            self.error = PrerequisiteError(
                f"The run was ended after {round(waited)} s of {wait.message}.", remedy=_REMEDY
            )
            self._end(self._ended.wait)

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_S) and self.error is None:
            # An engine that doesn't answer says nothing about the run.
            with suppress(HarnessError):
                self.check()


@dataclass
class _State:
    """What the watch remembers between two looks."""

    was_listed: bool = False
    wait: Wait | None = None
    since: float = 0.0
    reported: str | None = None
    """What was reported last."""
    reported_at: float = 0.0


def read_snapshot(stack: str, page: str) -> Snapshot:
    """Return the state of a stack.

    Args:
        stack: Name of the Compose project.
        page: Address of the Spark master's page.
    """
    containers = list_containers(stack)
    try:
        with urllib.request.urlopen(f"{page}/json/", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - only http
            return parse_page(containers, json.load(answer))
    except (OSError, ValueError):
        return Snapshot(containers)


def parse_page(containers: Sequence[Container], page: Mapping[str, Any]) -> Snapshot:
    """Return the state of a stack from the JSON of the master's page."""
    applications = tuple(
        Application(str(each.get("name", "")), int(each.get("cores", 0)), float(each.get("starttime", 0)))
        for each in page.get("activeapps", ())
    )
    ended = frozenset(str(each.get("name", "")) for each in page.get("completedapps", ()))
    return Snapshot(containers, int(page.get("aliveworkers", 0)), applications, ended)


def list_containers(stack: str) -> list[Container]:
    """Return the containers of a stack's services, without those of jobs."""
    filters = ("project=" + stack, "oneoff=False")
    options = [option for each in filters for option in ("--filter", f"label=com.docker.compose.{each}")]
    names = run_docker(["ps", "--all", "--quiet", *options], timeout_s=_TIMEOUT_S).stdout.split()
    if not names:
        return []
    service = '{{json (index .Config.Labels "com.docker.compose.service")}}'
    answer = run_docker(
        ["inspect", "--format", f"[{service}, {{{{json .State}}}}]", *names], timeout_s=_TIMEOUT_S
    )
    found = []
    for line in answer.stdout.splitlines():
        name, state = json.loads(line)
        found.append(
            Container(
                name,
                state["Status"],
                (state.get("Health") or {}).get("Status", ""),
                state["ExitCode"],
                state.get("FinishedAt", ""),
                state.get("OOMKilled", False),
            )
        )
    return found


def _describe(containers: Sequence[Container]) -> str:
    """Describe the container that ended last."""
    if not containers:
        return ""
    ended = [each for each in containers if not each.is_available]
    return max(ended or containers, key=lambda each: each.finished).description


def _format_time(finished: str) -> str:
    """Return the engine's time as the time of this machine."""
    try:
        return f"{datetime.fromisoformat(finished[:19] + '+00:00').astimezone():%H:%M:%S}"
    except ValueError:
        return "an unknown time"
