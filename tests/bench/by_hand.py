"""The same work as a notebook would do it, without the harness: one process per Delta version.

``python -m tests.bench.by_hand FOLDER build CSV [MONTH ...]`` appends months to the table, one version each,
and ``python -m tests.bench.by_hand FOLDER train VERSION`` trains, explains, logs and copies one version. Both
print one JSON line with the seconds of each step.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from harness.runtime.jars import load_class_path
from harness.runtime.java import find_java

MONTHS = ("2018-01-01", "2018-02-01", "2018-03-01")
BAD = ("In Grace Period", "Late (16-30 days)", "Late (31-120 days)", "Charged Off")
FEATURES = ["loan_amnt", "annual_inc", "dti", "delinq_2yrs", "total_acc", "credit_length", "net"]


class Laps:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """Record the seconds since the last lap under a name."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def main(folder: str, command: str, *arguments: str) -> None:
    """Run the steps of one version as the user of a notebook would, or build versions."""
    laps = Laps()
    spark = _open_session()
    laps.lap("session")
    table = f"{folder}/lc_loan"
    if command == "build":
        csv, *months = arguments
        _ingest(spark, csv, table, months or MONTHS)
        laps.lap("ingest")
    else:
        _train(spark, table, folder, int(arguments[0]), laps)
    print(json.dumps(laps.seconds))  # noqa: T201 - the program's output


def _open_session() -> Any:
    from pyspark.sql import SparkSession

    jars = load_class_path(find_java(None, os.environ), report=lambda _line: None)
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", ",".join(str(jar) for jar in jars))
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.driver.memory", "4g")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    return spark


def _ingest(spark: Any, csv: str, table: str, months: Sequence[str]) -> None:
    from pyspark.sql import functions as F

    rows = spark.read.csv(csv, header=True, inferSchema=True)
    for month in months:
        rows.where(F.col("issue_d") == month).write.format("delta").mode("append").save(table)


def _train(spark: Any, table: str, folder: str, version: int, laps: Laps) -> None:
    import mlflow
    import mlflow.spark

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    if mlflow.get_experiment_by_name("loan_classification") is None:
        mlflow.create_experiment("loan_classification", artifact_location=f"{folder}/mlruns")
    mlflow.set_experiment("loan_classification")
    laps.lap("mlflow")
    train, test = _prepare(spark, table, version)
    laps.lap("prepare")
    with mlflow.start_run() as run:
        model = cross_validate(train, 50, [0.0, 0.001, 1.0, 10.0], 5)
        laps.lap("train")
        auc = make_evaluator().evaluate(model.transform(test))
        laps.lap("evaluate")
        explainer, r2 = _explain(model, train, test)
        laps.lap("explain")
        mlflow.log_params({"data_version": version})
        mlflow.log_metrics({"auc": auc, "lime_r2": r2})
        logged = {
            name: mlflow.spark.log_model(each, name) for name, each in (("lr", model), ("lime", explainer))
        }
        laps.lap("log")
        for name, info in logged.items():
            target = f"{folder}/model-artifacts/{run.info.run_id}/{name}"
            mlflow.spark.load_model(info.model_uri).write().overwrite().save(target)
        laps.lap("copy")


def _prepare(spark: Any, table: str, version: int) -> tuple[Any, Any]:
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import Imputer, VectorAssembler
    from pyspark.sql import functions as F

    rows = (
        spark.read.format("delta")
        .option("versionAsOf", version)
        .load(table)
        .withColumn("label", F.col("loan_status").isin(*BAD).cast("double"))
        .withColumn("credit_length", F.year("issue_d") - F.year("earliest_cr_line"))
        .withColumn("net", F.round(F.col("total_pymnt") - F.col("loan_amnt"), 2))
    )
    rows = rows.select("id", "label", *[F.col(name).cast("double").alias(name) for name in FEATURES])
    stages: list[Any] = [
        Imputer(inputCols=FEATURES, outputCols=FEATURES),
        VectorAssembler(inputCols=FEATURES, outputCol="features"),
    ]
    featurized = Pipeline(stages=stages).fit(rows).transform(rows).select("id", "label", "features")
    train, test = featurized.randomSplit([0.8, 0.2], 1)
    return train, test


def make_evaluator() -> Any:
    """Return the evaluator of the area under the ROC curve."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator

    return BinaryClassificationEvaluator()


def cross_validate(train: Any, iterations: int, grid: Sequence[float], folds: int) -> Any:
    """Return the best model of a cross-validation over a grid of regularizations."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    regression = LogisticRegression(maxIter=iterations)
    points = ParamGridBuilder().addGrid(regression.regParam, list(grid)).build()
    validator = CrossValidator(
        estimator=regression, estimatorParamMaps=points, evaluator=make_evaluator(), numFolds=folds, seed=1
    )
    return validator.fit(train).bestModel


def _explain(model: Any, train: Any, test: Any) -> tuple[Any, float]:
    from pyspark.sql import functions as F
    from synapse.ml.explainers import VectorLIME

    explainer = VectorLIME(
        model=model,
        inputCol="features",
        outputCol="weights",
        targetCol="probability",
        targetClasses=[1],
        numSamples=1000,
        metricsCol="r2",
        backgroundData=train,
    )
    first = F.udf(lambda values: float(values[0]), "double")
    [mean] = explainer.transform(test).select(F.avg(first("r2"))).collect()
    return explainer, float(mean[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
