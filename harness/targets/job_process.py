"""The process of a job: its events are forwarded, its log is kept, and it ends with the command."""

from __future__ import annotations

import logging
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO

from harness.errors import ExitCode, InterruptedRunError, JobError, PrerequisiteError
from harness.events import Event, Listener
from harness.files import write_bytes
from harness.prediction_files import SentFile
from harness.results import Result
from harness.runs import RESULT
from harness.runtime.jvm import explain_failed_start

_logger = logging.getLogger(__name__)

LOG = "job.log"
_END_TIMEOUT_S = 30
_NO_JVM = "[JAVA_GATEWAY_EXITED]"
"""What the job's log has if its JVM ended before it was ready; the JVM's own output comes before it."""
_LOG_LINES_SHOWN = 12


@dataclass(frozen=True)
class FinishedProcess:
    """A job's process that has ended."""

    exit_code: int
    result: Result | None
    """Result, if the job wrote it to its standard output."""
    interrupted: bool


def run_command(
    command: Sequence[str],
    folder: Path,
    listener: Listener,
    *,
    environ: Mapping[str, str],
    interrupt: Callable[[subprocess.Popen[str]], None],
    clean_up: Callable[[subprocess.Popen[str]], None],
    stdin: Path | None = None,
) -> FinishedProcess:
    """Run a job's command until it ends.

    Args:
        command: Process to start. It gets its own session, so that Ctrl-C does not reach it directly.
        folder: Folder of the run; output that is not an event goes to its log.
        listener: Receives every event as it arrives.
        environ: All environment variables of the process.
        interrupt: Asks the job to end, as Ctrl-C would; it then has 30 s.
        clean_up: Ends everything that the job started, however the job ended.
        stdin: File for its standard input.
    """
    results: list[Result] = []
    interrupted = False
    with (folder / LOG).open("w", encoding="utf-8") as log, (stdin or Path("/dev/null")).open() as stream:
        process = subprocess.Popen(
            command,
            stdin=stream,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            errors="replace",
            env=environ,
            start_new_session=True,
        )
        _logger.debug("job process %d started: %s", process.pid, shlex.join(command))
        try:
            _forward_output(process, folder, log, listener, results)
        except KeyboardInterrupt:
            interrupted = True
            interrupt(process)
            with _time_limit(_END_TIMEOUT_S, lambda: clean_up(process)):
                _forward_output(process, folder, log, listener, results)
        finally:
            clean_up(process)
            if process.stdout is not None:
                process.stdout.close()
    _logger.debug("job process %d ended with exit code %s", process.pid, process.returncode)
    return FinishedProcess(process.returncode, results[-1] if results else None, interrupted)


def take_result(finished: FinishedProcess, folder: Path) -> Result:
    """Return the job's result, from its file if it did not arrive with the events.

    Raises:
        InterruptedRunError: Ctrl-C, before there was a result.
        JobError: The job ended without a result.
        PrerequisiteError: The same, with the exit code of a missing prerequisite, or its JVM did not start.
    """
    if finished.result is not None:
        return finished.result
    file, log = folder / RESULT, folder / LOG
    if file.is_file():
        return Result.from_json(file.read_text(encoding="utf-8"))
    if finished.interrupted:
        raise InterruptedRunError("Interrupted.")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if any(_NO_JVM in line for line in lines):
        raise explain_failed_start(list(takewhile(lambda line: not line.startswith("Traceback"), lines)))
    last = lines[-_LOG_LINES_SHOWN:]
    error = PrerequisiteError if finished.exit_code == ExitCode.PREREQUISITE_MISSING else JobError
    raise error(
        f"The job ended with exit code {finished.exit_code} and without a result. Last lines of its log:\n"
        + "\n".join(f"    {line}" for line in last),
        remedy=f"Complete log: {log}",
    )


@contextmanager
def _time_limit(timeout_s: float, end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` after a time limit; Ctrl-C in the block ends the block."""
    timer = threading.Timer(timeout_s, end)
    timer.start()
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        timer.cancel()


def _forward_output(
    process: subprocess.Popen[str], folder: Path, log: IO[str], listener: Listener, results: list[Result]
) -> None:
    """Forward everything that the job writes until it has ended; files go to the run's folder."""
    for line in process.stdout or ():
        event = Event.from_line(line)
        if event is not None:
            listener(event)
        elif (result := Result.from_line(line)) is not None:
            results.append(result)
        elif (sent := SentFile.from_line(line)) is not None:
            write_bytes(folder / sent.path, sent.content)
        else:
            log.write(line)
            log.flush()
    process.wait()
