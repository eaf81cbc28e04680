"""Errors of storage and of the JVM, translated for the scenario's author."""

from __future__ import annotations

import contextlib
import errno
import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError
from pyspark.sql import SparkSession, functions as F

from harness.errors import (
    DeadProcessError,
    ExitCode,
    HarnessError,
    JobError,
    OutOfMemoryError,
    PrerequisiteError,
    Problem,
    ScenarioError,
)
from harness.job import lost_processes
from harness.job.clock import Clock
from harness.job.lost_processes import Surroundings, explain_dead_jvm, explain_small_memory
from harness.job.running_job import Job, run_in_parallel, translate_error, translate_start_error
from harness.job.spark_errors import log_errors, name_error, summarize_error, translate_storage_error
from harness.plan import Environment, Plan

UNREACHABLE = """An error occurred while calling o93.save.
: java.net.ConnectException: Connection refused: GET https://azurite:10000/dlsloandev/lake?comp=list"""
REFUSED = """Operation failed: "AuthenticationFailed", 403, HEAD, https://azurite:10000/dlsloandev/lake/x"""
UNTRUSTED = (
    """javax.net.ssl.SSLHandshakeException: PKIX path building failed: https://azurite:10000/dlsloandev"""
)
WRAPPED = """MLflow failed: An error occurred while calling z:org.example.Files.list.
: java.lang.IllegalStateException: Job 7 is cancelled
\tat org.example.Files.list(Files.java:7)
Caused by: java.io.FileNotFoundException: /data/x is gone
\tat org.example.Files.open(Files.java:9)"""
NO_KEY = """An error occurred while calling o85.save.
: Failure to initialize configuration for mydatalake.dfs.core.windows.net key ="null": \
Invalid configuration value detected for fs.azure.account.key
\tat org.apache.hadoop.fs.azurebfs.AbfsConfiguration.getStorageAccountKey(AbfsConfiguration.java:877)"""
NO_LOGIN = (
    "Configuration property fs.azure.account.oauth2.client.id.mydatalake.dfs.core.windows.net not found."
)
NO_ACCOUNT = """An error occurred while calling o98.save.
: Invalid configuration value detected for fs.azure.account.hns.enabledStatus code: -1 error code: null \
error message: java.net.UnknownHostException: mydatalake.dfs.core.windows.netjava.net.UnknownHostException: \
mydatalake.dfs.core.windows.net
\tat org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem.initialize(AzureBlobFileSystem.java:239)"""
NO_TOKENS = """HTTP Error -1; url='https://login.microsoftonline.com/t/oauth2/token' \
AzureADAuthenticator.getTokenCall threw java.net.UnknownHostException : login.microsoftonline.com"""
MLFLOW = "HTTPConnectionPool(host='mlflow', port=5000): Max retries exceeded with url: /api/2.0/mlflow"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            UNREACHABLE, "The service at azurite:10000 doesn't answer: Connection refused.", id="unreachable"
        ),
        pytest.param(REFUSED, "The service at azurite:10000 refuses the credential.", id="refused"),
        pytest.param(UNTRUSTED, "The certificate of the service at azurite:10000 is not trusted.", id="tls"),
        pytest.param(
            NO_KEY, "No credential is set for the storage account 'mydatalake'.", id="without a key"
        ),
        pytest.param(
            NO_LOGIN, "No credential is set for the storage account 'mydatalake'.", id="without a login"
        ),
        pytest.param(
            NO_ACCOUNT,
            "The service at mydatalake.dfs.core.windows.net doesn't answer: unknown host.",
            id="unknown account",
        ),
        pytest.param(
            NO_ACCOUNT.replace("mydatalake.dfs.core.windows.net", "azurite"),
            "The service at azurite doesn't answer: unknown host.",
            id="service that is down",
        ),
        pytest.param(
            NO_TOKENS, "The service at login.microsoftonline.com doesn't answer: unknown host.", id="tokens"
        ),
        pytest.param(MLFLOW, "The service at mlflow doesn't answer: Max retries exceeded.", id="mlflow"),
    ],
)
def test_a_service_error_is_reported(text: str, message: str) -> None:
    """An error of a service is reported with the service's address and leads to exit code 3."""
    error = translate_storage_error(RuntimeError(text))
    assert error is not None
    assert (message, ExitCode.PREREQUISITE_MISSING) == (error.message, error.exit_code)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (UNREACHABLE, "'make logs' shows the logs"),
        (NO_ACCOUNT, "Check the account's name"),
        (UNREACHABLE.replace("azurite:10000", "10.0.0.7:443"), "the job's network reaches it"),
    ],
    ids=["of the stack", "account", "other"],
)
def test_the_remedy_fits_the_service(text: str, remedy: str) -> None:
    """Only a service of the Compose stack has logs that a command shows."""
    error = translate_storage_error(RuntimeError(text))
    assert error is not None
    assert remedy in (error.remedy or "")


def test_a_dead_jvm_is_a_failure_of_the_job() -> None:
    """A refused connection without an address is a failure of the job, not of a service."""
    assert translate_storage_error(ConnectionRefusedError("Connection refused")) is None


