"""Why a job ended without a result, or with an unknown failure: what the command finds after its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from harness import errors, prediction_files, results
from harness.errors import DeadProcessError, ExitCode, HarnessError, JobError, PrerequisiteError
from harness.events import Announcement, Event, FinishedStep
from harness.plan import Environment
from harness.process_ends import (
    describe_end,
    explain_memory_error,
    make_death_error,
    name_signal,
)
from harness.results import Failure, Result
from harness.runs import LOG, RunFolder
from harness.runtime.jvm import explain_failed_start, is_noise
from harness.storage.disk_space import is_full_disk_message, list_local_folders, make_full_disk_error

_NO_JVM = "[JAVA_GATEWAY_EXITED]"
"""What the job's log has if its JVM ended before it was ready; the JVM's own output comes before it."""
_LOG_BYTES_READ = 1 << 20
_LOG_LINES_SHOWN = 12
_REPORTS = (
    *(f'{{"{kind.key}": ' for kind in (Event, Announcement, FinishedStep)),
    results.LINE_START,
    prediction_files.LINE_START,
)
"""The beginnings of the job's reports to the command; a line that was cut off has one, too."""
# A failure of any other kind is unknown: the class of an error that the job didn't expect.
_KNOWN_KINDS = frozenset(
    name
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, HarnessError) and each is not DeadProcessError
)


def read_messages(log: str) -> list[str]:
    """Return the lines of a job's log without the job's own reports, which are JSON for the command."""
    return [line for line in log.splitlines() if not line.startswith(_REPORTS)]


def explain_missing_result(
    folder: Path,
    process: str,
    exit_code: int,
    during: str,
    *,
    lacked_memory: bool,
) -> HarnessError:
    """Return the error for a job that ended without a result.

    Args:
        folder: Folder of the run.
        process: The process whose end the command has seen.
        exit_code: Its exit code.
        during: The steps that were running, as the end of a sentence.
        lacked_memory: Whether the kernel ended a process for lack of memory in the meantime.
    """
    lines = _read_log(folder)
    if any(_NO_JVM in line for line in lines):
        return explain_failed_start(list(takewhile(lambda line: not line.startswith("Traceback"), lines)))
    if (known := _find_cause(folder, lines, during)) is not None:
        return known
    complete_log = f"Complete log: {folder / LOG}"
    if name_signal(exit_code) is not None:
        death = make_death_error(process, exit_code, during, lacked_memory=lacked_memory)
        return DeadProcessError(death.message, remedy=f"{death.remedy}\n  {complete_log}")
    shown = [line for line in lines if not is_noise(line)][-_LOG_LINES_SHOWN:]
    last = "".join(f"\n    {line}" for line in shown)
    error = PrerequisiteError if exit_code == ExitCode.PREREQUISITE_MISSING else JobError
    return error(
        f"{process} {describe_end(exit_code)}{during}, without a result. "
        + (f"Last lines of its log:{last}" if shown else "Its log has no reason."),
        remedy=complete_log,
    )


def explain_failure(result: Result, folder: Path) -> Result:
    """Return the result with the cause of a failure of unknown kind, if the log or a disk shows it."""
    failure = result.failure
    if failure is None or failure.kind in _KNOWN_KINDS or failure.exit_code != ExitCode.JOB_FAILED:
        return result
    cause = _find_cause(folder, _read_log(folder), "")
    if cause is None:
        return result
    known = Failure(
        kind=type(cause).__name__,
        exit_code=cause.exit_code,
        message=f"{cause.message} {failure.message}",
        remedy=cause.remedy,
    )
    return result.model_copy(update={"failure": known})


def _find_cause(folder: Path, lines: Sequence[str], steps: str) -> HarnessError | None:
    """Return the error for a full disk or a heap that was too small, if there was one."""
    environment = _read_environment(folder)
    reason = next((line.strip() for line in reversed(lines) if is_full_disk_message(line)), "")
    folders = [folder, *(list_local_folders(environment) if environment else ())]
    if (full := make_full_disk_error(folders, reason)) is not None:
        return full
    spark = environment.spark if environment else {}
    return explain_memory_error("\n".join(lines), steps, spark)


def _read_environment(folder: Path) -> Environment | None:
    try:
        return RunFolder(folder).read_plan().environment
    except HarnessError:
        return None


def _read_log(folder: Path) -> list[str]:
    """Return the last lines of the job's log, without its reports."""
    try:
        with (folder / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - _LOG_BYTES_READ))
            return read_messages(log.read().decode(errors="replace"))
    except OSError:
        return []
