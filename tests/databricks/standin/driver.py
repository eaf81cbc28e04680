"""What a task's process runs, as a cluster's launcher does: the Spark session first, the entry point in it.

It runs in the wheel's environment, so it knows nothing but pyspark. Spark's settings are in the folder that
SPARK_CONF_DIR names.

Usage: driver.py PACKAGE ENTRY_POINT PARAMETERS...
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import distribution
from types import FrameType
from typing import Any

from pyspark.sql import SparkSession


def main(package: str, name: str, parameters: Sequence[str]) -> int:
    """Run an entry point; the exit code is 0 where all went well, else 1."""
    signal.signal(signal.SIGTERM, _end_group)
    spark = SparkSession.builder.appName("Databricks Shell").getOrCreate()
    fault = _run(package, name, parameters)
    if _is_stopped(spark):
        fault = fault or "The Spark context was stopped: it is the cluster's, and no task may stop it."
    else:
        spark.stop()
    if fault:
        sys.stderr.write(f"{fault}\n")
    return 1 if fault else 0


def _run(package: str, name: str, parameters: Sequence[str]) -> str | None:
    """What was wrong, None where nothing was."""
    try:
        entry_point = _entry_point(package, name)
        sys.argv = [name, *parameters]
        entry_point()
    except SystemExit as end:
        return f"SystemExit: {end.code}" if end.code not in {None, 0} else None
    except BaseException:  # A task's fault, whatever it is, is to be shown.
        return traceback.format_exc().rstrip()
    return None


def _entry_point(package: str, name: str) -> Callable[[], Any]:
    """The package's console script, else what it has by that name."""
    found = distribution(package).entry_points.select(group="console_scripts", name=name)
    for script in found:
        loaded: Callable[[], Any] = script.load()
        return loaded
    attribute: Callable[[], Any] = getattr(import_module(package.replace("-", "_")), name)
    return attribute


def _is_stopped(spark: SparkSession) -> bool:
    context: Any = spark.sparkContext
    return context._jsc is None or context._jsc.sc().isStopped()


def _end_group(number: int, frame: FrameType | None) -> None:
    """Neither the JVM nor a worker outlives the task."""
    del frame
    signal.signal(number, signal.SIG_DFL)
    os.killpg(os.getpgid(0), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
