"""Measures time and memory to generate synthetic loans and write them as a Delta table.

``python -m tests.bench.generate [MILLIONS ...]`` (default: 1 and 10 million rows). Each size runs in its own
process, with the session of the embedded target; the time excludes the session's start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.scenario.row_source import Loans
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded

_MILLION = 1_000_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_POLL_INTERVAL_S = 0.5


@dataclass(frozen=True)
class Measurement:
    """Time and memory that it took to generate and write a table."""

    rows: int
    seconds: float
    peak_bytes: int
    """Peak resident memory of the process and its descendants."""
    table_bytes: int


class MemoryWatch:
    """Polls the resident memory of a process and its descendants until the process ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.peak_bytes = 0
        self._process = process
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while self._process.poll() is None:
            self.peak_bytes = max(self.peak_bytes, _resident_bytes(self._process.pid))
            time.sleep(_POLL_INTERVAL_S)


def main(sizes: list[int]) -> None:
    """Measure each size, in millions of rows, and print a table."""
    console = Console(highlight=False)
    table = Table("rows", "time, s", "rows per s", "peak memory, MiB", "table, MiB", box=None)
    for millions in sizes:
        measured = _measure(millions * _MILLION)
        table.add_row(
            f"{measured.rows:,}",
            f"{measured.seconds:.1f}",
            f"{measured.rows / measured.seconds:,.0f}",
            f"{measured.peak_bytes / 2**20:,.0f}",
            f"{measured.table_bytes / 2**20:,.0f}",
        )
    console.print(table)


def _measure(rows: int) -> Measurement:
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as name:
        folder = Path(name)
        target = Embedded(read_settings({"home": str(folder / "home")}, folder=folder))
        command = [sys.executable, "-m", "tests.bench.generate", "--write", str(rows), str(folder)]
        environment = target._process_environment(os.environ)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            watch = MemoryWatch(process)
            output, _ = process.communicate()
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with {process.returncode}.")
        size = sum(file.stat().st_size for file in (folder / "table").rglob("*") if file.is_file())
        return Measurement(rows, json.loads(output.splitlines()[-1]), watch.peak_bytes, size)


def _write(rows: int, folder: Path) -> float:
    """Return the seconds that it takes to generate and write the rows, without the session's start."""
    from harness.job.spark_session import open_spark_session
    from harness.job.synthetic_loans import generate_loans

    target = Embedded(read_settings({"home": str(folder / "home")}, folder=folder))
    spark = open_spark_session(target.environment(0, "models"))
    start = time.monotonic()
    generate_loans(spark, Loans(rows=rows)).write.format("delta").save(str(folder / "table"))
    seconds = time.monotonic() - start
    spark.stop()
    return seconds


def _resident_bytes(root: int) -> int:
    """Return the resident memory of a process and its descendants; processes that have ended count 0."""
    found, parents = {root}, _list_parents()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(_resident_pages(pid) for pid in found) * _PAGE_BYTES


def _list_parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The command's name, in brackets, may itself contain blanks and brackets.
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return parents


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        print(json.dumps(_write(int(sys.argv[2]), Path(sys.argv[3]))))  # noqa: T201 - the program's output
    else:
        main([int(each) for each in sys.argv[1:]] or [1, 10])
