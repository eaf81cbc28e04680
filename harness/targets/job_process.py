"""The process of a job: its events are forwarded, its log is kept, and it ends with the command."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

from harness.errors import InterruptedRunError, PrerequisiteError
from harness.events import Announcement, Event, FinishedStep, Listener
from harness.files import file_lock, write_bytes, write_text
from harness.memory import count_memory_kills
from harness.prediction_files import SentFile
from harness.process_ends import PYTHON, Step, describe_steps
from harness.results import Result
from harness.runs import LOG, PLAN, RESULT, RunFolder
from harness.targets.end_causes import explain_failure, explain_missing_result

_logger = logging.getLogger(__name__)

_END_TIMEOUT_S = 30


@dataclass(frozen=True)
class FinishedProcess:
    """A job's process that has ended."""

    exit_code: int
    result: Result | None
    """Result, if the job wrote it to its standard output."""
    interrupted: bool
    during: str = ""
    """The steps that were running, as the end of a sentence."""
    lacked_memory: bool = False
    """Whether the kernel ended a process for lack of memory in the meantime."""
    process: str = PYTHON
    """What has ended, as messages name it."""


def run_command(
    command: Sequence[str],
    folder: Path,
    listener: Listener,
    *,
    environ: Mapping[str, str],
    interrupt: Callable[[subprocess.Popen[str]], None],
    clean_up: Callable[[subprocess.Popen[str]], None],
    sends_plan: bool = False,
) -> FinishedProcess:
    """Run a job's command until it ends.

    Args:
        command: Process to start. It gets its own session, so that Ctrl-C does not reach it directly.
        folder: Folder of the run, with its plan; announcements are recorded in it, and output that is
            nothing else goes to its log.
        listener: Receives every event as it arrives.
        environ: All environment variables of the process.
        interrupt: Asks the job to end, as Ctrl-C would; it then has 30 s.
        clean_up: Ends everything that the job started, however the job ended.
        sends_plan: Whether the process reads the plan, as the first line of its standard input. The input
            ends with this command, so that the job can end, too.
    """
    results: list[Result] = []
    running: list[Step] = []
    last: list[Step] = []
    interrupted = False
    kills = count_memory_kills()

    def follow(event: Event) -> None:
        step = (event.step, event.version)
        if event.state == "started" and step not in running:
            running.append(step)
        elif event.state == "done" and step in running:
            running.remove(step)
            last[:] = [step]
        listener(event)

    with (
        (folder / LOG).open("wb", buffering=0) as log,
        file_lock(folder / PLAN) as lock,
    ):
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if sends_plan else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            errors="replace",
            env=environ,
            start_new_session=True,
            # If this command is killed, the run counts as running until its job has ended, too.
            pass_fds=(lock,),
        )
        _logger.debug("job process %d started: %s", process.pid, shlex.join(command))
        try:
            if sends_plan:
                # In a thread: a process that doesn't start doesn't read either.
                threading.Thread(target=_send_plan, args=(process, folder), daemon=True).start()
            _forward_output(process, folder, log, follow, results)
        except KeyboardInterrupt:
            interrupted = True
            interrupt(process)
            with _clean_up_after(process, clean_up):
                _forward_output(process, folder, log, follow, results)
        finally:
            clean_up(process)
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # The process has ended before it has read the plan.
                    if pipe is not None:
                        pipe.close()
    _logger.debug("job process %d ended with exit code %s", process.pid, process.returncode)
    return FinishedProcess(
        process.returncode,
        results[-1] if results else None,
        interrupted,
        describe_steps(running, *last),
        count_memory_kills() > kills,
    )


def take_result(finished: FinishedProcess, folder: Path) -> Result:
    """Return the job's result, from its file if it did not arrive with the events.

    Raises:
        InterruptedRunError: Ctrl-C, before there was a result.
        JobError: The job ended without a result.
        PrerequisiteError: The same, because a prerequisite is missing, such as space on a disk.
    """
    file = folder / RESULT
    if finished.result is not None:
        return explain_failure(finished.result, folder)
    if file.is_file():
        return explain_failure(Result.from_json(file.read_text(encoding="utf-8")), folder)
    if finished.interrupted:
        raise InterruptedRunError("Interrupted.")
    raise explain_missing_result(
        folder,
        finished.process,
        finished.exit_code,
        finished.during,
        lacked_memory=finished.lacked_memory,
    )


@contextmanager
def _clean_up_after(
    process: subprocess.Popen[str], clean_up: Callable[[subprocess.Popen[str]], None]
) -> Iterator[None]:
    """Clean up when the interrupted job has ended, or after a time limit; Ctrl-C ends the block.

    Not only after the block: a JVM that was interrupted while it started goes on without the job, and keeps
    the output open.
    """
    has_left = threading.Event()

    def watch() -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_TIMEOUT_S)
        if not has_left.is_set():
            clean_up(process)

    threading.Thread(target=watch, daemon=True).start()
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        has_left.set()


def _send_plan(process: subprocess.Popen[str], folder: Path) -> None:
    plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    if process.stdin is not None:
        with suppress(OSError):  # The process has ended.
            process.stdin.write(f"{json.dumps(plan)}\n")
            process.stdin.flush()


def _forward_output(
    process: subprocess.Popen[str], folder: Path, log: RawIOBase, listener: Listener, results: list[Result]
) -> None:
    """Forward everything that the job writes until it has ended; files go to the run's folder."""
    for line in process.stdout or ():
        event = Event.from_line(line)
        if event is not None:
            listener(event)
        elif (result := Result.from_line(line)) is not None:
            results.append(result)
            # At once: if this command is killed now, the run has a result nevertheless.
            with suppress(PrerequisiteError):  # Its caller writes it, too, and reports the reason.
                write_text(folder / RESULT, result.to_json())
        elif (announced := Announcement.from_line(line)) is not None:
            RunFolder(folder).record(announced)
        elif (finished := FinishedStep.from_line(line)) is not None:
            with suppress(PrerequisiteError):  # Then the step is repeated if the run is resumed.
                RunFolder(folder).record_step(finished)
        elif (sent := SentFile.from_line(line)) is not None:
            write_bytes(folder / sent.path, sent.content)
        else:
            with suppress(OSError):  # On a full disk, the events and the result still count.
                log.write(line.encode())
    process.wait()
