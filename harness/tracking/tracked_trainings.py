"""The training of one version as MLflow has it: all that is needed to repeat it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import RUN_AGAIN, PrerequisiteError, UsageError
from harness.files import sha256_of
from harness.prediction_files import read_predictions
from harness.predictions import Prediction
from harness.result_digest import is_intact
from harness.results import VersionResult
from harness.scenario.model import Scenario
from harness.stored_json import parse_json
from harness.tracked_names import CODE, RUN_TAG, SCENARIO, TRAINING, TRAINING_PREDICTIONS, TRAINING_RECORD

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARENT_TAG = "mlflow.parentRunId"
_MLFLOW_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class TrackedTraining:
    """A version that an earlier run has trained."""

    tags: Mapping[str, str]
    """Tags of the version's run in MLflow."""
    scenario: Scenario
    code: Mapping[str, str]
    """The Python files of a custom pipeline, by their path in the scenario's folder."""
    version: VersionResult
    """What was measured."""
    explained: tuple[str, ...]
    """Keys of the rows that were explained."""


def read_training(client: MlflowClient, run_id: str, folder: Path) -> TrackedTraining:
    """Read the training of a version from MLflow.

    Args:
        client: MLflow's client.
        run_id: The version's run in MLflow.
        folder: An empty local folder.

    Raises:
        UsageError: It is not the run of a version.
        PrerequisiteError: The run is unknown, or its training was not recorded, or the record was edited.
    """
    tags = read_tags(client, run_id)
    if _PARENT_TAG not in tags:
        raise UsageError(
            f"MLflow run {run_id} is that of a whole scenario, not of a version.",
            remedy=f"'harness trace {tags.get(RUN_TAG, run_id)}' lists the runs of its versions.",
        )
    if not has_record(client, run_id):
        raise PrerequisiteError(
            f"The training of MLflow run {run_id} was not recorded: it was not finished, its table has "
            "sensitive columns, or an older version of the harness tracked it.",
            remedy=RUN_AGAIN,
        )
    record = read_record(client, run_id, folder)
    rows = _read_rows(client, run_id, record, folder)
    parent = tags[_PARENT_TAG]
    scenario = _download(client, parent, SCENARIO, folder)
    try:
        return TrackedTraining(
            tags,
            Scenario.model_validate_json(scenario.read_text(encoding="utf-8")),
            _read_code(client, parent, folder),
            VersionResult.model_validate(record["version"]),
            tuple(row.key for row in rows if row.weights is not None),
        )
    except (ValueError, KeyError) as error:
        raise PrerequisiteError(
            f"MLflow run {run_id} was tracked by an incompatible version of the harness.",
            remedy=RUN_AGAIN,
        ) from error


def has_record(client: MlflowClient, run_id: str) -> bool:
    """Return whether a version's run has a record of its training."""
    return f"{TRAINING}/{TRAINING_RECORD}" in {each.path for each in client.list_artifacts(run_id, TRAINING)}


def read_record(client: MlflowClient, run_id: str, folder: Path) -> dict[str, Any]:
    """Read the record of a training.

    Args:
        client: MLflow's client.
        run_id: The version's run in MLflow.
        folder: A local folder to copy it to.

    Raises:
        PrerequisiteError: It was edited.
    """
    file = _download(client, run_id, f"{TRAINING}/{TRAINING_RECORD}", folder)
    record: dict[str, Any] = parse_json(file.read_bytes())
    if not is_intact(record):
        raise PrerequisiteError(f"The training record of MLflow run {run_id} was edited.", remedy=RUN_AGAIN)
    return record


def _read_rows(
    client: MlflowClient, run_id: str, record: Mapping[str, Any], folder: Path
) -> tuple[Prediction, ...]:
    """Return the held-out rows as they were recorded."""
    file = _download(client, run_id, f"{TRAINING}/{TRAINING_PREDICTIONS}", folder)
    predictions = read_predictions(file) if sha256_of(file) == record.get("predictions") else None
    if predictions is None:
        raise PrerequisiteError(
            f"The predictions that MLflow run {run_id} recorded were changed.", remedy=RUN_AGAIN
        )
    return predictions.rows


def read_tags(client: MlflowClient, run_id: str) -> dict[str, str]:
    """Return the tags of a run.

    Raises:
        UsageError: It is a run of the harness, not of MLflow.
        PrerequisiteError: MLflow doesn't have it, or has deleted it.
    """
    from mlflow.exceptions import MlflowException

    if not _MLFLOW_ID.fullmatch(run_id):
        raise UsageError(
            f"'{run_id}' is not the ID of a run in MLflow.",
            remedy="'harness trace RUN' lists the MLflow runs of a run, 'harness runs' those of all runs.",
        )
    try:
        return dict(client.get_run(run_id).data.tags)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise PrerequisiteError(
            f"MLflow has no run {run_id}.", remedy="'harness runs' lists the runs of all versions."
        ) from error


def _read_code(client: MlflowClient, parent: str, folder: Path) -> dict[str, str]:
    if not client.list_artifacts(parent, CODE):
        return {}
    files = _download(client, parent, CODE, folder)
    return {
        path.relative_to(files).as_posix(): path.read_text(encoding="utf-8")
        for path in files.rglob("*")
        if path.is_file()
    }


def _download(client: MlflowClient, run_id: str, path: str, folder: Path) -> Path:
    return Path(client.download_artifacts(run_id, path, str(folder)))
