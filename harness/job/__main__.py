"""The job's entry point: ``python -m harness.job PLAN RESULT [EVENTS] [OPTION]...``.

PLAN and RESULT are files, or ``-``: the plan from standard input, the result as one line on standard output.
Other files, such as predictions, are written next to the result, or to standard output before it, one line
each. With ``--attached``, the plan is the first line of standard input, and the job is interrupted when the
input ends: its command has been killed, which nobody else in its container would notice.

Events go to standard output, one JSON line each, and to the file EVENTS if it is given. Announcements and
finished steps go to standard output only. Everything else that the job or Spark prints goes to standard
error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from harness.errors import ExitCode, HarnessError
from harness.events import Event
from harness.files import write_bytes, write_text
from harness.job.clock import Clock
from harness.job.event_file import EventFile
from harness.job.step_record import StepRecord
from harness.memory import count_memory_kills
from harness.plan import Plan, load_plan
from harness.prediction_files import SentFile
from harness.results import Failure, Result
from harness.storage.tracking_server import is_server
from harness.storage.tracking_store import require_usable_store
from harness.wheel import compute_version, make_version_error

if TYPE_CHECKING:
    from harness.job.mlflow_tracker import Tracker

_STREAM = "-"
_NO_JVM = "JAVA_GATEWAY_EXITED"
"""PySpark's error class for a JVM that ended before it was ready."""


def main(arguments: list[str], *, is_installed: bool = False) -> int:
    """Run one plan, and return the exit code of its result.

    Args:
        arguments: Arguments of the program.
        is_installed: Whether the harness was installed on its own, so that it may be another version than the
            one that made the plan.
    """
    options = _parse(arguments)
    try:
        plan = _read_plan(options)
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    if is_installed and (stale := _find_stale_start(plan)) is not None:
        return _finish(stale, options, None)
    # Loads Spark and MLflow, which takes seconds; a plan that can't be run doesn't wait for them.
    job = importlib.import_module("harness.job.running_job")
    event_file = EventFile(Path(options.events)) if options.events else None
    # Spark must start its Python workers with this interpreter, because another one may lack the packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    clock = Clock(lambda event: _emit(event, event_file))
    started, memory_kills = datetime.now(UTC), count_memory_kills()
    interrupted = threading.Event()
    _handle_signals(interrupted)
    if options.attached:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        try:
            with clock.step("session"):
                if is_server(plan.environment.tracking_uri):
                    require_usable_store(plan.environment.tracking_uri, plan.environment.experiment)
                # The JVM takes seconds to start. Meanwhile, MLflow's store is opened.
                tracker = pool.submit(open_tracker, plan, clock)
                session = importlib.import_module("harness.job.spark_session")
                is_shared = session.has_active_session()
                spark = session.open_spark_session(plan.environment, plan.run_id)
        except (Exception, KeyboardInterrupt) as error:
            importlib.import_module("harness.job.spark_errors").log_traceback(error)
            if not interrupted.is_set() and getattr(error, "error_class", None) == _NO_JVM:
                return int(ExitCode.PREREQUISITE_MISSING)  # Its own output is in the log.
            cause = KeyboardInterrupt() if interrupted.is_set() else error
            failed = job.make_failed_start(plan, clock, started, memory_kills, cause)
            return _finish(failed, options, event_file)
        _handle_signals(interrupted)  # Again: PySpark has replaced the handler of SIGINT.
        running = job.Job(
            plan,
            clock,
            spark,
            tracker,
            Path(scratch),
            interrupted,
            started,
            memory_kills,
            announce=lambda announcement: _write_line(announcement.to_line()),
            steps=StepRecord(plan.finished, lambda step: _write_line(step.to_line())),
        )
        if plan.proof is None:
            result = importlib.import_module("harness.job.main").run(running)
        else:
            result = importlib.import_module("harness.job.prove").prove(running)
        code = _finish(result, options, event_file, running.files)
        # A session that we did not create is left running.
        if not is_shared:
            spark.stop()
    return code


def entry() -> None:
    """Run the job as the command ``harness-job``, inside the process of a cluster.

    Raises:
        SystemExit: The verdict is not a pass; whoever started the job sees that it failed.
    """
    code = main(sys.argv[1:], is_installed=True)
    # A cluster treats every exit as a failure, even one with code 0.
    if code:
        raise SystemExit(f"The run of the scenario ended with exit code {code}; see its result.")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="harness-job")
    parser.add_argument("plan")
    parser.add_argument("result")
    parser.add_argument("events", nargs="?")
    parser.add_argument("--attached", action="store_true")
    return parser.parse_args(arguments)


def _read_plan(options: argparse.Namespace) -> Plan:
    is_stream = options.plan == _STREAM
    if is_stream:
        text = sys.stdin.readline() if options.attached else sys.stdin.read()
    else:
        text = Path(options.plan).read_text(encoding="utf-8")
    return load_plan(text, "the standard input" if is_stream else options.plan)


def _find_stale_start(plan: Plan) -> Result | None:
    """Return the result of a job that has another version of the harness than its plan, if it has."""
    version = compute_version()
    if version == plan.harness_version:
        return None
    now = datetime.now(UTC)
    failure = Failure.of(make_version_error(version, plan.harness_version))
    # The result of a run has the version that ran it.
    return plan.make_failed_result(failure, now, now).model_copy(update={"libraries": {"harness": version}})


def open_tracker(plan: Plan, clock: Clock) -> Tracker:
    """Open the MLflow runs of a plan."""
    # MLflow reads its environment when it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from harness.job.mlflow_tracker import Tracker

    return Tracker(plan, clock.report)


def _finish(
    result: Result,
    options: argparse.Namespace,
    event_file: EventFile | None,
    files: Mapping[str, Path] | None = None,
) -> int:
    """Write the files, then the result and the last events, and return the exit code."""
    try:
        _write_files(files or {}, options.result)
        _write_result(result, options.result)
        if event_file is not None:
            event_file.write()
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    return int(result.exit_code)


def _write_files(files: Mapping[str, Path], result_file: str) -> None:
    """Write the files next to the result, or one line each on standard output."""
    for path, local in files.items():
        if result_file == _STREAM:
            _write_line(SentFile(path, local.read_bytes()).to_line())
        else:
            write_bytes(Path(result_file).parent / path, local.read_bytes())


def _write_result(result: Result, file: str) -> None:
    if file == _STREAM:
        _write_line(result.to_line())
    else:
        write_text(Path(file), result.to_json())


def _emit(event: Event, event_file: EventFile | None) -> None:
    _write_line(event.to_line())
    if event_file is not None:
        event_file.add(event)


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _handle_signals(interrupted: threading.Event) -> None:
    """Let the first Ctrl-C or request to terminate interrupt the main thread, and set the flag.

    With the flag, other errors that the interrupt causes are recognized as such.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # Only the main thread receives signals.

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _end_with_input() -> None:
    """Wait for the end of standard input, then interrupt the job."""
    # Not sys.stdin, which a thread that is still reading would keep locked at the interpreter's end.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
