"""Causes of errors: a JVM or an executor that has died, or a heap that was too small."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError, Py4JNetworkError

from harness.errors import DeadProcessError, JobError
from harness.job.spark_errors import read_chain
from harness.job.spark_session import find_exit_code, find_peak_memory
from harness.memory import count_memory_kills
from harness.process_ends import JVM, explain_jvm_end, explain_memory_error

_JVM_END_TIMEOUT_S = 10.0
_ANSWER_TIMEOUT_S = 2.0
_CONTEXT_STOPPED = ("SparkContext was shut down", "stopped SparkContext")
"""Messages of Spark while its JVM ends."""


@dataclass(frozen=True)
class Surroundings:
    """What surrounded an error."""

    context: Any
    """The Spark context, or its class if none was created."""
    spark: Mapping[str, str]
    """Spark's configuration."""
    steps: str
    """The steps that were running, as the end of a sentence."""
    memory_kills: int
    """The processes that the kernel had ended for lack of memory before the job."""


def explain_dead_jvm(error: BaseException, around: Surroundings) -> JobError | None:
    """Return the error to report if the JVM has ended or no longer answers, else ``None``."""
    text = read_chain(error)
    is_lost = _is_lost(around.context, error, text)
    code = find_exit_code(around.context, _JVM_END_TIMEOUT_S if is_lost else 0)
    if code is not None:
        return explain_jvm_end(
            code,
            text,
            around.steps,
            around.spark,
            lacked_memory=count_memory_kills() > around.memory_kills,
            peak_bytes=find_peak_memory(),
        )
    if is_lost and isinstance(error, Py4JNetworkError | ConnectionError):
        return DeadProcessError(
            f"{JVM} no longer answers{around.steps}.",
            remedy="Its last output is in job.log in the run's folder.",
        )
    return None


def explain_small_memory(error: BaseException, around: Surroundings) -> JobError | None:
    """Return the error to report if a heap was too small or an executor has died, else ``None``."""
    return explain_memory_error(read_chain(error), around.steps, around.spark)


def _is_lost(context: Any, error: BaseException, text: str) -> bool:
    """Return whether the JVM has closed its connections, or is about to."""
    if isinstance(error, Py4JJavaError) and not text:
        return True  # The JVM, which has the message, is gone.
    if isinstance(error, Py4JNetworkError) or any(message in text for message in _CONTEXT_STOPPED):
        return True
    gateway: Any = getattr(context, "_gateway", None)
    if getattr(gateway, "proc", None) is None:
        return False  # On a cluster, this process hasn't started the JVM.
    address = gateway.gateway_parameters
    try:
        with socket.create_connection((address.address, address.port), timeout=_ANSWER_TIMEOUT_S):
            return False
    except OSError:
        return True
