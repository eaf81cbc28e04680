"""Models of a version in MLflow: copied to this machine, and compared with what its training recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError
from harness.files import digest_files
from harness.tracked_names import BUNDLE_TAG, MODELS
from harness.tracking.tracked_trainings import has_record, read_record, read_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

_AGAIN = "Run the scenario again with --fresh."


def download_models(client: MlflowClient, run_id: str, folder: Path, *, needs_record: bool) -> Path:
    """Copy the models of a version to a local folder, and return their folder there.

    Args:
        client: MLflow's client.
        run_id: The version's run in MLflow.
        folder: An empty folder.
        needs_record: Whether its training must have a record; it has none if the table has sensitive columns.

    Raises:
        PrerequisiteError: They are gone, or differ from those that were trained, or that is not known.
    """
    read_tags(client, run_id)
    if not client.list_artifacts(run_id, MODELS):
        raise PrerequisiteError(f"MLflow run {run_id} no longer has its models.", remedy=_AGAIN)
    models = Path(client.download_artifacts(run_id, MODELS, str(folder)))
    if not has_record(client, run_id):
        if needs_record:
            raise PrerequisiteError(
                f"MLflow run {run_id} has no training record, so its models can't be verified.", remedy=_AGAIN
            )
    elif digest_files(models) != read_record(client, run_id, folder)["models"]:
        raise PrerequisiteError(
            f"The models of MLflow run {run_id} were changed after they were trained.", remedy=_AGAIN
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
