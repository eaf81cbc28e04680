"""Models of a version in MLflow: copied to this machine, and compared with what its training recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError
from harness.files import digest_files
from harness.tracked_names import BUNDLE_TAG, MODELS
from harness.tracking.tracked_trainings import has_record, read_record

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
    # Scenarios with sensitive columns have no record.
    record = read_record(client, run_id, folder) if has_record(client, run_id) else None
    if record is not None and digest_files(models) != record["models"]:
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
