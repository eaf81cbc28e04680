"""The errors for processes of a job that died or ran out of memory."""

from __future__ import annotations

import pytest

from harness import process_ends as module
from harness.errors import DeadProcessError, ExitCode, OutOfMemoryError
from harness.process_ends import (
    CONTAINER,
    JVM,
    PYTHON,
    describe_end,
    describe_steps,
    explain_jvm_end,
    explain_memory_error,
    make_death_error,
)

SPARK = {"spark.driver.memory": "512m", "spark.executor.memory": "1g"}
LOST = "ExecutorLostFailure (executor 0 exited caused by a running task) Reason: Command exited with code"
IN_EXECUTOR = (
    "Lost task 0.3 in stage 3.0 (TID 12) (172.18.0.5 executor 1): java.lang.OutOfMemoryError: Java heap space"
)
IN_LOCAL_TASK = IN_EXECUTOR.replace("executor 1", "executor driver")


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_memory_limit", lambda: 4 << 30)


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (-9, "was ended by signal 9 (SIGKILL)"),
        (137, "was ended by signal 9 (SIGKILL)"),
        (-6, "was ended by signal 6 (SIGABRT)"),
        (1, "ended with exit code 1"),
        (255, "ended with exit code 255"),
    ],
)
def test_an_end_is_described(code: int, end: str) -> None:
    """A signal is named, whether the exit code is that of a process or of a container."""
    assert end == describe_end(code)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), ""),
        ((("session", None),), " during 'session'"),
        ((("train", "january"), ("train", "march")), " during 'train' of january, 'train' of march"),
        (
            tuple(("train", str(each)) for each in range(5)),
            " during 'train' of 0, 'train' of 1, 'train' of 2, 2 more",
        ),
    ],
)
def test_the_running_steps_are_named(steps: tuple[tuple[str, str | None], ...], text: str) -> None:
    """The steps that were running are named with their versions, but not too many."""
    assert text == describe_steps(steps)


def test_a_lack_of_memory_is_reported() -> None:
    """If the kernel ended a process for lack of memory, the error says so, and how much there was."""
    error = make_death_error(JVM, -9, " during 'train' of march", lacked_memory=True, peak_bytes=3 << 30)
    message = "The job's JVM was ended by signal 9 (SIGKILL) during 'train' of march. "
    message += "The system ended it because the memory of 4,096 MB was full. It had used up to 3,072 MB."
    assert (message, True, ExitCode.JOB_FAILED) == (
        error.message,
        "HARNESS_DRIVER_MEMORY to less" in (error.remedy or ""),
        error.exit_code,
    )


@pytest.mark.parametrize("process", [PYTHON, CONTAINER])
def test_a_kill_by_somebody_is_reported(process: str) -> None:
    """If no lack of memory was counted, the error doesn't blame the memory."""
    error = make_death_error(process, 137, "")
    assert (f"{process} was ended by signal 9 (SIGKILL).", False) == (
        error.message,
        "HARNESS_DRIVER_MEMORY" in str(error),
    )


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (52, "", "The job's JVM ran out of memory: Java heap space. It has a heap of 512m."),
        (
            3,
            "OutOfMemoryError: Metaspace",
            "The job's JVM ran out of memory: Metaspace. It has a heap of 512m.",
        ),
        (-9, "Connection refused", "The job's JVM was ended by signal 9 (SIGKILL)."),
        (134, "", "The job's JVM was ended by signal 6 (SIGABRT)."),
        (1, "", "The job's JVM ended with exit code 1."),
    ],
)
def test_the_end_of_the_jvm_is_explained(code: int, text: str, message: str) -> None:
    """A JVM ran out of memory if its exit code or its last error says so; else it only died."""
    error = explain_jvm_end(code, text, "", SPARK, lacked_memory=False, peak_bytes=0)
    assert message == error.message


@pytest.mark.parametrize(
    ("text", "kind", "message", "remedy"),
    [
        (
            IN_LOCAL_TASK,
            OutOfMemoryError,
            "The job's JVM ran out of memory: Java heap space. It has a heap of 512m.",
            "Set HARNESS_DRIVER_MEMORY to more than 512m; this machine or container has 4,096 MB.",
        ),
        (
            IN_EXECUTOR,
            OutOfMemoryError,
            "An executor ran out of memory: Java heap space. It has a heap of 1g.",
            "Set HARNESS_EXECUTOR_MEMORY to more than 1g, and HARNESS_WORKER_MEMORY to at least as much.",
        ),
        (
            f"{LOST} 52",
            OutOfMemoryError,
            "An executor ran out of memory: Java heap space. It has a heap of 1g.",
            "Set HARNESS_EXECUTOR_MEMORY to more than 1g, and HARNESS_WORKER_MEMORY to at least as much.",
        ),
        (
            f"{LOST} 137",
            DeadProcessError,
            "An executor was ended by signal 9 (SIGKILL).",
            "The kernel didn't",
        ),
    ],
)
def test_the_setting_that_helps_is_named(text: str, kind: type, message: str, remedy: str) -> None:
    """An error names the process whose memory was too small, how much it had, and the setting that helps."""
    error = explain_memory_error(text, "", SPARK)
    assert error is not None
    assert (kind, message, True) == (type(error), error.message, (error.remedy or "").startswith(remedy))


def test_a_heap_that_the_harness_did_not_choose_has_another_remedy() -> None:
    """On a cluster, whose heap no setting of the harness decides, the remedy is a larger cluster."""
    error = explain_memory_error(IN_LOCAL_TASK, "", {})
    assert error is not None
    assert "Use a cluster with more memory." == error.remedy


def test_another_error_is_not_about_memory() -> None:
    """An error that is neither about a heap nor about an executor is left alone."""
    assert explain_memory_error("java.lang.ArithmeticException: / by zero", "", SPARK) is None
