"""What the job really ran with: its libraries, and the executors that took part."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mlflow
from pyspark.sql import SparkSession

from harness.job.faults import logged
from harness.wheel import content_version

_LIBRARIES = ("pyspark", "delta-spark", "synapseml", "numpy", "pandas", "pyarrow")


def libraries(spark: SparkSession) -> dict[str, str]:
    """What the job really runs with."""
    # MLflow says so itself: beside it a cluster has the records of another one, installed before.
    found = {
        "harness": content_version(),
        "python": platform.python_version(),
        "mlflow": mlflow.__version__,
    }
    with logged():
        found["spark"] = spark.version
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def executors(spark: SparkSession) -> dict[str, int]:
    """Tasks that each executor ran, those that are gone among them."""
    found: dict[str, int] = {}
    with logged():
        # Spark counts for its pages; Python has no other way to it.
        context: Any = spark.sparkContext
        listed = context._jsc.sc().statusStore().executorList(False)  # noqa: SLF001
        for index in range(listed.size()):
            each = listed.apply(index)
            found[str(each.id())] = int(each.totalTasks())
    return {name: tasks for name, tasks in sorted(found.items()) if tasks}
