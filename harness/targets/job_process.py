"""A job's process: its events are handed on, its log is kept, and it does not outlive the command."""

from __future__ import annotations

import logging
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import ExitCode, InterruptedRunError, JobError, NotThereError
from harness.events import Event, Listener
from harness.results import Result
from harness.runs import RESULT

_logger = logging.getLogger(__name__)

LOG = "job.log"
_END_TIMEOUT_S = 30
_LOG_LINES_SHOWN = 12


@dataclass(frozen=True)
class Finished:
    """A job that has ended."""

    exit_code: int
    result: Result | None
    """Where the job wrote it to its standard output."""
    interrupted: bool


def follow(
    command: Sequence[str],
    folder: Path,
    listener: Listener,
    *,
    environ: Mapping[str, str],
    interrupt: Callable[[subprocess.Popen[str]], None],
    clean_up: Callable[[subprocess.Popen[str]], None],
    given: Path | None = None,
) -> Finished:
    """Run a job's command to its end.

    Args:
        command: The process to start, in a session of its own, so that Ctrl-C does not reach it by itself.
        folder: The run's folder; what is no event is written to the log in it.
        listener: Told of every event as it comes.
        environ: All of the process's variables.
        interrupt: Asks the job to end as Ctrl-C would; it then has 30 s.
        clean_up: Sees that nothing that the job started outlives it, however it ended.
        given: A file for its standard input.
    """
    results: list[Result] = []
    interrupted = False
    with (folder / LOG).open("w", encoding="utf-8") as log, (given or Path("/dev/null")).open() as stdin:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            errors="replace",
            env=environ,
            start_new_session=True,
        )
        _logger.debug("job process %d started: %s", process.pid, shlex.join(command))
        try:
            _hand_on(process, log, listener, results)
        except KeyboardInterrupt:
            interrupted = True
            interrupt(process)
            with _ended_after(_END_TIMEOUT_S, lambda: clean_up(process)):
                _hand_on(process, log, listener, results)
        finally:
            clean_up(process)
            if process.stdout is not None:
                process.stdout.close()
    _logger.debug("job process %d ended with exit code %s", process.pid, process.returncode)
    return Finished(process.returncode, results[-1] if results else None, interrupted)


def result_of(finished: Finished, folder: Path) -> Result:
    """The job's result, from its file where it did not come with the events.

    Raises:
        InterruptedRunError: Ctrl-C, before there was one.
        JobError: The job ended without one.
        NotThereError: The same, and the job's exit code says that something was not there.
    """
    if finished.result is not None:
        return finished.result
    file, log = folder / RESULT, folder / LOG
    if file.is_file():
        return Result.from_json(file.read_text(encoding="utf-8"))
    if finished.interrupted:
        raise InterruptedRunError("Interrupted.")
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
    fault = NotThereError if finished.exit_code == ExitCode.NOT_THERE else JobError
    raise fault(
        f"The job ended with exit code {finished.exit_code} and without a result. Its last lines:\n"
        + "\n".join(f"    {line}" for line in last),
        remedy=f"The whole log: {log}",
    )


@contextmanager
def _ended_after(timeout_s: float, end: Callable[[], None]) -> Iterator[None]:
    """Let the block go on for so long, or until Ctrl-C is pressed again."""
    timer = threading.Timer(timeout_s, end)
    timer.start()
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        timer.cancel()


def _hand_on(process: subprocess.Popen[str], log: IO[str], listener: Listener, results: list[Result]) -> None:
    """Everything that the job says until it has ended."""
    for line in process.stdout or ():
        event = Event.from_line(line)
        if event is not None:
            listener(event)
        elif (found := Result.from_line(line)) is not None:
            results.append(found)
        else:
            log.write(line)
            log.flush()
    process.wait()
