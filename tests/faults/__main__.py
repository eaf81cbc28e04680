"""``make test-faults``: kill processes of runs at random moments, and look for what they leave.

``python -m tests.faults [--kills N] [--seed N]``. Each kill is a run of the small scenario on the embedded
target, of which one process is killed: the command, the job or its JVM. The moments are drawn from the lines
of a run that nobody disturbs, so that each phase is hit. Then, as after a crash, the next command is called,
and nothing may be left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.report import JUNIT
from harness.results import Result, Verdict
from harness.runs import RunFolder, list_runs
from harness.storage.model_store import MANIFEST
from tests.command import run_command, start_command
from tests.embedded.small import SMALL, write_scenario
from tests.embedded.test_command import find_job_processes, list_names, list_run_statuses

PROCESSES = ("command", "job", "JVM")
_LIMIT_S = 600
_MEASURED = {"fingerprint", "rows", "metrics", "coefficients", "explanations"}


@dataclass(frozen=True)
class Moment:
    """A moment of a run: some seconds after a line of its progress."""

    lines: int
    """How many lines are waited for."""
    delay_s: float


@dataclass(frozen=True)
class Campaign:
    """A home folder in which runs are killed, and their scenario."""

    home: Path
    scenario: str

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of a command."""
        return {
            **os.environ,
            "HARNESS_HOME": str(self.home),
            "HARNESS_TARGET": "embedded",
            "TMPDIR": str(self.temporary),
        }

    @property
    def temporary(self) -> Path:
        """The folder for temporary files of all processes."""
        return self.home.with_name("temporary")

    def follow(self, process: subprocess.Popen[str]) -> Iterator[float]:
        """Yield the time of each line of a run's progress."""
        for line in process.stdout or ():
            if line.startswith("["):
                yield time.monotonic()

    def time_lines(self) -> list[float]:
        """Run undisturbed; return the seconds to the first line of progress, and from each to the next."""
        with start_command(["scenario", self.scenario], self.environ) as process:
            times = [time.monotonic(), *self.follow(process)]
            process.wait()
        if process.returncode:
            raise SystemExit(f"A run without a kill ended with exit code {process.returncode}.")
        return [after - before for before, after in pairwise(times)]

    def kill(self, name: str, moment: Moment) -> int | None:
        """Start a run, kill one of its processes, and return the command's exit code.

        Returns:
            ``None`` if the run had ended before that moment.
        """
        with start_command(["scenario", self.scenario], self.environ) as process:
            lines = self.follow(process)
            for _ in range(moment.lines):
                next(lines, None)
            time.sleep(moment.delay_s)
            killed = self._find(name, process)
            if killed is None:
                process.communicate()
                return None
            os.kill(killed, signal.SIGKILL)
            process.communicate(timeout=_LIMIT_S)
        self._wait_for_end()
        return process.returncode

    def list_leftovers(self) -> Iterator[str]:
        """Yield everything that the runs have left, after another command had the chance to settle them."""
        settled = run_command(["clean", "--keep-runs", "100000"], self.environ, _LIMIT_S)
        if settled.returncode:
            yield f"'clean' ended with exit code {settled.returncode}: {settled.stderr}"
        yield from (f"the process {each}" for each in find_job_processes(self.home))
        yield from (f"the temporary {name}" for name in list_names(self.temporary))
        yield from (f"the table {path}" for path in (self.home / "lake").rglob(".scratch"))
        if "RUNNING" in list_run_statuses(self.home):
            yield "an MLflow run that is RUNNING"
        published = set()
        for run in list_runs(self.home / "runs"):
            yield from _list_missing(run)
            published |= {each.bundle for each in run.read_result().versions if each.bundle}
        for bundle in (self.home / "models").glob("*/*"):
            if str(bundle) not in published or not (bundle / MANIFEST).is_file():
                yield f"the bundle {bundle}, which no run has proven"

    def read_measurements(self) -> list[list[dict[str, Any]]]:
        """Return what each run measured that passed."""
        results = (run.read_result() for run in list_runs(self.home / "runs"))
        return [_list_measurements(each) for each in results if each.verdict is Verdict.PASS]

    def _find(self, name: str, command: subprocess.Popen[str]) -> int | None:
        if command.poll() is not None:
            return None
        if name == "command":
            return command.pid
        for each in find_job_processes(self.home):
            try:
                line = Path(f"/proc/{each}/cmdline").read_bytes()
            except OSError:
                continue
            if (b"harness.job\0" in line) if name == "job" else line.partition(b"\0")[0].endswith(b"/java"):
                return each
        return None

    def _wait_for_end(self) -> None:
        """Wait until the job has ended, which may outlive its command."""
        limit = time.monotonic() + _LIMIT_S
        while find_job_processes(self.home) and time.monotonic() < limit:
            time.sleep(0.2)


def _list_missing(run: RunFolder) -> Iterator[str]:
    if not run.is_settled:
        yield f"the run {run.path.name}, which isn't settled"
    if not run.has_result or not (run.path / JUNIT).is_file():
        yield f"the run {run.path.name} without a result or a report"


def _list_measurements(result: Result) -> list[dict[str, Any]]:
    return [version.model_dump(include=_MEASURED) for version in result.versions]


def _show(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Kill, look for leftovers after each kill, and return 1 if there was one."""
    parser = argparse.ArgumentParser(prog="make test-faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)  # noqa: S311 - not a secret
    with tempfile.TemporaryDirectory(prefix="harness-faults-") as folder:
        campaign = Campaign(Path(folder) / "home", write_scenario(Path(folder), SMALL))
        campaign.temporary.mkdir()
        gaps = campaign.time_lines()
        outcomes, leftovers = Counter[str](), []
        for number in range(1, options.kills + 1):
            name, lines = chance.choice(PROCESSES), chance.randrange(len(gaps))
            code = campaign.kill(name, Moment(lines, chance.uniform(0, gaps[lines])))
            outcomes[f"{name}: {'had ended' if code is None else f'exit code {code}'}"] += 1
            found = list(campaign.list_leftovers())
            leftovers += found
            _show(f"kill {number}, {name} after {lines} of {len(gaps)} lines: exit code {code}")
            _show(*(f"  left: {each}" for each in found))
        campaign.time_lines()
        first, *others = campaign.read_measurements()
    different = sum(each != first for each in others)
    _show(*(f"{count:5}  {outcome}" for outcome, count in sorted(outcomes.items())))
    _show(f"{options.kills} kills with seed {options.seed}: {len(leftovers)} leftovers")
    _show(f"{len(others) + 1} runs passed, {different} of them with other numbers than the first")
    return 1 if leftovers or different else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
