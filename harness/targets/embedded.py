"""The embedded target: Spark in one process on this machine, MLflow and the lake in its files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from harness.errors import ExitCode, InterruptedRunError, JobError, NotThereError
from harness.events import Event, Listener
from harness.files import FULL_DISK_REMEDY
from harness.results import Result
from harness.runtime.jars import class_path, pyspark_home
from harness.runtime.java import Java, find_java
from harness.scenario.plan import Environment
from harness.settings import Settings

PLAN, RESULT, LOG = "plan.json", "result.json", "job.log"
_SMALL_BYTES = 64 << 20
_FREE_BYTES = 200 << 20
_END_TIMEOUT_S = 30
_LOG_LINES_SHOWN = 12

_SPARK = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
# Tables of thousands of rows: a job's fixed costs are all that counts.
_SPARK_FOR_SMALL_DATA = {
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.adaptive.enabled": "false",
    # Compiling a stage takes longer than interpreting it on so few rows.
    "spark.sql.codegen.wholeStage": "false",
    "spark.shuffle.compress": "false",
    "spark.broadcast.compress": "false",
}
# In a run of a minute the JVM's second compiler costs more than it gains; the first alone keeps its code
# in 48 MB where it is not told otherwise, which is too small, and stops when they are full.
_JVM_FOR_SMALL_DATA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
# A heap that starts small is collected all the time until it has grown; young objects get half of it.
_JVM_HEAP = "-Xms{memory} -XX:NewRatio=1"
# Another Spark on this machine must not get into ours.
_NOT_INHERITED = ("PYSPARK_SUBMIT_ARGS", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "PYTHONPATH")


class Embedded:
    """Runs the job as a subprocess."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._java: Java | None = None

    def environment(self, source_bytes: int | None) -> Environment:
        """Local files, one JVM."""
        settings = self._settings
        spark = {
            **_SPARK,
            "spark.master": f"local[{settings['cores']}]",
            "spark.driver.memory": settings["driver_memory"],
            "spark.sql.warehouse.dir": str(settings.home / "warehouse"),
            "spark.driver.extraClassPath": ":".join(
                str(jar) for jar in class_path(self._find_java(), report=_say)
            ),
        }
        java_options = [_JVM_HEAP.format(memory=settings["driver_memory"])]
        if source_bytes is not None and source_bytes < _SMALL_BYTES:
            spark |= _SPARK_FOR_SMALL_DATA
            java_options.append(_JVM_FOR_SMALL_DATA)
        spark["spark.driver.extraJavaOptions"] = " ".join(java_options)
        return Environment(
            target="embedded",
            lake=settings["lake"],
            model_store=settings["stores.models"],
            tracking_uri=settings["tracking_uri"],
            experiment=settings["experiment"],
            artifacts=settings["artifacts"] if settings["tracking_uri"].startswith("sqlite") else None,
            spark=spark,
        )

    def prepare(self) -> None:
        """See that there is room."""
        free = shutil.disk_usage(self._settings.home).free
        if free < _FREE_BYTES:
            raise NotThereError(
                f"{self._settings.home} has {free >> 20} MB left; a run needs {_FREE_BYTES >> 20} MB.",
                remedy=FULL_DISK_REMEDY,
            )

    def run(self, folder: Path, listener: Listener) -> Result:
        """Run the job in a process group of its own, so that Ctrl-C reaches it once, and in order."""
        command = [sys.executable, "-m", "harness.job", str(folder / PLAN), str(folder / RESULT)]
        log_file = folder / LOG
        with log_file.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                errors="replace",
                env=self._process_environment(os.environ),
                start_new_session=True,
            )
            try:
                _follow(process, log, listener)
            except KeyboardInterrupt:
                _end(process)
                if not (folder / RESULT).is_file():
                    raise InterruptedRunError("Interrupted.") from None
            finally:
                _kill_group(process)
                if process.stdout is not None:
                    process.stdout.close()
        return _read_result(folder / RESULT, process.returncode, log_file)

    def remove_run(self, run_id: str) -> None:
        """Remove a run's tables."""
        if "://" not in self._settings["lake"]:
            shutil.rmtree(Path(self._settings["lake"]) / "runs" / run_id, ignore_errors=True)

    def _find_java(self) -> Java:
        if self._java is None:
            self._java = find_java(self._settings["java_home"] or None, os.environ)
        return self._java

    def _process_environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        return {
            **{name: value for name, value in environ.items() if name not in _NOT_INHERITED},
            "JAVA_HOME": str(self._find_java().home),
            "SPARK_HOME": str(pyspark_home()),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _follow(process: subprocess.Popen[str], log: IO[str], listener: Listener) -> None:
    """Hand on the events, and keep every other line, until the job ends."""
    for line in process.stdout or ():
        event = Event.from_line(line)
        if event is None:
            log.write(line)
            log.flush()
        else:
            listener(event)
    process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the job to end as Ctrl-C would; it marks its runs and stops its JVM."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_TIMEOUT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Nothing that the job started outlives it."""
    if process.poll() is None:
        process.kill()
        process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _read_result(file: Path, exit_code: int, log: Path) -> Result:
    if not file.is_file():
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        fault = NotThereError if exit_code == ExitCode.NOT_THERE else JobError
        raise fault(
            f"The job ended with exit code {exit_code} and without a result. Its last lines:\n"
            + "\n".join(f"    {line}" for line in last),
            remedy=f"The whole log: {log}",
        )
    return Result.model_validate_json(file.read_text(encoding="utf-8"))
