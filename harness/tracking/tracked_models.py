"""Models of a version in MLflow: copied to this machine, and compared with what its training recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError
from harness.files import digest_files
from harness.result_digest import KEY as DIGEST, compute_digest
from harness.stored_json import parse_json
from harness.tracked_names import BUNDLE_TAG, MODELS, TRAINING, TRAINING_RECORD

if TYPE_CHECKING:
    from mlflow import MlflowClient


def download_models(client: MlflowClient, run_id: str, folder: Path) -> Path:
    """Copy the models of a version to a local folder, and return their folder there.

    Args:
        client: MLflow's client.
        run_id: The version's run in MLflow.
        folder: An empty folder.

    Raises:
        PrerequisiteError: They are gone, or differ from those that were trained.
    """
    if not client.list_artifacts(run_id, MODELS):
        raise PrerequisiteError(
            f"The MLflow run {run_id} has no models any more.", remedy="Run the scenario again with --fresh."
        )
    models = Path(client.download_artifacts(run_id, MODELS, str(folder)))
    recorded = _read_digests(client, run_id, folder)
    if recorded is not None and digest_files(models) != recorded:
        raise PrerequisiteError(
            f"The models of the MLflow run {run_id} were changed after they were trained.",
            remedy="Run the scenario again with --fresh.",
        )
    return models


def tag_bundle(client: MlflowClient, run_id: str, store: str, uri: str) -> None:
    """Record in MLflow that a version was published.

    Args:
        client: MLflow's client.
        run_id: The version's run.
        store: Name of the model store.
        uri: URI of the bundle.
    """
    if client.get_run(run_id).data.tags.get(BUNDLE_TAG) is None:
        client.set_tag(run_id, BUNDLE_TAG, uri)
    client.set_tag(run_id, f"{BUNDLE_TAG}.{store}", uri)


def _read_digests(client: MlflowClient, run_id: str, folder: Path) -> dict[str, str] | None:
    """Return the SHA-256 of each file as recorded; ``None`` without a record, as for sensitive columns."""
    path = f"{TRAINING}/{TRAINING_RECORD}"
    if path not in {each.path for each in client.list_artifacts(run_id, TRAINING)}:
        return None
    record = parse_json(Path(client.download_artifacts(run_id, path, str(folder))).read_bytes())
    if record[DIGEST] != compute_digest(record):
        raise PrerequisiteError(
            f"The record of the training in the MLflow run {run_id} was edited.",
            remedy="Run the scenario again with --fresh.",
        )
    return dict(record["models"])
