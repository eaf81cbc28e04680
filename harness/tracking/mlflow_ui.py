"""MLflow's web pages on the runs of this machine."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys

from harness.errors import PrerequisiteError
from harness.ports import explain_taken, find_free_port
from harness.runtime.process_environment import without_python_path
from harness.settings import Settings
from harness.tracking.lineage import require_store

_logger = logging.getLogger(__name__)


def serve(settings: Settings, port: int) -> None:
    """Serve MLflow's pages on this machine until Ctrl-C.

    Raises:
        PrerequisiteError: The tracking store doesn't exist yet, the port is in use, or the server ended by
            itself.
    """
    require_store(settings["tracking_uri"])
    if (reason := explain_taken(port)) is not None:
        raise PrerequisiteError(
            f"Port {port} of this machine can't be used for MLflow's pages: {reason}.",
            remedy=f"Choose a free one: harness ui --port {find_free_port()}.",
        )
    sys.stdout.write(f"MLflow: http://127.0.0.1:{port}  (press Ctrl-C to stop)\n")
    sys.stdout.flush()
    command = [
        sys.executable,
        *("-m", "mlflow", "server"),
        *("--backend-store-uri", settings["tracking_uri"]),
        *("--default-artifact-root", settings["artifacts"]),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    environment = {
        **without_python_path(os.environ),
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
    raise PrerequisiteError(
        f"The MLflow server on port {port} ended with exit code {exit_code}.",
        remedy="Its output above says why.",
    )
