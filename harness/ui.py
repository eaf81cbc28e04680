"""MLflow's pages on the runs of this folder."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.errors import NotThereError
from harness.lineage import require_store
from harness.settings import Settings


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
