"""A run in an environment that belongs to another Spark, another Python and another language."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import PrerequisiteError
from harness.files import write_text
from harness.results import Result
from harness.runs import PLAN, RESULT
from harness.runtime.jars import find_pyspark_home
from harness.runtime.java import find_java
from harness.settings import read_settings
from harness.targets.embedded.embedded_target import Embedded
from tests.embedded.runner import ROOT, make_plan
from tests.embedded.small import UNPUBLISHED, write_custom_scenario, write_table

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


def run_with(folder: Path, spark_setting: str, value: str) -> Result:
    """Run a job whose Spark has one setting more, without the checks that come before it."""
    target = Embedded(read_settings({"home": str(folder)}, folder=folder, environ={}))
    plan = make_plan(UNPUBLISHED, write_table(folder), folder)
    conf = {**target.environment(0, "models").spark, spark_setting: value}
    environment = plan.environment.model_copy(update={"spark": conf})
    changed = plan.model_copy(update={"environment": environment})
    write_text(folder / PLAN, changed.model_dump_json(by_alias=True))
    return target.run(folder, lambda _event: None)


def test_a_jvm_that_does_not_start_shows_its_own_line(tmp_path: Path) -> None:
    """If the job's JVM does not start in spite of the checks, the message is the JVM's own first line."""
    with pytest.raises(
        PrerequisiteError, match=r"doesn't start: Improperly specified VM option 'NewRatio=x'\."
    ):
        run_with(tmp_path, "spark.driver.extraJavaOptions", "-XX:NewRatio=x")


def test_a_spark_that_does_not_start_is_a_failure_with_a_result(tmp_path: Path) -> None:
    """If Spark does not start, the result has the failure with its class and sentence."""
    result = run_with(tmp_path, "spark.driver.bindAddress", "192.0.2.1")
    assert result.failure is not None
    assert ("BindException", True, True) == (
        result.failure.kind,
        result.failure.message.startswith("The job failed: BindException: Cannot assign requested address"),
        (tmp_path / RESULT).is_file(),
    )
