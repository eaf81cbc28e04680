"""MLflow's pages on the runs of this folder."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.lineage import require_store
from harness.settings import Settings


def serve(settings: Settings, port: int) -> int:
    """Serve MLflow's pages on this machine alone, until Ctrl-C; gives the server's exit code."""
    require_store(settings)
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
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 0
