"""MLflow's pages on the runs of this folder."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

from harness.errors import NotThereError
from harness.settings import Settings
from harness.targets.compose.stack import Stack
from harness.tracking.lineage import require_store

_logger = logging.getLogger(__name__)

_PAGES = (("mlflow", "MLflow", "mlflow_port"), ("spark-master", "Spark master", "spark_port"))
_TIMEOUT_S = 10


def check_stack(settings: Settings, stack: Stack) -> Iterator[tuple[str, str]]:
    """Name and address of each page of the stack, one after the other, when it has answered.

    Raises:
        NotThereError: A page does not answer.
    """
    for service, name, setting in _PAGES:
        url = f"http://127.0.0.1:{settings[setting]}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S):
                yield name, url
        except OSError as error:
            if not stack.is_up():
                raise NotThereError("The stack is not up.", remedy="'make up' brings it up.") from error
            raise NotThereError(
                f"The service {service} does not answer at {url}: {error}.",
                remedy=f"See what it says: harness logs {service}.",
            ) from error


def serve(settings: Settings, port: int) -> None:
    """Serve MLflow's pages on this machine alone, until Ctrl-C.

    Raises:
        NotThereError: There is no tracking store yet, or the server ended by itself.
    """
    require_store(settings)
    sys.stdout.write(f"MLflow: http://127.0.0.1:{port}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    command = [
        sys.executable,
        *("-m", "mlflow", "server"),
        *("--backend-store-uri", settings["tracking_uri"]),
        *("--default-artifact-root", settings["artifacts"]),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    process = subprocess.Popen(command, env=environment)
    _logger.debug("MLflow server %d started: %s", process.pid, shlex.join(command))
    try:
        exit_code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return
    raise NotThereError(
        f"MLflow's server on port {port} ended with exit code {exit_code}.",
        remedy="If another process holds the port, choose a free one with --port.",
    )