def _divide(spark: SparkSession) -> object:
    return spark.range(1).select(F.udf(lambda _: 1 / 0, "double")("id")).collect()


def _raise(spark: SparkSession) -> object:
    return spark.sql("SELECT raise_error('too few')").collect()


def _call(spark: SparkSession) -> object:
    return cast(Any, spark)._jvm.java.util.ArrayList().get(3)


def _construct(spark: SparkSession) -> object:
    return cast(Any, spark)._jvm.java.io.File()


@pytest.mark.spark
@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (_divide, "ZeroDivisionError: division by zero"),
        (_raise, "too few"),
        (_call, "IndexOutOfBoundsException: Index 3 out of bounds for length 0"),
        (_construct, "Py4JException: Constructor java.io.File([]) does not exist"),
    ],
)
def test_an_error_of_the_jvm_is_named(
    spark: SparkSession, fail: Callable[[SparkSession], object], expected: str
) -> None:
    """An error out of the JVM is shown as its class and its sentence, without the call that led to it."""
    with pytest.raises(Exception, match=r".") as caught:
        fail(spark)
    summary = summarize_error(caught.value)
    assert (True, False) == (expected in summary, "An error occurred" in summary), summary


def test_an_error_of_the_jvm_in_another_message_is_named() -> None:
    """A message that contains an error out of the JVM is reduced to the innermost cause."""
    error = RuntimeError(WRAPPED)
    assert ("FileNotFoundException: /data/x is gone", "RuntimeError") == (
        summarize_error(error),
        name_error(error),
    )
    assert "IllegalStateException: Job 7 is cancelled" == summarize_error(
        RuntimeError(WRAPPED.partition("\nCaused by")[0])
    )


def make_job(signal: int | None, step: str, *, exit_code: int = 0, program: str = "") -> Job:
    """Return a job in a step, whose JVM is a process that has ended by a signal or with an exit code.

    Without a signal, the JVM runs and belongs to another process.
    """
    program = program or (
        f"import os; os.kill(os.getpid(), {signal})" if signal else f"raise SystemExit({exit_code})"
    )
    context = SimpleNamespace(_gateway=None)
    if signal is not None:
        # The port that it listened at refuses connections.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = SimpleNamespace(address="127.0.0.1", port=free.getsockname()[1])
        ended = subprocess.Popen([sys.executable, "-c", program])
        context._gateway = SimpleNamespace(proc=ended, gateway_parameters=address)
    environment = Environment(
        target="embedded",
        lake="abfss://lake@a.dfs.core.windows.net",
        model_store="abfss://models@a.dfs.core.windows.net",
        tracking_uri="http://mlflow:5000",
        experiment="harness",
        spark={"spark.driver.memory": "512m"},
    )
    clock = Clock(lambda _event: None)
    if signal is not None and (signal or exit_code or program.endswith("(60)")):
        with contextlib.suppress(ValueError), clock.step(step, "first"):
            raise ValueError
    return Job(
        plan=cast(Plan, SimpleNamespace(environment=environment)),
        clock=clock,
        spark=cast(SparkSession, SimpleNamespace(sparkContext=context)),
        tracker=Future(),
        scratch=Path(),
    )


