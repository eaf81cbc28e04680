"""A run in an environment that belongs to another Spark, another Python and another language."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtime.jars import find_pyspark_home
from harness.runtime.java import find_java
from tests.embedded.runner import ROOT
from tests.embedded.small import write_custom_scenario

pytestmark = pytest.mark.spark

# The author's script: it has a session of its own, which the run must leave alone.
SCRIPT = """
import json, os, sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
assert "PYSPARK_GATEWAY_PORT" in os.environ
os.environ |= json.loads(sys.argv[1])
import harness

result = harness.run(os.environ["SCENARIO"], target="embedded", quiet=True)
print(f"{result.verdict} {spark.range(3).count()}")
"""
# Set in the script, because they would break the author's own session too.
FOR_ANOTHER_JOB = {
    "SPARK_HOME": "/other",
    "SPARK_CONF_DIR": "/other",
    "SPARK_REMOTE": "sc://127.0.0.1:1",
    "PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell",
    "PYSPARK_PYTHON": "/bin/false",
    "PYSPARK_DRIVER_PYTHON": "/bin/false",
    "HADOOP_CONF_DIR": "/other",
    "SPARK_LOCAL_DIRS": "/proc/1",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    "MLFLOW_REGISTRY_URI": "http://127.0.0.1:1",
    "MLFLOW_RUN_ID": "other",
    "MLFLOW_EXPERIMENT_NAME": "other",
    "MPLBACKEND": "module://other",
    "_JAVA_OPTIONS": "-XX:Other",
    "JDK_JAVA_OPTIONS": "-other",
    "PYTHONWARNINGS": "error",
}


def test_the_environment_of_the_user_reaches_no_run(tmp_path: Path) -> None:
    """A run from a script of spark-submit passes, whatever the folder, the variables and the language are."""
    current, home, temporary = (tmp_path / name for name in ("current", "höme", "tëmp x"))
    temporary.mkdir()
    (current / "harness").mkdir(parents=True)
    for name in ("mlflow", "queue", "random", "pyspark", "harness/__init__"):
        (current / f"{name}.py").write_text("raise SystemExit('a file of the user')")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "mlflow.py").write_text("raise SystemExit('a file of the user')")
    (tmp_path / "script.py").write_text(SCRIPT)
    scenario = write_custom_scenario(tmp_path / "dätä")
    environ = {
        **os.environ,
        "HARNESS_HOME": str(home),
        "JAVA_HOME": str(find_java(None, os.environ).home),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": f"{tmp_path / 'path'}:{ROOT}",
        "TMPDIR": str(temporary),
        # The author's own JVM writes Arabic digits.
        "JAVA_TOOL_OPTIONS": "-Duser.language=ar -Duser.country=EG",
        "LC_ALL": "C",
        "TZ": "Asia/Tehran",
    }
    environ.pop("PYTHONSAFEPATH", None)
    program = find_pyspark_home() / "bin" / "spark-submit"
    outcome = subprocess.run(
        [str(program), str(tmp_path / "script.py"), json.dumps({**FOR_ANOTHER_JOB, "SCENARIO": scenario})],
        cwd=current,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pass 3" == outcome.stdout.strip(), outcome.stdout + outcome.stderr
    assert [True] == [
        log.is_file() for log in home.glob("lake/runs/*/*/_delta_log/00000000000000000000.json")
    ]
