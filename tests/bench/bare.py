"""Measures the harness's share of a run: ``python -m tests.bench.bare [ROWS]``.

The same Spark calls are made bare, in the same configuration: read a CSV file, append three versions, prepare
them, cross-validate, score the held-out rows, explain a hundred of them, save the models. The harness also
checks and describes every version, measures more, and tracks all of it; what that takes is its share.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import find_java_variables, run
from tests.bench.by_hand import Laps, cross_validate, make_evaluator
from tests.bench.versions import NUMBERS, make_rows

_VERSIONS = 3
_ITERATIONS, _FOLDS, _GRID = 10, 2, (0.01, 0.1)
_SAMPLES, _EXPLAINED = 500, 100
_HELD_OUT = 0.2
_SCENARIO = f"""\
name: bare
seed: 3
table: {{name: readings, source: rows.csv, key: id}}
pipeline:
  label: {{column: outcome, positive: [bad], negative: [good]}}
  features: [{", ".join(NUMBERS)}]
  split: {{by: key, test: {_HELD_OUT}}}
  model: {{max_iter: {_ITERATIONS}, grid: {{reg_param: {list(_GRID)}}}, folds: {_FOLDS}}}
  explainer: {{samples: {_SAMPLES}, rows: {_EXPLAINED}}}
publish: {{when: never}}
versions:
"""
_VERSION = "  - {name: v%d, append: {where: batch = %d}, expect: {rows: {min: 1}}}\n"


def main(rows: int) -> None:
    """Measure both sides, and print the harness's share."""
    with tempfile.TemporaryDirectory(prefix="harness-bench-") as name:
        folder = Path(name)
        _write(folder, rows)
        seconds, result, spark = _run_harness(folder)
        (folder / "spark.json").write_text(json.dumps(spark))
        start = time.monotonic()
        command = [sys.executable, "-m", "tests.bench.bare", str(folder)]
        bare = json.loads(run(command, find_java_variables()).stdout.splitlines()[-1])
        bare_seconds = time.monotonic() - start
    console, table = Console(highlight=False), Table("step", "bare, s", "harness, s", box=None)
    for step in dict.fromkeys([*bare, *result["timings"]]):
        table.add_row(
            step, *(f"{each[step]:.1f}" if step in each else "-" for each in (bare, result["timings"]))
        )
    console.print(table)
    share = 1 - bare_seconds / seconds
    console.print(
        f"{rows:,} rows: bare {bare_seconds:.1f} s, harness {seconds:.1f} s; "
        f"{share:.0%} of its time is not in the bare calls"
    )


def _write(folder: Path, rows: int) -> None:
    """Write the rows as CSV with the number of their version, and the scenario."""
    each = rows // _VERSIONS
    text = _SCENARIO
    with (folder / "rows.csv").open("wb") as file:
        for number in range(_VERSIONS):
            table = make_rows(number, each).append_column("batch", pa.array([number] * each))
            pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=number == 0))
            text += _VERSION % (number, number)
    (folder / "bare.yaml").write_text(text)


def _run_harness(folder: Path) -> tuple[float, Any, dict[str, str]]:
    """Return the seconds, the result, and Spark's configuration."""
    start = time.monotonic()
    command = [sys.executable, "-m", "harness", "scenario", str(folder / "bare.yaml"), "--target", "embedded"]
    run([*command, "--fresh"], {"HARNESS_HOME": str(folder / "home")})
    seconds = time.monotonic() - start
    latest = folder / "home" / "runs" / "latest"
    plan = json.loads((latest / "plan.json").read_text())
    return seconds, json.loads((latest / "result.json").read_text()), plan["environment"]["spark"]


def _run_bare(folder: Path) -> None:
    """Make the Spark calls, and print the seconds of each step as JSON."""
    from pyspark.sql import SparkSession, functions as F

    laps, table = Laps(), str(folder / "table")
    builder = SparkSession.builder
    for name, value in json.loads((folder / "spark.json").read_text()).items():
        builder = builder.config(name, value)
    spark: Any = builder.getOrCreate()
    laps.lap("session")
    rows = spark.read.csv(str(folder / "rows.csv"), header=True, inferSchema=True)
    for number in range(_VERSIONS):
        rows.where(F.col("batch") == number).write.format("delta").mode("append").save(table)
    laps.lap("ingest")
    versions = [
        spark.read.format("delta").option("versionAsOf", each).load(table) for each in range(_VERSIONS)
    ]
    with ThreadPoolExecutor(_VERSIONS) as pool:
        prepared = list(pool.map(_prepare, versions))
        laps.lap("prepare")
        models = list(pool.map(_cross_validate, (train for train, _ in prepared)))
        laps.lap("train")
        list(pool.map(_evaluate, models, (test for _, test in prepared)))
        laps.lap("evaluate")
        list(pool.map(_explain, models, prepared))
        laps.lap("explain")
        list(pool.map(lambda at: models[at].write().save(str(folder / f"model-{at}")), range(_VERSIONS)))
        laps.lap("log")
    print(json.dumps(laps.seconds))  # noqa: T201 - the program's output


def _prepare(rows: Any) -> tuple[Any, Any]:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Imputer, StandardScaler, VectorAssembler
    from pyspark.sql import functions as F

    names = list(NUMBERS)
    is_test = F.pmod(F.xxhash64(F.col("id").cast("string")), F.lit(1000)) < 1000 * _HELD_OUT
    label = (F.col("outcome") == "bad").cast("double")
    rows = rows.select("id", label.alias("label"), is_test.alias("t"), *names)
    stages: list[Any] = [
        Imputer(inputCols=names, outputCols=names),
        VectorAssembler(inputCols=names, outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="features"),
    ]
    train, test = rows.where("NOT t"), rows.where("t")
    featurizer = Pipeline(stages=stages).fit(train)
    samples = [featurizer.transform(each).select("id", "label", "features").cache() for each in (train, test)]
    for each in samples:
        each.count()
    return samples[0], samples[1]


def _cross_validate(train: Any) -> Any:
    return cross_validate(train, _ITERATIONS, _GRID, _FOLDS)


def _evaluate(model: Any, test: Any) -> float:
    return float(make_evaluator().evaluate(model.transform(test)))


def _explain(model: Any, samples: tuple[Any, Any]) -> None:
    from synapse.ml.explainers import VectorLIME

    train, test = samples
    explainer = VectorLIME(
        model=model,
        inputCol="features",
        outputCol="weights",
        targetCol="probability",
        targetClasses=[1],
        numSamples=_SAMPLES,
        backgroundData=train.limit(1000),
    )
    explainer.transform(test.limit(_EXPLAINED)).collect()


if __name__ == "__main__":
    if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir():
        _run_bare(Path(sys.argv[1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
