"""Registration of a model in MLflow: a version once the run has passed, and its alias as the last step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
import mlflow.spark
from mlflow import MlflowClient
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

from harness.errors import JobError
from harness.job.bundle import are_close
from harness.job.deployable import PREDICTION
from harness.job.running_job import Job
from harness.job.train_version import TrainedVersion, select_raw_rows
from harness.pipelines import KEY
from harness.registered_models import (
    ROLLED_BACK_TAG,
    create_model,
    find_version,
    move_alias,
    read_tags,
)
from harness.results import Registration, VersionResult
from harness.storage.model_store import MANIFEST, ModelStore
from harness.tracked_names import BUNDLE_TAG, FINGERPRINT_TAG, MODEL_TAG, PATH_TAG, RUN_TAG, VERSION_TAG

_DIGEST_TAG = "harness.bundle_sha256"
_LINK_TAG = "mlflow.modelVersions"
"""Tag by which MLflow's pages lead from a logged model to its registered versions."""
_LISTED = "models:/"


def register(job: Job, trained: TrainedVersion, store: ModelStore) -> Registration:
    """Register the deployable pipeline of a version, and check that it predicts as the run did.

    A version that an earlier run has registered is used again. No alias is moved.

    Args:
        job: The job.
        trained: The version.
        store: The model store that has its bundle.

    Raises:
        JobError: The registered version predicts other values.
    """
    publish, tracker = job.plan.scenario.publish, job.tracker.result()
    name, version = publish.model or "", job.find_version(trained.result.name)
    run_id, client = version.run_id or "", tracker.client
    create_model(client, name)
    tags = _make_tags(job, version, store)
    number = find_version(client, name, run_id)
    if number is None:
        number = _create_version(client, name, run_id, tags)
    else:
        for tag, value in tags.items():
            client.set_model_version_tag(name, number, tag, value)
    registration = Registration(name=name, version=number, alias=publish.alias)
    if publish.alias and f"{ROLLED_BACK_TAG}{publish.alias}" in read_tags(client, name, number):
        job.warnings = (*job.warnings, _explain_rollback(name, number, publish.alias))
        registration = registration.model_copy(update={"has_alias": False})
    _verify(job, trained, registration)
    return registration


def point_alias(job: Job, registration: Registration | None) -> None:
    """Let the alias point to the registered version, if there is one: after this step, nothing can fail."""
    if registration is not None and registration.alias is not None and registration.has_alias:
        client = job.tracker.result().client
        move_alias(client, registration.name, registration.alias, registration.version)


def _explain_rollback(name: str, number: str, alias: str) -> str:
    return (
        f"'{alias}' isn't moved: it was rolled back from version {number} of '{name}', which is this model. "
        "Train another one, or move the alias in MLflow."
    )


def _make_tags(job: Job, version: VersionResult, store: ModelStore) -> dict[str, str]:
    uri = version.bundle or ""
    manifest = store.read(f"{store.find_path(uri)}/{MANIFEST}") or ""
    return {
        PATH_TAG: job.plan.table_uri,
        VERSION_TAG: str(version.version),
        FINGERPRINT_TAG: version.fingerprint,
        RUN_TAG: job.plan.run_id,
        BUNDLE_TAG: uri,
        _DIGEST_TAG: hashlib.sha256(manifest.encode()).hexdigest(),
    }


def _verify(job: Job, trained: TrainedVersion, registration: Registration) -> None:
    """Load a registered version, and compare its predictions of the explained rows.

    Raises:
        JobError: They differ.
    """
    with _use_registry(job.plan.environment.registry_uri):
        model = mlflow.spark.load_model(registration.uri, dfs_tmpdir=job.plan.scratch_uri)
    raw = select_raw_rows(trained, job.plan.scenario, trained.weights)
    scored = model.transform(raw).select(KEY, PREDICTION).collect()
    predicted = {row[KEY]: [float(row[PREDICTION])] for row in scored}
    if not are_close({key: [score] for key, score in trained.scores.items()}, predicted):
        raise JobError(
            f"The registered model {registration.uri} predicts different values from the trained one."
        )


@contextmanager
def _use_registry(uri: str | None) -> Iterator[None]:
    """Set MLflow's registry of models for the block, in a process that may be a notebook's."""
    if uri is None:
        yield
        return
    before = mlflow.get_registry_uri()
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_registry_uri(before)


def _create_version(client: MlflowClient, name: str, run_id: str, tags: dict[str, str]) -> str:
    """Create a version of a registered model from the pipeline that a run has logged; return its number."""
    uri = client.get_run(run_id).data.tags[MODEL_TAG]
    if not uri.startswith(_LISTED):
        source = RunsArtifactRepository.get_underlying_uri(uri)
        return str(client.create_model_version(name, source, run_id, tags).version)
    model_id = uri.removeprefix(_LISTED)
    created = client.create_model_version(name, uri, run_id, tags, model_id=model_id)
    links = json.loads(client.get_logged_model(model_id).tags.get(_LINK_TAG, "[]"))
    links.append({"name": created.name, "version": created.version})
    client.set_logged_model_tags(model_id, {_LINK_TAG: json.dumps(links)})
    return str(created.version)
