"""MLflow runs that a job left open, closed by a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from harness.errors import PrerequisiteError, format_first_line
from harness.storage.tracking_store import find_missing_store, require_usable_store
from harness.storage.uris import hide_passwords
from harness.tracked_names import RUN_TAG

CloseStatus = Literal["KILLED", "FAILED"]
_MOST = 1000
# A command that has nothing else to do doesn't wait for minutes, as MLflow would.
_LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


def close_runs(uri: str, experiment: str, run_id: str, status: CloseStatus) -> int:
    """Close every MLflow run of a harness run that is still open, and return their number.

    Args:
        uri: MLflow's tracking URI.
        experiment: Name of the experiment.
        run_id: The harness's own id of the run.
        status: The status to close them with.

    Raises:
        PrerequisiteError: MLflow doesn't answer, or its store can't be read.
    """
    if find_missing_store(uri) is not None:
        return 0
    require_usable_store(uri)
    with _limit_requests(), _translate_errors(uri):
        from mlflow import MlflowClient

        client = MlflowClient(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return 0
        condition = f"tags.`{RUN_TAG}` = '{run_id}' and attributes.status = 'RUNNING'"
        runs = client.search_runs([found.experiment_id], condition, max_results=_MOST)
        # The versions' runs first, then the run that they belong to.
        for run in sorted(runs, key=lambda each: "mlflow.parentRunId" not in each.data.tags):
            client.set_terminated(run.info.run_id, status)
        return len(runs)


@contextmanager
def _limit_requests() -> Iterator[None]:
    """Limit the time that MLflow's requests take. MLflow reads the limits before each of them."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    before = {name: os.environ.get(name) for name in _LIMITS}
    os.environ.update(_LIMITS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow's own errors, and those of a store's driver.
        message = f"MLflow at {uri} doesn't answer: {format_first_line(error)}"
        raise PrerequisiteError(hide_passwords(message)) from error
