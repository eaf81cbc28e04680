"""A campaign of kills: the moments, the runs, and the search for what they leave."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from mlflow import MlflowClient

from harness.results import Result, Verdict
from harness.runs import RunFolder, list_runs
from harness.storage.model_store import ModelStore

COMMAND = "command"
LIMIT_S = 1200
"""No command takes as long; it only ends what hangs."""
_MEASURED = {"fingerprint", "rows", "metrics", "coefficients", "explanations"}
Show = Callable[[str], None]


class Victim(Protocol):
    """A target whose processes are killed."""

    @property
    def home(self) -> Path:
        """The home folder of all runs."""

    @property
    def names(self) -> Sequence[str]:
        """What can be killed besides the command."""

    @property
    def harmless(self) -> Sequence[str]:
        """Those of the names that every run must survive that has begun."""

    def start(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start the command."""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command until it ends."""

    def kill(self, name: str) -> bool:
        """Kill a process; return whether there was one."""

    def recover(self) -> None:
        """Wait for a job that outlives its command, and start what was killed and doesn't start itself."""

    def open_store(self) -> ModelStore:
        """Open the model store."""

    def open_tracking(self) -> MlflowClient:
        """Open the tracking store."""

    def list_leftovers(self) -> Iterator[str]:
        """Yield what is left of runs that have ended: processes, temporary files and tables."""


@dataclass(frozen=True)
class Kill:
    """A process that is killed some seconds after a line of a run's progress."""

    name: str
    lines: int
    """How many lines are waited for."""
    delay_s: float


