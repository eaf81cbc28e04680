"""Errors of storage and of the JVM, translated for the scenario's author."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession, functions as F

from harness.errors import ExitCode, JobError
from harness.job.running_job import Job, translate_error, translate_start_error
from harness.job.spark_errors import name_error, summarize_error, translate_storage_error

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
MLFLOW = "HTTPConnectionPool(host='mlflow', port=5000): Max retries exceeded with url: /api/2.0/mlflow"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            UNREACHABLE, "The service at azurite:10000 doesn't answer: Connection refused.", id="unreachable"
        ),
        pytest.param(REFUSED, "The service at azurite:10000 refuses the credential.", id="refused"),
        pytest.param(UNTRUSTED, "The certificate of the service at azurite:10000 is not trusted.", id="tls"),
        pytest.param(MLFLOW, "The service at mlflow doesn't answer: Max retries exceeded.", id="mlflow"),
    ],
)
def test_a_service_error_is_reported(text: str, message: str) -> None:
    """An error of a service is reported with the service's address and leads to exit code 3."""
    error = translate_storage_error(RuntimeError(text))
    assert error is not None
    assert (message, ExitCode.PREREQUISITE_MISSING) == (error.message, error.exit_code)


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


def test_a_jvm_that_has_ended_is_reported() -> None:
    """If the JVM has ended, that is the error, whatever Py4J makes of it."""
    ended = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    gateway = SimpleNamespace(proc=ended)
    spark = SimpleNamespace(sparkContext=SimpleNamespace(_gateway=gateway))
    job = cast(Job, SimpleNamespace(interrupted=threading.Event(), spark=spark))
    error = translate_error(job, Py4JError("functions does not exist in the JVM"))
    assert error is not None
    assert (JobError, "Spark's JVM ended by the signal 9 in the middle of the run.") == (
        type(error),
        error.message,
    )


def test_a_user_without_a_name_is_reported() -> None:
    """If Hadoop can't log in because the user has no name, the message has the remedy."""
    text = "LoginException: java.lang.NullPointerException: invalid null input: name"
    error = translate_start_error(RuntimeError(text))
    assert error is not None
    assert (ExitCode.PREREQUISITE_MISSING, True) == (error.exit_code, "/etc/passwd" in (error.remedy or ""))
