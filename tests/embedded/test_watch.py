"""``harness watch``: runs on every change, with one JVM, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.runs import read_result
from harness.scenario.model import Scenario
from tests.command import start_command, wait_for
from tests.embedded.runner import change_scenario
from tests.embedded.small import ONE_VERSION, write_scenario
from tests.embedded.test_command import SLOW, find_job_processes, list_names

pytestmark = pytest.mark.spark

WAITING = "To stop, press Ctrl-C."


@dataclass(frozen=True)
class Watched:
    """A scenario that a command watches, with a home and a folder for temporary files of its own."""

    folder: Path

    @property
    def home(self) -> Path:
        """The command's home folder."""
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        """The command's folder for temporary files."""
        return self.folder / "temporary"

    def write(self, scenario: Scenario) -> Path:
        """Write the scenario, and its rows."""
        return Path(write_scenario(self.folder, scenario))

    def start(self, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start the command; when the block ends, it is stopped in any case."""
        self.temporary.mkdir(exist_ok=True)
        environ = {**os.environ, "HARNESS_HOME": str(self.home), "TMPDIR": str(self.temporary)}
        file = self.folder / "small.yaml"
        return start_command(["watch", str(file), "--target", "embedded", *options], environ)

    def find_jvms(self) -> list[int]:
        """Return the processes that keep a JVM."""
        return [
            number
            for number in find_job_processes(self.temporary)
            if b"harness.job.warm_jvm" in Path(f"/proc/{number}/cmdline").read_bytes()
        ]

    def require_clean(self) -> None:
        """Require that no process and no temporary file is left."""
        _wait_until(lambda: not find_job_processes(self.temporary) and not list_names(self.temporary))

    def count_runs(self) -> int:
        """Return the number of runs."""
        return sum(1 for each in (self.home / "runs").iterdir() if not each.is_symlink())


def _wait_until(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(name="watched")
def _watched(tmp_path: Path) -> Iterator[Watched]:
    yield (watched := Watched(tmp_path))
    for number in find_job_processes(watched.temporary):
        os.kill(number, signal.SIGKILL)


def test_each_change_is_a_run_in_the_same_jvm(watched: Watched) -> None:
    """Scenario and data are watched; a mistake is reported; the numbers are those of a run of its own."""
    file = watched.write(ONE_VERSION)
    text = file.read_text()
    with watched.start() as process:
        wait_for(process, WAITING)
        [jvm] = watched.find_jvms()
        file.write_text(text + "\nbad: [")
        wait_for(process, "not valid YAML")
        wait_for(process, WAITING)
        watched.write(change_scenario(ONE_VERSION, {"seed": 99}))
        wait_for(process, " changed.")
        wait_for(process, WAITING)
        assert watched.count_runs() == 2
        [source] = watched.folder.glob("*.csv")
        source.write_text("".join(source.read_text().splitlines(keepends=True)[:-1]))
        wait_for(process, f"{source.name} changed.")
        wait_for(process, WAITING)
        assert (watched.count_runs(), watched.find_jvms()) == (3, [jvm])
        warm = read_result(watched.home / "runs", "latest")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    watched.require_clean()
    environ = {**os.environ, "HARNESS_HOME": str(watched.home)}
    with start_command(["scenario", str(file), "--target", "embedded", "--fresh"], environ) as again:
        again.communicate(timeout=600)
    cold = read_result(watched.home / "runs", "latest")
    assert cold.run_id != warm.run_id
    assert [each.metrics for each in cold.versions] == [each.metrics for each in warm.versions]
    assert [each.coefficients for each in cold.versions] == [each.coefficients for each in warm.versions]


def test_a_killed_jvm_is_replaced_and_a_killed_command_leaves_none(watched: Watched) -> None:
    """Killed between two runs or in one, it is replaced by the next run; it ends with the command."""
    watched.write(ONE_VERSION)
    with watched.start() as process:
        wait_for(process, "run: log done")
        [first] = watched.find_jvms()
        os.kill(_find_child(first), signal.SIGKILL)
        wait_for(process, WAITING)
        watched.write(change_scenario(ONE_VERSION, {"seed": 5}))
        wait_for(process, "PASS")
        wait_for(process, WAITING)
        [second] = watched.find_jvms()
        os.kill(_find_child(second), signal.SIGKILL)
        _wait_until(lambda: not watched.find_jvms())
        watched.write(change_scenario(ONE_VERSION, {"seed": 6}))
        wait_for(process, "PASS")
        wait_for(process, WAITING)
        process.kill()
        process.communicate()
    watched.require_clean()


def test_ctrl_c_during_a_run_interrupts_it_and_the_watch(watched: Watched) -> None:
    """The run is interrupted as always, and nothing is left."""
    watched.write(SLOW)
    with watched.start() as process:
        wait_for(process, "run: log done")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in output) == (130, False), output
    watched.require_clean()
    assert read_result(watched.home / "runs", "latest").exit_code == 130


def _find_child(process: int) -> int:
    """Return the only process that a process has started."""
    [child] = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(child)
