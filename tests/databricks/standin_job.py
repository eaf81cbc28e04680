"""The functions of the tests' small wheel, which run on the stand-in's cluster."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def record() -> None:
    """Record what the task received, using Delta, SynapseML's jar and a Python worker."""
    import numpy as np
    import pandas as pd
    import platformdirs
    import pyarrow as pa

    plan, findings_file = (Path(parameter) for parameter in sys.argv[1:])
    content = json.loads(plan.read_text(encoding="utf-8"))
    spark = SparkSession.builder.getOrCreate()
    jvm: Any = spark._jvm
    spark.range(3).repartition(1).write.format("delta").save(content["table"])
    findings = {
        "spark": spark.version,
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "pyarrow": pa.__version__,
        "platformdirs": platformdirs.__version__,
        "hadoop": jvm.org.apache.hadoop.util.VersionInfo.getVersion(),
        "explainer": jvm.com.microsoft.azure.synapse.ml.explainers.TabularLIME().getClass().getSimpleName(),
        "master": spark.sparkContext.master,
        "setting": spark.conf.get("spark.harness.setting"),
        "loans": Path(content["loans"]).read_text(encoding="utf-8"),
        "rows": spark.read.format("delta").load(content["table"]).rdd.map(lambda row: int(row[0])).sum(),
        "environ": dict(os.environ),
        "argv": sys.argv,
    }
    findings_file.write_text(json.dumps(findings), encoding="utf-8")


def fail() -> None:
    """Raise an exception."""
    raise ValueError("a loan of no amount")


def refuse() -> None:
    """Exit with a text instead of an exit code."""
    raise SystemExit("a bound has failed")


def stop() -> None:
    """Stop the cluster's Spark context."""
    SparkSession.builder.getOrCreate().stop()


def wait() -> None:
    """Signal that the task has started, and keep running."""
    Path(sys.argv[1]).touch()
    threading.Event().wait()
