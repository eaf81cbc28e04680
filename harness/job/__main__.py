"""``python -m harness.job PLAN RESULT``: reads a plan, runs it, writes the result.

Both are files, or ``-``: the plan from standard input, the result as one line on standard output.

What it says of itself while it runs goes to standard output, one JSON line per event; everything else
that it or Spark has to say goes to standard error.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.events import Event
from harness.files import write_text
from harness.job.clock import Clock
from harness.results import Result
from harness.scenario.plan import Plan

if TYPE_CHECKING:
    from harness.job.tracking import Tracker

_STREAM = "-"


def main(arguments: list[str]) -> int:
    """Run one plan; the exit code is the result's."""
    plan_file, result_file = arguments
    # Spark starts Python workers by this name; any other Python may lack the packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    text = sys.stdin.read() if plan_file == _STREAM else Path(plan_file).read_text(encoding="utf-8")
    plan = Plan.model_validate_json(text)
    clock = Clock(_say)
    started = datetime.now(UTC)
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        # The JVM takes seconds to come up; MLflow is imported and its store opened meanwhile.
        tracker = pool.submit(_open_tracker, plan)
        with clock.step("session"):
            spark = importlib.import_module("harness.job.session").open_session(plan.environment)
        interrupted = _take_signals()
        job = importlib.import_module("harness.job.main")
        result = job.run(job.Job(plan, clock, spark, tracker, Path(scratch), interrupted, started))
        try:
            _hand_back(result, result_file)
        except HarnessError as error:
            sys.stderr.write(f"{error}\n")
            return int(error.exit_code)
        spark.stop()
    return int(result.exit_code)


def _open_tracker(plan: Plan) -> Tracker:
    # Before MLflow is imported: it reads its environment then.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from harness.job.tracking import Tracker

    return Tracker(plan)


def _hand_back(result: Result, file: str) -> None:
    if file == _STREAM:
        _write_line(result.to_line())
    else:
        write_text(Path(file), result.model_dump_json(indent=2, by_alias=True) + "\n")


def _say(event: Event) -> None:
    _write_line(event.to_line())


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _take_signals() -> threading.Event:
    """Let Ctrl-C and a request to end interrupt the main thread, once.

    It is remembered: what breaks in other threads thereupon is no fault of theirs.
    """
    interrupted = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return interrupted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
