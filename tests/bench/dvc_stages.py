"""Compares what a change costs with DVC: ``python -m tests.bench.dvc_stages``.

DVC runs the stages of ``tests.bench.by_hand``, two for each version: append its rows, and train. Measured on
both sides: the first run of two versions, an unchanged run, and one more version. DVC comes from a lock file
of its own, into a folder that is removed again.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import venv
from pathlib import Path

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from tests.bench.__main__ import CSV, ROOT, find_java_variables, run
from tests.bench.by_hand import MONTHS

_LOCK = Path(__file__).with_name("dvc.lock")
_RUNS = ("first run of two versions", "unchanged run", "one more version")


def main() -> None:
    """Measure both sides, and print a table."""
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as name:
        folder = Path(name)
        dvc = _measure_dvc(folder / "dvc", _install(folder / "venv"))
        ours = _measure_harness(folder / "harness")
    table = Table("run", "DVC, s", "harness, s", "ratio", box=None)
    for title, theirs, own in zip(_RUNS, dvc, ours, strict=True):
        table.add_row(title, f"{theirs:.1f}", f"{own:.1f}", f"{own / theirs:.2f}")
    Console(highlight=False).print(table)


def _install(folder: Path) -> str:
    """Install DVC, and return its command."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(_LOCK)], {})
    return str(folder / "bin" / "dvc")


def _measure_dvc(folder: Path, command: str) -> list[float]:
    """Return the seconds of each run with DVC."""
    folder.mkdir()
    _split_months(folder)
    run([command, "init", "--no-scm", "--quiet"], {}, folder)
    _write_stages(folder, 2)
    seconds = [_time([command, "repro", "--quiet"], folder), _time([command, "repro", "--quiet"], folder)]
    _write_stages(folder, 3)
    return [*seconds, _time([command, "repro", "--quiet"], folder)]


def _split_months(folder: Path) -> None:
    """Write each month's rows into a file of its own, so that DVC sees which version has changed."""
    header, *rows = CSV.read_text(encoding="utf-8").splitlines(keepends=True)
    for month in MONTHS:
        (folder / f"{month}.csv").write_text("".join([header, *(row for row in rows if month in row)]))


def _write_stages(folder: Path, versions: int) -> None:
    stages: dict[str, object] = {}
    by_hand = f"{sys.executable} -m tests.bench.by_hand {folder / 'work'}"
    (folder / "work").mkdir(exist_ok=True)
    for number, month in enumerate(MONTHS[:versions]):
        before = [f"built-{number - 1}.json"] if number else []
        stages[f"build-{number}"] = {
            "cmd": f"{by_hand} build {folder / month}.csv {month} > built-{number}.json",
            "deps": [f"{month}.csv", *before],
            "outs": [f"built-{number}.json"],
        }
        stages[f"train-{number}"] = {
            "cmd": f"{by_hand} train {number} > trained-{number}.json",
            "deps": [f"built-{number}.json"],
            "outs": [f"trained-{number}.json"],
        }
    YAML().dump({"stages": stages}, folder / "dvc.yaml")


def _measure_harness(folder: Path) -> list[float]:
    """Return the seconds of each run with the harness."""
    folder.mkdir()
    (folder / "data").mkdir()
    shutil.copy(CSV, folder / "data")
    yaml = YAML()
    scenario = yaml.load(ROOT / "scenarios" / "three_versions.yaml")
    file, all_versions = folder / "three_versions.yaml", list(scenario["versions"])
    command = [sys.executable, "-m", "harness", "scenario", str(file), "--target", "embedded"]
    seconds = []
    for versions in (2, 2, 3):
        scenario["versions"] = all_versions[:versions]
        yaml.dump(scenario, file)
        seconds.append(_time(command, folder))
    return seconds


def _time(command: list[str], folder: Path) -> float:
    start = time.monotonic()
    home = {"HARNESS_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "true"}
    run(command, {**find_java_variables(), **home}, folder)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
