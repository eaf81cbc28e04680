"""``python -m harness.job PLAN RESULT [EVENTS] [--run-id ID] [--source PATH=URI]...``: from plan to result.

The first two are files, or ``-``: the plan from standard input, the result as one line on standard output.

What it says of itself while it runs goes to standard output, one JSON line per event, and into the file
EVENTS where one is named; everything else that it or Spark has to say goes to standard error.

A plan that is run again and again has neither the name of each run nor, before it was deployed, the places of
its rows: ``--run-id`` and ``--source`` stand in for what it says of them. PATH is a source as the scenario
writes it.
"""

from __future__ import annotations

import argparse
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

from harness.errors import HarnessError, UsageError
from harness.events import Event
from harness.files import write_text
from harness.job.clock import Clock
from harness.job.event_file import Mirror
from harness.plan import Plan, SourceData
from harness.results import Result

if TYPE_CHECKING:
    from harness.job.mlflow_tracker import Tracker

_STREAM = "-"


def main(arguments: list[str]) -> int:
    """Run one plan; the exit code is the result's."""
    given = _parse(arguments)
    try:
        plan = _read_plan(given)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    mirror = Mirror(Path(given.events)) if given.events else None
    # Spark starts Python workers by this name; any other Python may lack the packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    clock = Clock(lambda event: _say(event, mirror))
    started = datetime.now(UTC)
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        # The JVM takes seconds to come up; MLflow is imported and its store opened meanwhile.
        tracker = pool.submit(_open_tracker, plan)
        with clock.step("session"):
            session = importlib.import_module("harness.job.spark_session")
            found = session.is_open()
            spark = session.open_session(plan.environment)
        interrupted = _take_signals()
        job = importlib.import_module("harness.job.main")
        result = job.run(job.Job(plan, clock, spark, tracker, Path(scratch), interrupted, started))
        try:
            _hand_back(result, given.result)
            if mirror is not None:
                mirror.write()
        except HarnessError as error:
            sys.stderr.write(f"{error}\n")
            return int(error.exit_code)
        # Who brought it along goes on with it.
        if not found:
            spark.stop()
    return int(result.exit_code)


def entry() -> None:
    """The command ``harness-job``, as a cluster calls it: inside its own process.

    Raises:
        SystemExit: Every verdict but a pass is one, so that whoever started the job sees it end badly.
    """
    code = main(sys.argv[1:])
    # A cluster takes every exit for a fault, also one with the code 0.
    if code:
        raise SystemExit(f"The scenario's run ended with exit code {code}; its result tells why.")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="harness-job")
    parser.add_argument("plan")
    parser.add_argument("result")
    parser.add_argument("events", nargs="?")
    parser.add_argument("--run-id")
    parser.add_argument("--source", action="append", default=[])
    return parser.parse_args(arguments)


def _read_plan(given: argparse.Namespace) -> Plan:
    text = sys.stdin.read() if given.plan == _STREAM else Path(given.plan).read_text(encoding="utf-8")
    plan = Plan.model_validate_json(text)
    placed = dict(_placed(plan, text) for text in given.source)
    plan = plan.model_copy(update={"sources": {**plan.sources, **placed}})
    return plan.model_copy(update={"run_id": given.run_id}) if given.run_id else plan


def _placed(plan: Plan, given: str) -> tuple[str, SourceData]:
    """One of the plan's sources at another place, by ``PATH=URI``; both may have such signs in them."""
    for name in sorted(plan.sources, key=len, reverse=True):
        if given.startswith(f"{name}="):
            uri = given.removeprefix(f"{name}=")
            return name, plan.sources[name].model_copy(update={"uri": uri})
    raise UsageError(
        f"--source {given}: the plan has no such source.",
        remedy=f"It has {', '.join(plan.sources) or 'none'}; say PATH=URI.",
    )


def _open_tracker(plan: Plan) -> Tracker:
    # Before MLflow is imported: it reads its environment then.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from harness.job.mlflow_tracker import Tracker

    return Tracker(plan)


def _hand_back(result: Result, file: str) -> None:
    if file == _STREAM:
        _write_line(result.to_line())
    else:
        write_text(Path(file), result.model_dump_json(indent=2, by_alias=True) + "\n")


def _say(event: Event, mirror: Mirror | None) -> None:
    _write_line(event.to_line())
    if mirror is not None:
        mirror.tell(event)


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _take_signals() -> threading.Event:
    """Let Ctrl-C and a request to end interrupt the main thread, once.

    It is remembered: what breaks in other threads thereupon is no fault of theirs.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        return interrupted  # Signals are for whoever has the main thread.

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return interrupted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
