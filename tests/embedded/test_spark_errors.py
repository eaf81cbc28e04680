"""Errors of storage and of the JVM, translated for the scenario's author."""

from __future__ import annotations

import pytest

from harness.errors import ExitCode
from harness.job.spark_errors import translate_storage_error

UNREACHABLE = """An error occurred while calling o93.save.
: java.net.ConnectException: Connection refused: GET https://azurite:10000/dlsloandev/lake?comp=list"""
REFUSED = """Operation failed: "AuthenticationFailed", 403, HEAD, https://azurite:10000/dlsloandev/lake/x"""
UNTRUSTED = (
    """javax.net.ssl.SSLHandshakeException: PKIX path building failed: https://azurite:10000/dlsloandev"""
)
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
