"""How the processes of a job ended, and the errors for those that died or ran out of memory."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping
from typing import Final

from harness.errors import DeadProcessError, JobError, OutOfMemoryError
from harness.memory import HEAP, find_heap_error, find_memory_limit

PYTHON, CONTAINER = "The job's Python process", "The job's container"
JVM, EXECUTOR = "The job's JVM", "An executor"
_HEAP_SETTINGS: Final = {
    JVM: ("spark.driver.memory", "HARNESS_DRIVER_MEMORY"),
    EXECUTOR: ("spark.executor.memory", "HARNESS_EXECUTOR_MEMORY"),
}
_HEAP_EXIT_CODE = 52
"""Exit code of Spark's JVMs after an OutOfMemoryError."""
_CONTAINER_SIGNALS = 128
"""Exit code of a container or a shell whose process was ended by the signal 0; the others follow it."""
_EXECUTOR_END = re.compile(r"ExecutorLostFailure.*?(?:[Ee]xited with code|exit code) (\d+)", re.DOTALL)
_IN_EXECUTOR = re.compile(r"executor \d+\)")
_STEPS_SHOWN = 3


def name_signal(code: int) -> str | None:
    """Return the signal that ended a process, such as ``signal 9 (SIGKILL)``; ``None`` if none did.

    Args:
        code: Its exit code: that of Python, negative for a signal, or that of a container or a shell.
    """
    number = -code if code < 0 else code - _CONTAINER_SIGNALS
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return None


def describe_end(code: int) -> str:
    """Return how a process ended, as the end of a sentence about it."""
    name = name_signal(code)
    return f"was ended by {name}" if name else f"ended with exit code {code}"


Step = tuple[str, str | None]
"""A step of the job: its name and its version, if it is one of a version."""


def describe_steps(steps: Iterable[Step], last: Step | None = None) -> str:
    """Return the steps that were running, as the end of a sentence about what ended them.

    Args:
        steps: The steps.
        last: The step that was finished last, which is named if no other was running.
    """
    names = [_describe_step(step) for step in steps]
    if not names and last is not None:
        return f" after {_describe_step(last)}"
    more = [f"{len(names) - _STEPS_SHOWN} more"] if len(names) > _STEPS_SHOWN else []
    return f" during {', '.join(names[:_STEPS_SHOWN] + more)}" if names else ""


def _describe_step(step: Step) -> str:
    name, version = step
    return f"'{name}' of {version}" if version else f"'{name}'"


def make_death_error(
    process: str, code: int, steps: str, *, lacked_memory: bool = False, peak_bytes: int = 0
) -> DeadProcessError:
    """Return the error for a process that died.

    Args:
        process: What died.
        code: Its exit code.
        steps: What was running, from :func:`describe_steps`.
        lacked_memory: Whether the kernel ended a process of the run for lack of memory.
        peak_bytes: The most memory that the process used; 0 if that is unknown.
    """
    message = f"{process} {describe_end(code)}{steps}."
    used = f" It had used up to {peak_bytes >> 20:,} MB." if peak_bytes else ""
    limit = find_memory_limit()
    total = f" of {limit >> 20:,} MB" if limit else ""
    if lacked_memory:
        return DeadProcessError(
            f"{message} The system ended it because the memory{total} was full.{used}",
            remedy="Free some memory, give the container more, or set HARNESS_DRIVER_MEMORY to less.",
        )
    if name_signal(code) is None:
        return DeadProcessError(f"{message}{used}")
    return DeadProcessError(
        f"{message}{used}",
        remedy="The kernel didn't count a lack of memory, so look for who ended it: a user, a time limit, or "
        "a supervisor (the system's log may say).",
    )


def make_heap_error(process: str, reason: str, steps: str, spark: Mapping[str, str]) -> OutOfMemoryError:
    """Return the error for a JVM whose heap was too small.

    Args:
        process: The JVM: the job's or that of an executor.
        reason: What it had too little of.
        steps: What was running, from :func:`describe_steps`.
        spark: Spark's configuration, which has the size of the heap if the harness chose it.
    """
    name, variable = _HEAP_SETTINGS[process]
    heap = spark.get(name)
    if heap is None:
        return OutOfMemoryError(
            f"{process} ran out of memory{steps}: {reason}.", remedy="Use a cluster with more memory."
        )
    limit = find_memory_limit() if process == JVM else None
    has = f"; this machine or container has {limit >> 20:,} MB" if limit else ""
    also = ", and HARNESS_WORKER_MEMORY to at least as much" if process == EXECUTOR else ""
    return OutOfMemoryError(
        f"{process} ran out of memory{steps}: {reason}. It has a heap of {heap}.",
        remedy=f"Set {variable} to more than {heap}{also}{has}.",
    )


def explain_jvm_end(
    code: int, text: str, steps: str, spark: Mapping[str, str], *, lacked_memory: bool, peak_bytes: int
) -> JobError:
    """Return the error for the job's JVM, which has ended.

    Args:
        code: Its exit code.
        text: What is known of its last error.
        steps: What was running, from :func:`describe_steps`.
        spark: Spark's configuration.
        lacked_memory: Whether the kernel ended a process of the run for lack of memory.
        peak_bytes: The most memory that it used.
    """
    reason = find_heap_error(text) or (HEAP if code == _HEAP_EXIT_CODE else None)
    if reason is not None:
        return make_heap_error(JVM, reason, steps, spark)
    return make_death_error(JVM, code, steps, lacked_memory=lacked_memory, peak_bytes=peak_bytes)


def explain_memory_error(text: str, steps: str, spark: Mapping[str, str]) -> JobError | None:
    """Return the error for a heap or an executor that messages are about; ``None`` if they are about neither.

    Args:
        text: Messages of Spark or of a JVM.
        steps: What was running, from :func:`describe_steps`.
        spark: Spark's configuration.
    """
    end = _EXECUTOR_END.search(text)
    code = int(end[1]) if end else None
    reason = find_heap_error(text) or (HEAP if code == _HEAP_EXIT_CODE else None)
    if reason is not None:
        is_executor = code is not None or _IN_EXECUTOR.search(text) is not None
        return make_heap_error(EXECUTOR if is_executor else JVM, reason, steps, spark)
    return None if code is None else make_death_error(EXECUTOR, code, steps)
