"""``make bench``: compare the harness with the same work done by hand, in turn on the same machine.

Prints both times, their ratio, and the time of each step. It is a measurement, not a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.runtime.java import find_java

ROOT = Path(__file__).parents[2]
CSV = ROOT / "scenarios" / "data" / "lc_loan_2018q1.csv"


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds of one side, and the seconds of its steps."""

    seconds: float
    steps: dict[str, float]


def main(rounds: int) -> None:
    """Measure both sides in each round, and print the ratio of their fastest runs."""
    console = Console(highlight=False)
    by_hand, harness = [], []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
            by_hand.append(_run_by_hand(Path(folder) / "by_hand"))
            harness.append(_run_harness(Path(folder) / "harness"))
        console.print(
            f"round {number}: by hand {by_hand[-1].seconds:.1f} s, harness {harness[-1].seconds:.1f} s"
        )
    hand = min(by_hand, key=lambda each: each.seconds)
    ours = min(harness, key=lambda each: each.seconds)
    console.print(_make_table(hand, ours))
    console.print(
        f"by hand {hand.seconds:.1f} s, harness {ours.seconds:.1f} s: ratio {ours.seconds / hand.seconds:.2f}"
    )
    console.print("Rows explained: by hand every test row (a fifth), the harness 200 at each version, twice.")


def _run_by_hand(folder: Path) -> Measured:
    folder.mkdir()
    steps: dict[str, float] = {}
    start = time.monotonic()
    for arguments in (("build", str(CSV)), *(("train", version) for version in "012")):
        done = run(
            [sys.executable, "-m", "tests.bench.by_hand", str(folder), *arguments], find_java_variables()
        )
        for name, seconds in json.loads(done.stdout.splitlines()[-1]).items():
            steps[name] = steps.get(name, 0.0) + seconds
    return Measured(time.monotonic() - start, steps)


def _run_harness(home: Path) -> Measured:
    start = time.monotonic()
    run(
        [sys.executable, "-m", "harness", "scenario", "three_versions", "--target", "embedded", "--fresh"],
        {"HARNESS_HOME": str(home)},
    )
    seconds = time.monotonic() - start
    result = json.loads((home / "runs" / "latest" / "result.json").read_text())
    return Measured(seconds, result["timings"])


def find_java_variables() -> dict[str, str]:
    """Return the environment variables with which PySpark finds Java and Python."""
    java = find_java(os.environ.get("HARNESS_JAVA_HOME"), os.environ)
    return {"PYSPARK_PYTHON": sys.executable, "JAVA_HOME": str(java.home)}


def run(
    command: list[str], environment: Mapping[str, str], folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a command until it succeeds; otherwise, this program ends."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done


def _make_table(hand: Measured, ours: Measured) -> Table:
    table = Table("step", "by hand, s", "harness, s (versions side by side)", box=None)
    for name in dict.fromkeys([*hand.steps, *ours.steps]):
        table.add_row(
            name, *(f"{each.steps[name]:.1f}" if name in each.steps else "-" for each in (hand, ours))
        )
    return table


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
