"""Program for a container: appends rows to a table, one commit each, in parallel with others."""

from __future__ import annotations

import os

from harness.job.spark_session import open_spark_session
from harness.plan import Environment

URI, WHO, COMMITS = os.environ["URI"], os.environ["WHO"], int(os.environ["COMMITS"])

spark = open_spark_session(Environment.model_validate_json(os.environ["ENVIRONMENT"]))
for number in range(COMMITS):
    row = spark.range(1).selectExpr(f"'{WHO}' AS who", f"{number} AS number")
    row.write.format("delta").mode("append").save(URI)
