"""A JVM that several jobs use one after the other: ``python -m harness.job.warm_jvm FOLDER``.

Reads Spark's configuration as one line of JSON from standard input, starts the JVM, and writes the variables
with which PySpark connects to it as one line of JSON. When the input ends, it ends the JVM and removes the
folder, which has the JVM's temporary files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from typing import Any

from pyspark import SparkConf, java_gateway

_END_TIMEOUT_S = 10


def main(folder: str) -> None:
    """Start the JVM, and wait for its end: by itself, or because the input has ended."""
    conf = SparkConf(loadDefaults=False)
    conf.setAll(json.loads(sys.stdin.readline()).items())
    try:
        # What the JVM prints must not be mistaken for the variables.
        start: Any = java_gateway.launch_gateway
        gateway = start(conf, {"stdout": sys.stderr})
        parameters = gateway.gateway_parameters
        variables = {
            "PYSPARK_GATEWAY_PORT": str(parameters.port),
            "PYSPARK_GATEWAY_SECRET": parameters.auth_token,
        }
        sys.stdout.write(json.dumps(variables) + "\n")
        sys.stdout.flush()
        threading.Thread(target=_end_with_input, args=(gateway.proc,), daemon=True).start()
        gateway.proc.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_input(jvm: subprocess.Popen[bytes]) -> None:
    # Not sys.stdin, which a thread that is still reading would keep locked at the interpreter's end.
    while os.read(0, 1024):
        pass
    if jvm.stdin is not None:
        jvm.stdin.close()  # Then Spark's gateway ends by itself.
    try:
        jvm.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        jvm.kill()


if __name__ == "__main__":
    main(sys.argv[1])
