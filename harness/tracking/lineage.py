"""Lineage in MLflow: the runs that were trained on a dataset version, and what a run was trained on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.settings import Settings
from harness.storage.tracking_store import find_missing_store, require_usable_store
from harness.storage.uris import describe_password, hide_passwords
from harness.table_names import is_table_name, normalize_table_name
from harness.targets.base import SearchesRuns
from harness.tracked_run import TrackedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient


_FINGERPRINT_DIGITS = 32
_MANY = 1000


@dataclass(frozen=True)
class TrackingStore:
    """The runs in MLflow's tracking store that settings name."""

    settings: Settings

    def locate_runs(self) -> str:
        """Return the URI of the store, without a password."""
        return hide_passwords(self.settings["tracking_uri"])

    def search_runs(self, condition: str) -> list[TrackedRun]:
        """Return the runs that meet a condition of MLflow's search, newest first.

        Raises:
            PrerequisiteError: There is no store, or MLflow doesn't answer.
        """
        uri = self.settings["tracking_uri"]
        require_store(uri)
        with open_client(uri) as client:
            experiment = client.get_experiment_by_name(self.settings["experiment"])
            if experiment is None:
                return []
            return [_to_tracked_run(run) for run in iterate_runs(client, experiment.experiment_id, condition)]


def find_runs(
    runs: SearchesRuns, table: str | None, version: int | None, scenario: str | None = None
) -> list[TrackedRun]:
    """Return the runs that were trained on a table, newest first.

    Args:
        runs: The runs that MLflow has recorded.
        table: Name or URI of the table, its name in a catalog, or the fingerprint of one of its versions;
            ``None`` for every table.
        version: Delta version; ``None`` for every version.
        scenario: Name of the scenario; ``None`` for every scenario.

    Raises:
        UsageError: The URI contains a password.
        PrerequisiteError: No run was trained on it, or MLflow can't be searched.
    """
    asked = []
    if scenario is not None:
        asked.append(("scenario", scenario, f"of the scenario '{scenario}'"))
    if table is not None:
        if password := describe_password(table):
            raise UsageError(f"--table: the table's URI contains {password}; remove it.")
        asked.append((_choose_tag(table), normalize_table_name(table), f"trained on '{table}'"))
    if version is not None:
        asked.append(("data_version", str(version), f"at version {version}"))
    clauses = [f"tags.`harness.{tag}` = '{_quote(value)}'" for tag, value, _ in asked]
    found = [run for run in runs.search_runs(" and ".join(clauses)) if _is_of_version(run)]
    if not found and asked:
        raise PrerequisiteError(
            f"MLflow has no run {' '.join(text for *_, text in asked)}.",
            remedy="'harness runs' lists every run. Use the name, URI or fingerprint of a table.",
        )
    return found


def find_all_runs(runs: SearchesRuns) -> list[TrackedRun]:
    """Return every run of a dataset version, newest first."""
    return find_runs(runs, None, None)


def trace(runs: SearchesRuns, run_id: str) -> list[TrackedRun]:
    """Return what a run was trained on and its results, by version.

    Args:
        runs: The runs that MLflow has recorded.
        run_id: Id of an MLflow run, or of a harness run, which has all of its versions.

    Raises:
        PrerequisiteError: The run is unknown.
    """
    every = runs.search_runs("")
    by_id = [run for run in every if run_id in (run.run_id, run.tag("run_id"))]
    parents = {run.run_id for run in by_id if not _is_of_version(run)}
    children = [run for run in every if run.tags.get("mlflow.parentRunId") in parents]
    found = {run.run_id: run for run in [*by_id, *children] if _is_of_version(run)}
    if not found:
        raise PrerequisiteError(
            f"Unknown run '{run_id}' in {runs.locate_runs()}.",
            remedy="'harness runs' lists every run.",
        )
    return sorted(found.values(), key=lambda run: int(run.tag("data_version")))


def _is_of_version(run: TrackedRun) -> bool:
    """Return whether a run was trained on a version; anybody can edit its tags in MLflow."""
    return run.tag("data_version").isdecimal()


def _choose_tag(table: str) -> str:
    if "/" in table:
        return "data_path"
    if is_table_name(table):
        return "data_name"
    digits = len(table) == _FINGERPRINT_DIGITS and all(digit in "0123456789abcdef" for digit in table)
    return "data_fingerprint" if digits else "table"


def _quote(text: str) -> str:
    return text.replace("'", "''")


@contextmanager
def open_client(uri: str, registry_uri: str | None = None) -> Iterator[MlflowClient]:
    """Open MLflow's client, and translate its errors.

    Args:
        uri: MLflow's tracking URI.
        registry_uri: URI of its registry of models (default: the same).

    Raises:
        PrerequisiteError: MLflow doesn't answer.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # MLflow's own defaults are 7 retries with pauses of minutes, and 120 s without an answer.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    from mlflow import MlflowClient

    try:
        yield MlflowClient(uri, registry_uri)
    except HarnessError:
        raise
    except Exception as error:  # MLflow's own errors, and those of a store's driver.
        message = str(error).strip().partition("\n")[0]
        raise PrerequisiteError(hide_passwords(f"MLflow at {uri} doesn't answer: {message}")) from error


def iterate_runs(client: MlflowClient, experiment_id: str, condition: str) -> Iterator[Any]:
    """Yield the runs of an experiment that meet a condition, page by page."""
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=_MANY, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def require_store(uri: str) -> None:
    """Require that a local tracking store exists, because reading must not create one, and can be read.

    Args:
        uri: MLflow's tracking URI.

    Raises:
        PrerequisiteError: It does not exist, or MLflow can't read it.
    """
    require_usable_store(uri)
    if (file := find_missing_store(uri)) is not None:
        raise PrerequisiteError(
            f"There are no runs yet: {file} doesn't exist.",
            remedy="Run a scenario first: make scenario NAME=three_versions.",
        )


def _to_tracked_run(run: Any) -> TrackedRun:
    return TrackedRun(
        run_id=run.info.run_id,
        status=run.info.status,
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
    )
