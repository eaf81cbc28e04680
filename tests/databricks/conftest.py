"""Stand-ins for a workspace, backed by a real MLflow server, shared by the tests in this folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import Clock
from databricks.sdk.config import Config

from harness.targets.databricks import job_runs
from tests.databricks.command import Command
from tests.databricks.following import Bench, make_bench
from tests.databricks.standin.quick import QuickTasks
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.tracking import TrackingServer

PAUSE_S = 0.01


class HurriedClock(Clock):
    """A clock that shortens the client's pauses between retries."""

    def time(self) -> float:
        """Return the time of day, which deadlines are based on."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Sleep only briefly."""
        time.sleep(min(seconds, PAUSE_S))


def connect(workspace: StandIn, token: str | None = None) -> WorkspaceClient:
    """Return a client of the stand-in, independent of this machine's profiles and variables."""
    return WorkspaceClient(
        config=Config(
            host=workspace.host,
            token=token or workspace.token,
            auth_type="pat",
            config_file="/dev/null",
            clock=HurriedClock(),
            disable_experimental_files_api_client=True,  # As in the harness's own client.
        )
    )


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    """Start a real MLflow server."""
    with TrackingServer(tmp_path_factory.mktemp("tracking")) as server:
        yield server


@pytest.fixture(scope="session")
def spark_workspace(tracking: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Start a workspace whose clusters really run what is submitted."""
    with StandIn(tmp_path_factory.mktemp("workspace"), tracking_url=tracking.url) as standin:
        yield standin


@pytest.fixture
def command(spark_workspace: StandIn, tmp_path: Path) -> Command:
    spark_workspace.reset()
    return Command(spark_workspace, tmp_path / ".harness")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> QuickTasks:
    return QuickTasks(tmp_path_factory.mktemp("quick") / "workspace")


@pytest.fixture(scope="module")
def workspace(tasks: QuickTasks) -> Iterator[StandIn]:
    """Start a workspace without Spark and MLflow."""
    with StandIn(tasks.folder, tasks) as standin:
        yield standin


@pytest.fixture
def client(workspace: StandIn) -> Iterator[WorkspaceClient]:
    """Return a client of the workspace, without faults unless a test enables them."""
    workspace.reset()
    yield connect(workspace)
    workspace.reset()


@pytest.fixture(scope="module")
def quick(tracking: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Start a workspace with fast clusters and MLflow."""
    folder = tmp_path_factory.mktemp("quick")
    with StandIn(folder, QuickTasks(folder), tracking_url=tracking.url) as standin:
        yield standin


@pytest.fixture
def bench(quick: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a target with a plan to submit."""
    monkeypatch.setattr(job_runs, "_POLL_S", 0.05)
    quick.reset()
    quick.runs.clear()
    return make_bench(quick, tmp_path, connect(quick))