@pytest.mark.parametrize(
    "found",
    [
        Py4JError("functions does not exist in the JVM"),
        Py4JNetworkError("Answer from Java side is empty"),
        ConnectionRefusedError(111, "Connection refused"),
        EOFError(),
        JobError("own.Pipeline: what 'fit' returned failed on the rows"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_jvm_that_has_ended_is_reported(found: Exception) -> None:
    """If the JVM has ended, that is the error, whatever the job makes of it."""
    error = translate_error(make_job(9, "train"), found)
    assert error is not None
    message = "The job's JVM was ended by signal 9 (SIGKILL) during 'train' of first. It had used up to "
    assert (DeadProcessError, message) == (type(error), error.message[: len(message)])


def test_a_heap_that_ended_the_jvm_is_reported() -> None:
    """If a full heap ended the JVM, the error says so, with the heap's size and the setting."""
    error = translate_error(make_job(0, "explain", exit_code=52), Py4JNetworkError("Answer is empty"))
    assert error is not None
    assert (
        OutOfMemoryError,
        "The job's JVM ran out of memory during 'explain' of first: Java heap space. It has a heap of 512m.",
        True,
    ) == (type(error), error.message, "HARNESS_DRIVER_MEMORY to more than 512m" in (error.remedy or ""))


def test_a_jvm_that_dies_while_spark_starts_is_reported() -> None:
    """If the JVM dies before there is a session, that is the error, not the connection that it refused."""
    context = make_job(9, "session").spark.sparkContext
    around = Surroundings(context, {}, " during 'session'", 0)
    error = translate_start_error(ConnectionRefusedError(111, "Connection refused"), around)
    assert error is not None
    assert "The job's JVM was ended by signal 9 (SIGKILL) during 'session'." in error.message


def test_a_jvm_that_no_longer_answers_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the JVM refuses connections but doesn't end, that is the error."""
    monkeypatch.setattr(lost_processes, "_JVM_END_TIMEOUT_S", 0.1)
    job = make_job(0, "train", program="import time; time.sleep(60)")
    try:
        error = translate_error(job, ConnectionRefusedError(111, "Connection refused"))
    finally:
        jvm = cast(Any, job.spark.sparkContext)._gateway.proc
        jvm.kill()
        jvm.wait()
    assert error is not None
    assert "The job's JVM no longer answers during 'train' of first." == error.message


@pytest.mark.spark
def test_a_heap_that_is_too_small_is_reported(spark: SparkSession) -> None:
    """An error of the heap is reported with its setting, and the JVM goes on."""
    with pytest.raises(Py4JJavaError) as caught:
        cast(Any, spark)._jvm.java.util.ArrayList(2**31 - 1)
    around = Surroundings(spark.sparkContext, {"spark.driver.memory": "2g"}, "", 0)
    assert explain_dead_jvm(caught.value, around) is None
    error = explain_small_memory(RuntimeError("a later error"), around)
    assert error is None
    wrapped = JobError("own.Pipeline: what 'fit' returned failed on the rows")
    wrapped.__cause__ = caught.value
    for each in (caught.value, wrapped):
        error = explain_small_memory(each, around)
        assert error is not None
        assert (True, True) == (
            error.message.startswith("The job's JVM ran out of memory: "),
            (error.remedy or "").startswith("Set HARNESS_DRIVER_MEMORY to more than 2g"),
        )


def test_the_first_error_in_time_is_raised() -> None:
    """The first error in time is raised, not that of the first item, and not that of cancelling the rest."""
    job = make_job(None, "train")
    has_failed = threading.Event()

    def work(item: str) -> None:
        with job.clock.step("train", item):
            if item == "second":
                has_failed.set()
                raise MemoryError(item)
            has_failed.wait(60)
            while job.first_error is None:
                time.sleep(0.001)
            raise ConnectionRefusedError(item)

    with pytest.raises(MemoryError, match="second"):
        run_in_parallel(job, work, ["first", "second"])
    assert {("train", "first"), ("train", "second")} == set(job.clock.failed_steps)


def test_the_first_error_of_a_nested_step_is_raised() -> None:
    """If one of two parts fails in parallel work of its own, its error is raised, not that of the other."""
    job = make_job(None, "train")

    def fail_later() -> None:
        while job.first_error is None:
            time.sleep(0.001)
        raise ConnectionRefusedError("cancelled")

    def prepare(item: str) -> None:
        if item == "second":
            raise MemoryError(item)
        while not job.clock._stopped.is_set():
            time.sleep(0.001)
        time.sleep(0.05)

    def prepare_all() -> None:
        run_in_parallel(job, prepare, ["first", "second"])

    parts: tuple[Callable[[], None], ...] = (fail_later, prepare_all)
    with pytest.raises(MemoryError, match="second"):
        run_in_parallel(job, lambda part: part(), parts)


def test_only_so_many_items_run_at_once() -> None:
    """With one at once, the next one starts after the one before has ended."""
    job = make_job(None, "train")
    active, most = [], []

    def work(item: int) -> None:
        active.append(item)
        most.append(len(active))
        time.sleep(0.01)
        active.remove(item)

    run_in_parallel(job, work, [1, 2, 3], 1)
    assert max(most) == 1


class _FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_does_not_hide_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If an error can't be written to the log, the job goes on to report it."""
    monkeypatch.setattr(sys, "stderr", _FullDisk())
    with log_errors():
        raise ValueError("a bug")


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("IOException: No space left on device", PrerequisiteError),
        ("java.lang.OutOfMemoryError: Java heap space", OutOfMemoryError),
        ("IOException: no such file", ScenarioError),
    ],
)
def test_a_source_is_not_blamed_for_the_machine(cause: str, kind: type[HarnessError]) -> None:
    """If a full disk or a small heap is why a source can't be read, that is the error."""
    error = ScenarioError([Problem("can't read loans.csv as csv")])
    error.__cause__ = RuntimeError(cause)
    assert kind is type(translate_error(make_job(None, "ingest"), error))


def test_a_full_disk_is_reported() -> None:
    """The message of a database on a full disk is a missing prerequisite."""
    job = make_job(None, "log")
    error = translate_error(job, RuntimeError("(sqlite3.OperationalError) database or disk is full\n[SQL]"))
    assert error is not None
    assert ("The disk is full: (sqlite3.OperationalError) database or disk is full", 3) == (
        error.message,
        error.exit_code,
    )


def test_a_user_without_a_name_is_reported() -> None:
    """If Hadoop can't log in because the user has no name, the message has the remedy."""
    text = "LoginException: java.lang.NullPointerException: invalid null input: name"
    error = translate_start_error(RuntimeError(text), Surroundings(SimpleNamespace(_gateway=None), {}, "", 0))
    assert error is not None
    assert (ExitCode.PREREQUISITE_MISSING, True) == (error.exit_code, "/etc/passwd" in (error.remedy or ""))
