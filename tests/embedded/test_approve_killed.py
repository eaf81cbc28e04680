"""Commands that are killed while they approve a version, and the ones after them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from harness.approvals import ApprovedVersion
from harness.runs import find_run
from harness.scenario.model import Scenario
from tests.command import run_command, start_command
from tests.embedded.small import SMALL, make_rows, write_file
from tests.embedded.test_command import find_job_processes

pytestmark = pytest.mark.spark

_TIMEOUT_S = 300


class Home:
    """A home with an existing table of 200 rows, then 300, and the scenario that approves its versions."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.approved = folder / "approved"
        rows = make_rows()
        write_deltalake(folder / "readings", pa.Table.from_pylist(rows[:200]))
        write_deltalake(folder / "readings", pa.Table.from_pylist(rows[200:]), mode="append")
        self.environ = {**os.environ, "HARNESS_HOME": str(self.home)}

    def write(self, version: int, rows: int) -> str:
        """Write the scenario that expects a number of rows at a version."""
        values = SMALL.model_dump(mode="json", by_alias=True, exclude_unset=True)
        read = {"name": "now", "read": version, "train": False, "expect": {"rows": rows}}
        table = {"name": "readings", "uri": "readings", "key": "id"}
        changed = {"table": table, "versions": [read], "approve": "approved"}
        return write_file(self.folder, Scenario.model_validate({**values, **changed}))

    def run(self, version: int, rows: int) -> str:
        """Run the scenario, and return the output of a run that passed."""
        done = run_command(["scenario", self.write(version, rows)], self.environ, 600)
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def kill(self, version: int, rows: int, is_time: Callable[[], bool]) -> None:
        """Run the scenario, and kill the command, its job and the JVM as soon as it is time."""
        deadline = time.monotonic() + _TIMEOUT_S
        with start_command(["scenario", self.write(version, rows), "--fresh"], self.environ) as process:
            while not is_time():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
            for each in (process.pid, *find_job_processes(self.home)):
                os.kill(each, signal.SIGKILL)
            process.communicate()

    @property
    def shown(self) -> int | None:
        """The version that the approved table shows."""
        found = ApprovedVersion.parse(DeltaTable(self.approved).metadata().configuration)
        return None if found is None else found.version

    def has_clone(self) -> bool:
        """Return whether a job has made the temporary clone."""
        return any(self.home.glob("lake/runs/*/.scratch/approved/*/_delta_log/*.json"))

    def has_commit(self, number: int) -> bool:
        """Return whether the approved table has a commit."""
        return (self.approved / "_delta_log" / f"{number:020}.json").exists()


def test_a_killed_approval_leaves_a_whole_version(spark: SparkSession, tmp_path: Path) -> None:
    """Before the commit the old one, after it the new one; the next run repairs that, and nothing is left.

    An unchanged run is only judged again if the table shows its version.
    """
    home = Home(tmp_path)
    assert "now shows version 0 of" in home.run(0, 200)
    assert "still shows version 0" in home.run(0, 200)
    assert find_run(home.home / "runs", "latest").read_result().reused_from

    def count() -> int:
        return spark.read.format("delta").load(str(home.approved)).count()

    home.kill(1, 300, home.has_clone)
    assert (home.shown, count()) in {(0, 200), (1, 300)}
    home.run(1, 300)
    assert (home.shown, count()) == (1, 300)
    home.kill(0, 200, lambda: home.has_commit(2))
    assert (home.shown, count()) == (0, 200)
    assert "still shows version 0" in home.run(0, 200)
    assert not list(home.home.rglob(".scratch"))
    assert "now shows version 1" in home.run(1, 300)
    assert not find_run(home.home / "runs", "latest").read_result().reused_from
    assert count() == 300
