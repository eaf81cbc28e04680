"""The stand-in's experiments, with a real MLflow server behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.errors.base import DatabricksError

from tests.databricks.conftest import connect
from tests.databricks.standin.quick import QuickTasks
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.tracking import TrackingServer
from tests.databricks.submissions import DEADLINE_S, HOME


def test_mlflow_calls_are_forwarded(tracking: TrackingServer, tmp_path: Path) -> None:
    """https://docs.databricks.com/api/workspace/experiments/createexperiment: a real server's experiments."""
    with StandIn(tmp_path / "workspace", QuickTasks(tmp_path / "workspace"), tracking.url) as workspace:
        client = connect(workspace)
        created = client.experiments.create_experiment(f"{HOME}/forwarded").experiment_id
        experiment = client.experiments.get_by_name(f"{HOME}/forwarded").experiment
        assert experiment is not None
        assert created == experiment.experiment_id


@pytest.mark.parametrize(
    ("name", "error"),
    [("harness", InvalidParameterValue), ("/Users/nobody/harness", ResourceDoesNotExist)],
    ids=["relative", "no folder"],
)
def test_an_experiment_is_a_path(client: WorkspaceClient, name: str, error: type[DatabricksError]) -> None:
    """https://docs.databricks.com/api/workspace/experiments/createexperiment: absolute, in a folder."""
    with pytest.raises(error):
        client.experiments.create_experiment(name)


@pytest.mark.usefixtures("client")
def test_without_a_token_mlflow_is_refused(workspace: StandIn) -> None:
    """Requests to MLflow through the stand-in need the token, too."""
    url = f"{workspace.host}/api/2.0/mlflow/experiments/search"
    with pytest.raises(requests.HTTPError, match="401"):
        requests.post(url, json={}, timeout=DEADLINE_S).raise_for_status()
