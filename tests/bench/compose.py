"""Measures the Compose target: its time compared with the embedded target, and the cost of its stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.settings import read_settings
from harness.targets.compose.docker import run_docker
from harness.targets.compose.stack import Stack

ROOT = Path(__file__).parents[2]
_STACK = "harness-bench"
_WORKERS = (1, 3)
_MOST_DIFFERENCE = 1e-6
_MILLION = """\
name: million
seed: 7
table:
  name: lc_loan_million
  source: { generate: { kind: loans, rows: 1000000, seed: 11 } }
  key: id
pipeline:
  label: { column: loan_status, positive: [Charged Off], negative: [Fully Paid] }
  features: [loan_amnt, annual_inc, dti, delinq_2yrs, total_acc, int_rate, term, inq_last_12m]
  model: { max_iter: 20, folds: 2 }
  explainer: { samples: 100, rows: 10 }
publish: { when: never }
versions:
  - { name: all, append: {}, expect: { rows: 1000000 } }
"""
_UNITS = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


def main(rounds: int) -> None:
    """Measure a separate stack's start and idle memory, and the time of one scenario on both targets."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as folder:
        environ = {"HARNESS_HOME": folder, "HARNESS_STACK": _STACK}
        stack = Stack(read_settings(folder=ROOT, environ=environ))
        stack.build()
        try:
            console.print(f"first start: {_time_command(environ, 'up'):.1f} s")
            stack.down()
            console.print(f"later start: {_time_command(environ, 'up'):.1f} s")
            time.sleep(20)  # Until the services have finished starting.
            console.print(f"memory of the idle stack: {_measure_memory_mib(stack):.0f} MiB")
            times: dict[str, list[float]] = {"compose": [], "embedded": []}
            steps: dict[str, dict[str, float]] = {}
            for _ in range(rounds):
                for target, measured in times.items():
                    command = ("scenario", "three_versions", "--target", target, "--fresh")
                    measured.append(_time_command(environ, *command))
                    result = json.loads((Path(folder) / "runs" / "latest" / "result.json").read_text())
                    steps[target] = result["timings"]
                console.print(", ".join(f"{name} {each[-1]:.1f} s" for name, each in times.items()))
            console.print(_make_table(steps))
            ratio = min(times["compose"]) / min(times["embedded"])
            console.print(f"three_versions in Compose takes {ratio:.2f} times the embedded time")
            _compare_workers(environ, Path(folder), console)
        finally:
            stack.remove_containers(volumes=True)


def _compare_workers(environ: dict[str, str], folder: Path, console: Console) -> None:
    """Measure a million rows with one worker and with three, and require the same metrics."""
    file = folder / "million.yaml"
    file.write_text(_MILLION)
    seconds: dict[int, float] = {}
    metrics: dict[int, dict[str, float]] = {}
    for workers in _WORKERS:
        _time_command(environ, "up", "--workers", str(workers))
        seconds[workers] = _time_command(environ, "scenario", str(file), "--target", "compose", "--fresh")
        [version] = json.loads((folder / "runs" / "latest" / "result.json").read_text())["versions"]
        metrics[workers] = {name: value for name, value in version["metrics"].items() if value is not None}
        metrics[workers] |= {name: each["per_sd"] for name, each in version["coefficients"].items()}
    one, other = (metrics[workers] for workers in _WORKERS)
    if one.keys() != other.keys():
        sys.exit(f"The workers measure different things: {sorted(one.keys() ^ other.keys())}")
    largest = max((abs(one[name] - other[name]) / max(1, abs(one[name])) for name in one), default=0.0)
    times = ", ".join(f"{each:.1f} s with {workers} worker(s)" for workers, each in seconds.items())
    console.print(
        f"a million rows: {times}; the largest difference of a metric or coefficient is {largest:.1e}"
    )
    if largest > _MOST_DIFFERENCE:
        sys.exit("With another number of workers, the numbers must be the same.")


def _time_command(environ: dict[str, str], *arguments: str) -> float:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"harness {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.monotonic() - start


def _measure_memory_mib(stack: Stack) -> float:
    names = [service.container for service in stack.services()]
    lines = run_docker(["stats", "--no-stream", "--format", "{{.MemUsage}}", *names]).stdout.splitlines()
    used = [line.split("/")[0].strip() for line in lines]
    return sum(float(each[:-3]) * _UNITS[each[-3:]] for each in used)


def _make_table(steps: dict[str, dict[str, float]]) -> Table:
    table = Table("step", *(f"{target}, s (versions side by side)" for target in steps), box=None)
    for name in dict.fromkeys(name for each in steps.values() for name in each):
        table.add_row(name, *(f"{each[name]:.1f}" if name in each else "-" for each in steps.values()))
    return table


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
