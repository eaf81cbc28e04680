"""The models of a bundle: saved, and verified once they are copied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow.spark
import pyspark
from mlflow.models import Model
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, functions as F

from harness.bundles import CLASSIFIER, EXPLAINER, FEATURIZER
from harness.errors import JobError
from harness.job.evaluate import select_probability
from harness.job.explain import explain
from harness.pipelines import KEY, Explainer
from harness.storage.uris import VOLUMES
from harness.tracked_names import MODELS

_EXPLAINED_ROWS = 25
_TOLERANCE = 1e-9
# A correct slope can be as small as 1e-8, depending on the unit of the feature. A contribution is a
# probability; Kernel SHAP's differed by 4e-11 between partitions.
_FLOORS = {"slope": 1e-15, "contribution": 1e-8}


def save_models(models: Mapping[str, Any], folder: Path, run_id: str, scratch: str) -> None:
    """Save each model in MLflow's Spark flavor below a local folder.

    Args:
        models: Name to fitted Spark model.
        folder: Local folder; each model gets one below it.
        run_id: Id of the MLflow run that they belong to.
        scratch: Folder of the lake in which the executors write their parts.
    """
    for name, model in models.items():
        described = Model(artifact_path=f"{MODELS}/{name}", run_id=run_id)
        save_model(model, folder / name, described, scratch)


def save_model(model: Any, folder: Path, described: Model, scratch: str, **more: Any) -> None:
    """Save a model in MLflow's Spark flavor.

    Args:
        model: The fitted Spark model.
        folder: Local folder of the model.
        described: MLflow's description of the model.
        scratch: Folder of the lake in which the executors write their parts.
        more: Further arguments of MLflow.
    """
    mlflow.spark.save_model(
        model,
        str(folder),
        mlflow_model=described,
        dfs_tmpdir=scratch,
        # MLflow takes 20 s to infer them.
        pip_requirements=_list_requirements(model),
        **more,
    )
    # Hadoop leaves a checksum next to each file on a local disk; in the model store it has no meaning.
    for checksum in folder.rglob(".*.crc"):
        checksum.unlink()


def load_models(uri: str, *names: str) -> list[PipelineModel]:
    """Load models of a bundle with Spark.

    Args:
        uri: URI of the bundle.
        names: Names of the models.
    """
    folder = uri if "://" in uri or uri.startswith(VOLUMES) else f"file://{uri}"
    return [PipelineModel.load(f"{folder}/{name}/sparkml") for name in names]


def verify(
    uri: str,
    probe: DataFrame,
    explainer: Explainer,
    scores: Mapping[str, float],
    weights: Mapping[str, list[float]],
) -> None:
    """Load a bundle back from the model store, and check that it predicts and explains the same.

    All rows are predicted; a few are explained.

    Args:
        uri: URI of the bundle.
        probe: Raw rows of the table, with the key.
        explainer: The explainer that was copied.
        scores: Key to the probability of the positive class, by the trained model.
        weights: Key to the weights, by the trained explainer.

    Raises:
        JobError: The copy computes other numbers.
    """
    featurizer, classifier, copied = load_models(uri, FEATURIZER, CLASSIFIER, EXPLAINER)
    featurized = featurizer.transform(probe).persist()
    predicted = predict(classifier, featurized)
    # Explaining a row takes hundreds of times as long as predicting it.
    chosen = sorted(weights)[:_EXPLAINED_ROWS]
    explained = explain(replace(explainer, model=copied), featurized.where(F.col(KEY).isin(chosen))).weights
    featurized.unpersist()
    if not are_close(
        {key: [score] for key, score in scores.items()}, {key: [value] for key, value in predicted.items()}
    ):
        raise JobError(f"The copied classifier predicts different values from the trained one: {uri}.")
    if not are_close({key: weights[key] for key in chosen}, explained, _FLOORS[explainer.unit]):
        raise JobError(f"The copied explainer computes other weights than the trained one: {uri}.")


def predict(classifier: Any, rows: DataFrame) -> dict[str, float]:
    """Return the probability of the positive class by key."""
    scored = classifier.transform(rows).select(KEY, select_probability().alias("score"))
    return {row[KEY]: float(row["score"]) for row in scored.collect()}


def _list_requirements(model: Any) -> list[str]:
    requirements = [f"pyspark=={pyspark.__version__}"]
    if any(type(stage).__module__.startswith("synapse.") for stage in _list_stages(model)):
        requirements.append(f"synapseml=={metadata.version('synapseml')}")
    return requirements


def _list_stages(model: Any) -> list[Any]:
    """Return a model and its stages, those of pipelines inside it too."""
    return [model, *(each for stage in getattr(model, "stages", ()) for each in _list_stages(stage))]


def are_close(
    expected: Mapping[str, list[float]], actual: Mapping[str, list[float]], floor: float = 1e-15
) -> bool:
    """Return whether both have the same keys and, but for rounding, the same numbers.

    Args:
        expected: Key to numbers.
        actual: The same.
        floor: Difference that is always allowed.
    """
    return expected.keys() == actual.keys() and all(
        math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=floor)
        for key, values in expected.items()
        for a, b in zip(values, actual[key], strict=True)
    )
