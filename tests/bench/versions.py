"""Measures what a version costs: ``python -m tests.bench.versions [VERSIONSxROWS ...]``.

Each scenario appends its versions' rows one after the other, and trains a model at the last version only. For
each, prints the seconds per version of the steps that every version goes through, those of training, and the
peak memory of all processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from tests.bench.generate import MemoryWatch

ROOT = Path(__file__).parents[2]
_DEFAULT = ("10x10000", "100x10000", "3x1000000", "12x1000000")
_PER_VERSION = ("ingest", "check", "describe")
NUMBERS = tuple(f"number_{index}" for index in range(8))
_KINDS = np.array(["car", "house", "medical", "other", "small business"])
_SCENARIO = """\
name: many_versions
seed: 3
table: {name: readings, source: rows, key: id}
pipeline:
  label: {column: outcome, positive: [bad], negative: [good]}
  features: [NUMBERS]
  categorical: [kind]
  model: {max_iter: 10, grid: {reg_param: [0.01]}, folds: 2}
publish: {when: never}
versions:
"""
_VERSION = "  - {name: v%d, append: {where: batch = %d}, train: %s, expect: {rows: %d}}\n"


@dataclass(frozen=True)
class Measured:
    """What a scenario took."""

    steps: dict[str, float]
    """Seconds of each step."""
    seconds: float
    peak_bytes: int


def main(sizes: list[str]) -> None:
    """Measure each scenario, and print a table."""
    table = Table(
        "versions", "rows of each", "s per version", *_PER_VERSION, "training, s", "all, s", "MiB", box=None
    )
    for size in sizes:
        versions, rows = map(int, size.split("x"))
        with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
            found = _measure(Path(folder), versions, rows)
        steps = [found.steps.get(name, 0.0) for name in _PER_VERSION]
        training = sum(found.steps.get(name, 0.0) for name in ("prepare", "train", "evaluate", "explain"))
        each = [f"{seconds / versions:.2f}" for seconds in (sum(steps), *steps)]
        table.add_row(
            str(versions),
            f"{rows:,}",
            *each,
            f"{training:.1f}",
            f"{found.seconds:.1f}",
            f"{found.peak_bytes / 2**20:,.0f}",
        )
    Console(highlight=False, width=120).print(table)


def _measure(folder: Path, versions: int, rows: int) -> Measured:
    for number in range(versions):
        _write_rows(folder / "rows" / f"batch={number}", number, rows)
    text = _SCENARIO.replace("NUMBERS", ", ".join(NUMBERS))
    for number in range(versions):
        is_last = str(number == versions - 1).lower()
        text += _VERSION % (number, number, is_last, (number + 1) * rows)
    (folder / "many_versions.yaml").write_text(text)
    command = [sys.executable, "-m", "harness", "scenario", str(folder / "many_versions.yaml"), "--fresh"]
    command += ["--target", "embedded"]
    environment = {**os.environ, "HARNESS_HOME": str(folder / "home")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment
    ) as process:
        watch = MemoryWatch(process)
        output, _ = process.communicate()
    if process.returncode:
        sys.exit(output)
    result = json.loads((folder / "home" / "runs" / "latest" / "result.json").read_text())
    return Measured(result["timings"], result["duration_s"], watch.peak_bytes)


def _write_rows(folder: Path, number: int, rows: int) -> None:
    folder.mkdir(parents=True)
    pq.write_table(make_rows(number, rows), folder / "part.parquet")


def make_rows(number: int, rows: int) -> pa.Table:
    """Return the rows of one part of a table; their keys follow those of the part before."""
    chance = np.random.default_rng(number)
    numbers = {name: chance.normal(size=rows).round(4) for name in NUMBERS}
    is_bad = numbers["number_0"] + chance.normal(size=rows) > 1
    return pa.table(
        {
            "id": np.arange(number * rows, (number + 1) * rows),
            **numbers,
            "kind": _KINDS[chance.integers(len(_KINDS), size=rows)],
            "outcome": np.where(is_bad, "bad", "good"),
        }
    )


if __name__ == "__main__":
    main(sys.argv[1:] or list(_DEFAULT))
