# Databricks notebook source
# MAGIC %md
# MAGIC # What does a new version of a table do to a model?
# MAGIC
# MAGIC This notebook builds three versions of a Delta table of synthetic loans, trains and explains a model at each,
# MAGIC tracks everything in MLflow, compares the versions, and copies the models to a second location.
# MAGIC [notebook.md](notebook.md) explains what a cluster needs.

# COMMAND ----------

# MAGIC %pip install "dataset-harness[notebook] @ file:///Volumes/main/default/harness/dataset_harness-0.1.0-py3-none-any.whl"

# COMMAND ----------

# On Databricks, load what was installed.
if "dbutils" in globals():
    dbutils.library.restartPython()

# COMMAND ----------

# MAGIC %md
# MAGIC Tables and models go to a volume on Databricks, and into the folder `.harness` elsewhere.

# COMMAND ----------

import os

import mlflow
import pandas as pd
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

import harness

os.environ.setdefault("HARNESS_TARGETS_DATABRICKS_FILES", "/Volumes/main/default/harness")

# COMMAND ----------

# On Databricks, there is a session. Elsewhere, start one with Delta and SynapseML.
if "spark" not in globals():
    spark = (
        SparkSession.builder.config(
            "spark.jars.packages",
            "io.delta:delta-spark_2.12:3.3.3,com.microsoft.azure:synapseml-core_2.12:1.1.3",
        )
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )

# COMMAND ----------

# MAGIC %md
# MAGIC ## The scenario
# MAGIC
# MAGIC It says how each version of the table is made, and what must hold for it.

# COMMAND ----------

scenario = """
name: loans
seed: 7

table:
  name: loans
  source: { generate: { kind: loans, rows: 3000, seed: 11, first_year: 2016, last_year: 2018 } }
  key: id

pipeline:
  label: { column: loan_status, positive: [Charged Off], negative: [Fully Paid] }
  features: [loan_amnt, annual_inc, dti, delinq_2yrs, int_rate, term, inq_last_12m]
  model: { max_iter: 20, grid: { reg_param: [0, 0.01] }, folds: 2 }
  explainer: { samples: 200, rows: 20 }

every:
  null_keys: 0
  duplicate_keys: 0
  metrics:
    test_roc_auc: { min: 0.55 }

versions:
  - { name: y2016, append: { where: year(issue_d) = 2016 } }
  - { name: y2017, append: { where: year(issue_d) = 2017 } }
  - { name: y2018, append: { where: year(issue_d) = 2018 } }

publish: { to: models, when: pass }
"""

# COMMAND ----------

# MAGIC %md
# MAGIC ## Train and explain a model at each version
# MAGIC
# MAGIC The job runs in this notebook's process, on its session, and leaves the session as it was.

# COMMAND ----------

result = harness.run(scenario, spark=spark)

# COMMAND ----------

result

# COMMAND ----------

# The mean explanation of each feature: the change in the probability of a loss per unit of the feature.
pd.DataFrame({version.name: version.explanation for version in result.versions})

# COMMAND ----------

# MAGIC %md
# MAGIC ## The table at a version

# COMMAND ----------

spark.sql(f"DESCRIBE HISTORY delta.`{result.table_uri}`").select("version", "timestamp", "operation").show()

# COMMAND ----------

loans = spark.read.format("delta").option("versionAsOf", 0).load(result.table_uri)
loans.count()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Which run was trained on which version?
# MAGIC
# MAGIC Each version has a run in MLflow with the version's number, the fingerprint of its rows, the parameters, the
# MAGIC metrics of the model and of its explainer, and the models.

# COMMAND ----------

is_on_databricks = "DATABRICKS_RUNTIME_VERSION" in os.environ
client = mlflow.MlflowClient("databricks" if is_on_databricks else "sqlite:///.harness/mlflow.db")
runs = [client.get_run(version.run_id) for version in result.versions]
pd.DataFrame(
    {
        "data version": run.data.tags["harness.data_version"],
        "fingerprint": run.data.tags["harness.data_fingerprint"],
        "test_roc_auc": run.data.metrics["test_roc_auc"],
        "lime_r2_mean": run.data.metrics["lime_r2_mean"],
    }
    for run in runs
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Compare the versions

# COMMAND ----------

measured = result.to_pandas()
measured.pivot_table(index="metric", columns="version", values="value", sort=False)

# COMMAND ----------

measured.loc[measured["bound"].notna(), ["version", "metric", "bound", "measured", "distance", "verdict"]]

# COMMAND ----------

# MAGIC %md
# MAGIC ## Copy the models
# MAGIC
# MAGIC Every bound holds, so the featurizer, classifier and explainer of each version were copied together.

# COMMAND ----------

bundle = result.versions[-1].bundle
featurizer, classifier = (
    PipelineModel.load(f"{bundle}/{name}/sparkml") for name in ("featurizer", "classifier")
)
classifier.transform(featurizer.transform(loans)).select("id", "probability").show(3, truncate=False)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Ask about an existing table
# MAGIC
# MAGIC The bounds under `every` are checked at the versions that you name. The table is only read.

# COMMAND ----------

harness.run(scenario, spark=spark, table=result.table_uri, versions=[0, "latest"])
