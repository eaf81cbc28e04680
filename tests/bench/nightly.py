"""Measures the nightly check of an existing table: ``python -m tests.bench.nightly [DAYSxROWS]``.

Each day appends rows to a table; the check reads the day before and today, without training. Prints the time
of the first check, which reads every file, that of the next day's, which knows the older files, and that of
the same check with ``--fresh``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from deltalake import write_deltalake
from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import run
from tests.bench.versions import NUMBERS, make_rows

_DEFAULT = "20x500000"
_SCENARIO = """\
name: nightly
table: {name: readings, uri: TABLE, key: id}
pipeline:
  label: {column: outcome, positive: [bad], negative: [good]}
  features: [NUMBERS]
  categorical: [kind]
publish: {when: never}
versions:
  - {name: yesterday, read: BEFORE, train: false}
  - {name: today, read: latest, train: false, expect: {rows: {min: 1}, duplicate_keys: 0}}
"""


def main(size: str) -> None:
    """Measure the checks, and print a table."""
    days, rows = map(int, size.split("x"))
    shown = Table("check", "all, s", "count, s", "describe, s", "data files known", box=None)
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as name:
        folder = Path(name)
        for day in range(days):
            _append(folder, day, rows)
        shown.add_row(f"first, {days * rows:,} rows", *_check(folder, days - 1))
        _append(folder, days, rows)
        shown.add_row(f"next day, {rows:,} rows more", *_check(folder, days))
        shown.add_row("the same with --fresh", *_check(folder, days, "--fresh"))
    Console(highlight=False, width=120).print(shown)


def _append(folder: Path, day: int, rows: int) -> None:
    write_deltalake(folder / "table", make_rows(day, rows), mode="append")


def _check(folder: Path, newest: int, *options: str) -> tuple[str, ...]:
    text = _SCENARIO.replace("TABLE", str(folder / "table")).replace("NUMBERS", ", ".join(NUMBERS))
    scenario = folder / "nightly.yaml"
    scenario.write_text(text.replace("BEFORE", str(newest - 1)))
    home = folder / "home"
    start = time.monotonic()
    command = [sys.executable, "-m", "harness", "scenario", str(scenario), "--target", "embedded"]
    done = run([*command, *options], {"HARNESS_HOME": str(home)})
    seconds = time.monotonic() - start
    result = json.loads((home / "runs" / "latest" / "result.json").read_text())
    known = [line for line in done.stdout.splitlines() if "have counted" in line]
    timings = (f"{result['timings'].get(name, 0):.1f}" for name in ("check", "describe"))
    return (f"{seconds:.1f}", *timings, known[0].partition("counted ")[2] if known else "none")


if __name__ == "__main__":
    main(*sys.argv[1:] or [_DEFAULT])