@dataclass
class Campaign:
    """The kills of one target, and what they led to."""

    victim: Victim
    scenario: str
    show: Show
    only: Sequence[str] = ()
    """What to kill (default: the command and everything that the target names)."""
    resumes: bool = False
    """Whether each run goes on until it has its verdict, however often it is killed."""
    codes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """What was left, and the runs that failed although they should have survived."""

    def run(self, kills: int, seed: int) -> None:
        """Kill processes of runs, and look for what is left; at the end, something runs undisturbed.

        Each kill is one of a new run. If runs go on, it is one of the same run until that has its verdict.
        """
        chance = random.Random(seed)  # noqa: S311 - not a secret
        gaps = self.time_lines()
        names = self.only or (COMMAND, *self.victim.names)
        interrupted: str | None = None
        for number in range(1, kills + 1):
            # A part of a run has fewer lines.
            lines = chance.randrange(len(gaps) if interrupted is None else max(1, len(gaps) // 2))
            kill = Kill(chance.choice(names), lines, chance.uniform(0, gaps[lines]))
            code = self.kill(kill, interrupted)
            self.codes.append(f"{kill.name}: {'had ended' if code is None else f'exit code {code}'}")
            self.show(f"kill {number} of {kills}, after {lines} of {len(gaps)} lines: {self.codes[-1]}")
            self.show(f"  {self._describe_newest()}")
            # Until its first line, a run is refused if a service doesn't answer.
            if kill.lines and kill.name in self.victim.harmless and code not in (0, None):
                self._report(f"the run didn't survive '{kill.name}'")
            interrupted = self.find_interrupted() if self.resumes else None
            if interrupted is None:
                self.inspect()
        if not self.resumes:
            self.time_lines()
        elif interrupted is not None:
            done = self.victim.run("resume", interrupted)
            if done.returncode:
                self._report(f"the run {interrupted} did not go on: {done.stdout} {done.stderr}")
                self._report(self._describe_newest())
            self.inspect()

    def inspect(self) -> None:
        """Report what is left of the runs, and what the newest one has twice."""
        for problem in (*self.list_leftovers(), *(self.list_doubled() if self.resumes else ())):
            self._report(problem)

    def _report(self, finding: str) -> None:
        self.findings.append(finding)
        self.show(f"  {finding}")

    def time_lines(self) -> list[float]:
        """Run undisturbed; return the seconds to the first line of progress, and from each to the next."""
        with self.victim.start("scenario", self.scenario, "--fresh") as process:
            times = [time.monotonic(), *_follow(process)]
            process.wait()
        if process.returncode:
            raise SystemExit(f"A run without a kill ended with exit code {process.returncode}.")
        return [after - before for before, after in pairwise(times)]

    def kill(self, kill: Kill, interrupted: str | None = None) -> int | None:
        """Start a run, or go on with one; kill one of its processes, and return the command's exit code.

        Returns:
            ``None`` if the process had ended before that moment.
        """
        arguments = ("scenario", self.scenario, "--fresh") if interrupted is None else ("resume", interrupted)
        with self.victim.start(*arguments) as process:
            lines = _follow(process)
            for _ in range(kill.lines):
                next(lines, None)
            time.sleep(kill.delay_s)
            is_running = process.poll() is None
            if kill.name == COMMAND:
                process.send_signal(signal.SIGKILL)
            else:
                is_running = self.victim.kill(kill.name)
            process.communicate(timeout=LIMIT_S)
        self.victim.recover()
        if not is_running and process.returncode:
            # What was killed before has left something with which a run doesn't go on by itself.
            self._report(f"a run that nobody disturbed ended with exit code {process.returncode}")
        return process.returncode if is_running else None

    def _describe_newest(self) -> str:
        """Return why the newest run ended as it did."""
        runs = list_runs(self.victim.home / "runs")
        if not runs:
            return "there is no run"
        run = runs[-1]
        if not run.has_result:
            return f"{run.path.name} has no result"
        result = run.read_result()
        failure = result.failure
        return f"{run.path.name}: {result.verdict}" + (f", {failure.message}" if failure else "")

    def find_interrupted(self) -> str | None:
        """Return the newest run if it has no verdict."""
        runs = list_runs(self.victim.home / "runs")
        if not runs or (runs[-1].has_result and runs[-1].read_result().failure is None):
            return None
        return runs[-1].path.name

    def list_doubled(self) -> Iterator[str]:
        """Yield what is wrong with the newest run in MLflow: each version must have exactly one run there."""
        [*_, run] = list_runs(self.victim.home / "runs")
        client = self.victim.open_tracking()
        experiments = [each.experiment_id for each in client.search_experiments()]
        found = client.search_runs(experiments, f"tags.`harness.run_id` = '{run.path.name}'")
        tracked = Counter(str(each.info.run_name) for each in found)
        versions = [each.name for each in run.read_result().versions]
        if sorted(tracked.elements()) != sorted(["small", *(f"small/{name}" for name in versions)]):
            yield f"the run {run.path.name} has these runs in MLflow: {dict(tracked)}"

    def list_leftovers(self) -> Iterator[str]:
        """Yield everything that the runs have left, after another command had the chance to settle them."""
        settled = self.victim.run("clean", "--keep-runs", "1000000")
        if settled.returncode:
            yield f"'clean' ended with exit code {settled.returncode}: {settled.stderr}"
        yield from self.victim.list_leftovers()
        yield from self._list_open_runs()
        proven = set()
        for run in list_runs(self.victim.home / "runs"):
            yield from _list_missing(run)
            if run.has_result:
                proven |= {each.bundle for each in run.read_result().versions if each.bundle}
        store = self.victim.open_store()
        yield from (f"the unfinished bundle {each}" for each in store.list_unfinished(datetime.now(UTC)))
        for bundle in store.list_bundles():
            if store.uri(bundle) not in proven:
                yield f"the bundle {bundle}, which no run has proven"

    def compare_numbers(self) -> tuple[int, int]:
        """Return how many runs passed, and how many of them measured other numbers than the first."""
        results = (run.read_result() for run in list_runs(self.victim.home / "runs") if run.has_result)
        first, *others = (_list_measurements(each) for each in results if each.verdict is Verdict.PASS)
        return len(others) + 1, sum(each != first for each in others)

    def _list_open_runs(self) -> Iterator[str]:
        client = self.victim.open_tracking()
        experiments = [each.experiment_id for each in client.search_experiments()]
        for run in client.search_runs(experiments, "attributes.status = 'RUNNING'"):
            yield f"the MLflow run {run.info.run_id}, which is RUNNING"


def _follow(process: subprocess.Popen[str]) -> Iterator[float]:
    """Yield the time of each line of a run's progress."""
    for line in process.stdout or ():
        if line.startswith("["):
            yield time.monotonic()


def _list_missing(run: RunFolder) -> Iterator[str]:
    if not run.is_settled:
        yield f"the run {run.path.name}, which isn't settled"
    if not run.has_result or not run.has_reports:
        yield f"the run {run.path.name} without a result or a report"


def _list_measurements(result: Result) -> list[Mapping[str, Any]]:
    return [version.model_dump(include=_MEASURED) for version in result.versions]
