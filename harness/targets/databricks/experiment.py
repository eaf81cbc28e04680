"""The MLflow experiment of a workspace, read through Databricks' own client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.errors import PrerequisiteError
from harness.targets.databricks.client import translate_errors
from harness.tracked_run import TrackedRun

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.ml import Experiment, Run

_PAGE = 1000


def find_experiment(workspace: WorkspaceClient, path: str) -> Experiment | None:
    """Return the experiment at a path of the workspace; ``None`` if there is none.

    Raises:
        PrerequisiteError: The workspace doesn't answer or refuses the request, or the experiment is deleted.
    """
    from databricks.sdk.errors import NotFound

    with translate_errors(workspace, f"find the experiment {path}"):
        try:
            experiment = workspace.experiments.get_by_name(path).experiment
        except NotFound:
            return None
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        raise PrerequisiteError(
            f"The experiment {path} is deleted, but its name is in use until it is purged."
        )
    return experiment


def search_runs(workspace: WorkspaceClient, path: str, condition: str) -> list[TrackedRun]:
    """Return the runs of an experiment that meet a condition of MLflow's search, newest first.

    Args:
        workspace: Client of the workspace.
        path: Path of the experiment.
        condition: The condition; empty for all runs.

    Raises:
        PrerequisiteError: The workspace doesn't answer or refuses the request, or there is no experiment.
    """
    experiment = find_experiment(workspace, path)
    if experiment is None:
        raise PrerequisiteError(
            f"There are no runs yet: the workspace {workspace.config.host} has no experiment {path}.",
            remedy="Run a scenario there first, or set another experiment under [targets.databricks].",
        )
    with translate_errors(workspace, f"search the runs of the experiment {path}"):
        found = workspace.experiments.search_runs(
            experiment_ids=[experiment.experiment_id or ""],
            filter=condition or None,
            max_results=_PAGE,
            order_by=["attributes.start_time DESC"],
        )
        return [_to_tracked_run(run) for run in found]


def _to_tracked_run(run: Run) -> TrackedRun:
    from databricks.sdk.service.ml import RunData, RunInfo

    info, data = run.info or RunInfo(), run.data or RunData()
    return TrackedRun(
        run_id=info.run_id or "",
        status=info.status.value if info.status is not None else "",
        started=datetime.fromtimestamp((info.start_time or 0) / 1000, UTC),
        tags={each.key or "": each.value or "" for each in data.tags or ()},
        params={each.key or "": each.value or "" for each in data.params or ()},
        metrics={each.key or "": float(each.value) for each in data.metrics or () if each.value is not None},
    )
