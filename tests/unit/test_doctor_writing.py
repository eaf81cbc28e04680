"""Checks of what a workspace permits to write, and of how an ML runtime is recognized."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.compute import ClusterDetails

from tests.unit.doctor_samples import CLUSTER, RUNTIME, VOLUME, RunChecks, Workspace

FOLDER = "/Workspace/Users/jane@example.com/harness"
LOCATIONS = {"files": FOLDER, "lake": f"{VOLUME}/lake", "models": f"{VOLUME}/models"}


def _calls_of(workspace: Workspace, what: str) -> list[str]:
    return [call.removeprefix(f"{what} ") for call in workspace.calls if call.startswith(f"{what} ")]


def test_the_volume_itself_is_tried(run_checks: RunChecks, workspace: Workspace) -> None:
    """A volume's root is written to, so that a missing folder in it is not created."""
    assert "ok" == run_checks(files=f"{VOLUME}/deep/down")["files"].state
    assert [VOLUME] == [path.rpartition("/")[0] for path in _calls_of(workspace, "upload")]


def test_a_file_that_can_not_be_removed_is_reported(run_checks: RunChecks, workspace: Workspace) -> None:
    """A missing permission to remove files is reported, because a run removes its uploads."""
    workspace.answers["delete"] = PermissionDenied("No WRITE VOLUME.")
    found = run_checks()["files"]
    assert ("failed", True) == (found.state, "denies permission to remove" in found.finding)


def test_a_partial_file_is_removed(run_checks: RunChecks, workspace: Workspace) -> None:
    """A partial file is removed; if that fails, too, the upload's error is still reported."""
    workspace.answers["upload"] = workspace.answers["delete"] = PermissionDenied("No WRITE VOLUME.")
    assert "denies permission to upload" in run_checks()["files"].finding
    assert _calls_of(workspace, "upload") == _calls_of(workspace, "delete")


def test_a_workspace_folder_itself_is_tried(run_checks: RunChecks, workspace: Workspace) -> None:
    """An existing workspace folder is written to, because it has its own permissions."""
    assert "ok" == run_checks(**LOCATIONS)["files"].state
    assert FOLDER.removeprefix("/Workspace") == _calls_of(workspace, "upload")[0].rpartition("/")[0]


def test_a_missing_folder_is_not_created(run_checks: RunChecks, workspace: Workspace) -> None:
    """For a missing workspace folder, the nearest existing one above it is checked."""
    workspace.answers["status"] = NotFound("no such folder")
    assert "ok" == run_checks(**LOCATIONS)["files"].state
    assert "/Users" == _calls_of(workspace, "upload")[0].rpartition("/")[0]
    assert [] == _calls_of(workspace, "mkdirs")


@pytest.mark.parametrize("wanted", ["16.4.x-scala2.12", RUNTIME])
def test_a_cluster_with_the_ml_switch_is_an_ml_cluster(
    run_checks: RunChecks, workspace: Workspace, wanted: str
) -> None:
    """A cluster with the ML switch is suitable, although its version doesn't show it."""
    cluster = ClusterDetails.from_dict(CLUSTER.as_dict())
    cluster.spark_version, cluster.use_ml_runtime = "16.4.x-scala2.12", True
    workspace.answers["cluster"] = cluster
    found = run_checks(cluster_id="c-1", runtime=wanted)["cluster"]
    assert ("ok", "warm (16.4.x-scala2.12, for machine learning)") == (found.state, found.finding)


@pytest.mark.parametrize(
    ("switch", "version", "expected"),
    [
        (True, "15.4.x-scala2.12", "the runtime 15.4.x-scala2.12, not 16.4.x-scala2.12"),
        (False, "16.4.x-scala2.12", "16.4.x-scala2.12 is not an ML runtime"),
        (None, "16.4.x-scala2.12", "16.4.x-scala2.12 is not an ML runtime"),
    ],
    ids=["another runtime", "switched off", "no switch"],
)
def test_the_ml_switch_alone_is_not_enough(
    run_checks: RunChecks, workspace: Workspace, switch: bool | None, version: str, expected: str
) -> None:
    """A cluster with the ML switch must also have the configured runtime."""
    cluster = ClusterDetails.from_dict(CLUSTER.as_dict())
    cluster.spark_version, cluster.use_ml_runtime = version, switch
    workspace.answers["cluster"] = cluster
    found = run_checks(cluster_id="c-1", runtime="16.4.x-scala2.12")["cluster"]
    assert ("failed", True) == (found.state, expected in found.finding)
