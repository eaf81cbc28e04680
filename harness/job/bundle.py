"""A bundle: the featurizer, classifier and explainer of one version, which depend on each other.

It is saved once, logged to MLflow, and copied unchanged to the model store. The manifest is written last, and
only if the copy is verified: a copy without a manifest is not a bundle.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow.spark
import pyspark
from mlflow.models import Model
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, functions as F

from harness.errors import JobError
from harness.files import digest_files
from harness.job.explain import explain
from harness.job.mlflow_tracker import MODELS
from harness.pipelines import KEY, Explainer
from harness.plan import Plan
from harness.results import VersionResult
from harness.storage.model_store import MANIFEST, ModelStore, name_bundle
from harness.storage.uris import VOLUMES

FEATURIZER, CLASSIFIER, EXPLAINER = "featurizer", "classifier", "explainer"
DEPENDS_ON = {FEATURIZER: (), CLASSIFIER: (FEATURIZER,), EXPLAINER: (FEATURIZER, CLASSIFIER)}
"""Model to the models that it needs."""
MANIFEST_FORMAT = 2
"""Format of the manifests that this version writes. Manifests without a format version have format 1."""
_TOLERANCE = 1e-9
# A correct slope can be as small as 1e-8, depending on the unit of the feature. A contribution is a
# probability; Kernel SHAP's differed by 4e-11 between partitions.
_FLOORS = {"slope": 1e-15, "contribution": 1e-8}
_COPIES_AT_ONCE = 4


def save_models(models: Mapping[str, Any], folder: Path, run_id: str, scratch: str) -> None:
    """Save each model in MLflow's Spark flavor below a local folder.

    Args:
        models: Name to fitted Spark model.
        folder: Local folder; each model gets one below it.
        run_id: Id of the MLflow run that they belong to.
        scratch: Folder of the lake in which the executors write their parts.
    """
    for name, model in models.items():
        mlflow.spark.save_model(
            model,
            str(folder / name),
            mlflow_model=Model(artifact_path=f"{MODELS}/{name}", run_id=run_id),
            dfs_tmpdir=scratch,
            # MLflow takes 20 s to infer them.
            pip_requirements=_list_requirements(model),
        )
    # Hadoop leaves a checksum next to each file on a local disk; in the model store it has no meaning.
    for checksum in folder.rglob(".*.crc"):
        checksum.unlink()


def locate(store: ModelStore, version: VersionResult, plan: Plan) -> str:
    """Return the URI of a version's bundle, whether it exists or not."""
    return store.uri(name_bundle(plan.scenario.table.name, version.version, version.run_id or ""))


def publish(
    store: ModelStore, folder: Path, version: VersionResult, plan: Plan, check: Callable[[str], None]
) -> str:
    """Copy the models of a version to the model store, and return the URI of the bundle.

    An existing bundle is left as it is: publishing the same run twice changes nothing.

    Args:
        store: The model store.
        folder: Local folder of the models.
        version: The version's result.
        plan: The run's plan.
        check: Verifies the copy at a URI; only then is it a bundle.
    """
    uri = locate(store, version, plan)
    bundle = store.find_path(uri)
    digests = digest_files(folder)
    manifest = _make_manifest(digests, version, plan)
    is_published = store.read(f"{bundle}/{MANIFEST}") == manifest
    if not is_published:
        with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
            list(pool.map(lambda name: store.put(f"{bundle}/{name}", folder / name), digests))
    check(uri)
    if not is_published:
        store.write(f"{bundle}/{MANIFEST}", manifest)
    return uri


def verify(
    uri: str,
    probe: DataFrame,
    explainer: Explainer,
    scores: Mapping[str, float],
    weights: Mapping[str, list[float]],
) -> None:
    """Load a bundle back from the model store, and check that it predicts and explains the same.

    Args:
        uri: URI of the bundle.
        probe: Raw rows of the table, with the key.
        explainer: The explainer that was copied.
        scores: Key to the probability of the positive class, by the trained model.
        weights: Key to the weights, by the trained explainer.

    Raises:
        JobError: The copy computes other numbers.
    """
    folder = uri if "://" in uri or uri.startswith(VOLUMES) else f"file://{uri}"
    featurizer, classifier, copied = (
        PipelineModel.load(f"{folder}/{name}/sparkml") for name in (FEATURIZER, CLASSIFIER, EXPLAINER)
    )
    featurized = featurizer.transform(probe).persist()
    predicted = predict(classifier, featurized)
    explained = explain(replace(explainer, model=copied), featurized).weights
    featurized.unpersist()
    if not _are_close(
        {key: [score] for key, score in scores.items()}, {key: [value] for key, value in predicted.items()}
    ):
        raise JobError(f"The copied classifier predicts different values from the trained one: {uri}.")
    if not _are_close(weights, explained, _FLOORS[explainer.unit]):
        raise JobError(f"The copied explainer computes other weights than the trained one: {uri}.")


def predict(classifier: Any, rows: DataFrame) -> dict[str, float]:
    """Return the probability of the positive class by key."""
    scored = classifier.transform(rows).select(KEY, vector_to_array(F.col("probability"))[1].alias("score"))
    return {row[KEY]: float(row["score"]) for row in scored.collect()}


def _make_manifest(digests: Mapping[str, str], version: VersionResult, plan: Plan) -> str:
    """Describe the bundle: its origin, its files, and which model depends on which, by digest."""
    of_model = {name: _digest_model(name, digests) for name in DEPENDS_ON}
    manifest = {
        "format_version": MANIFEST_FORMAT,
        "scenario": plan.scenario.name,
        "table": plan.table_uri,
        "version": version.version,
        "version_name": version.name,
        "fingerprint": version.fingerprint,
        "mlflow_run_id": version.run_id,
        "run_id": plan.run_id,
        **_describe_pipeline(plan),
        "models": {
            name: {
                "sha256": of_model[name],
                "depends_on": {other: of_model[other] for other in DEPENDS_ON[name]},
            }
            for name in DEPENDS_ON
        },
        "files": dict(digests),
    }
    return json.dumps(manifest, indent=2) + "\n"


def _describe_pipeline(plan: Plan) -> dict[str, object]:
    """Describe the custom pipeline for the manifest; empty if the scenario uses none."""
    if plan.code_sha256 is None:
        return {}
    return {"pipeline": {"use": plan.scenario.pipeline.use, "sha256": plan.code_sha256}}


def _digest_model(model: str, digests: Mapping[str, str]) -> str:
    lines = [
        f"{digest}  {name}\n" for name, digest in sorted(digests.items()) if name.startswith(f"{model}/")
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _list_requirements(model: Any) -> list[str]:
    requirements = [f"pyspark=={pyspark.__version__}"]
    stages = (model, *getattr(model, "stages", ()))
    if any(type(stage).__module__.startswith("synapse.") for stage in stages):
        requirements.append(f"synapseml=={metadata.version('synapseml')}")
    return requirements


def _are_close(
    expected: Mapping[str, list[float]], actual: Mapping[str, list[float]], floor: float = 1e-15
) -> bool:
    return expected.keys() == actual.keys() and all(
        math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=floor)
        for key, values in expected.items()
        for a, b in zip(values, actual[key], strict=True)
    )
