"""What a workspace is seen to let us write, and what an ML runtime is known by."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service.compute import ClusterDetails

from tests.unit.doctor_samples import CLUSTER, RUNTIME, VOLUME, Look, Workspace

FOLDER = "/Workspace/Users/jane@example.com/harness"
PLACES = {"files": FOLDER, "lake": f"{VOLUME}/lake", "models": f"{VOLUME}/models"}


def _asked(workspace: Workspace, what: str) -> list[str]:
    return [call.removeprefix(f"{what} ") for call in workspace.calls if call.startswith(f"{what} ")]


def test_a_volume_is_tried_itself(look: Look, workspace: Workspace) -> None:
    """A folder in it need not be there yet, and is not made to find out."""
    assert "ok" == look(files=f"{VOLUME}/deep/down")["files"].state
    assert [VOLUME] == [path.rpartition("/")[0] for path in _asked(workspace, "upload")]


def test_a_file_that_can_not_be_removed_is_told(look: Look, workspace: Workspace) -> None:
    """A run removes what it has uploaded: it has to be let."""
    workspace.answers["delete"] = PermissionDenied("No WRITE VOLUME.")
    found = look()["files"]
    assert ("failed", True) == (found.state, "denies permission to remove" in found.found)


def test_a_file_that_was_written_in_part_is_removed(look: Look, workspace: Workspace) -> None:
    """Whatever has become of it: what can't be removed either hides nothing."""
    workspace.answers["upload"] = workspace.answers["delete"] = PermissionDenied("No WRITE VOLUME.")
    assert "denies permission to upload" in look()["files"].found
    assert _asked(workspace, "upload") == _asked(workspace, "delete")


def test_a_folder_of_the_workspace_is_tried_itself(look: Look, workspace: Workspace) -> None:
    """Each has permissions of its own."""
    assert "ok" == look(**PLACES)["files"].state
    assert FOLDER.removeprefix("/Workspace") == _asked(workspace, "upload")[0].rpartition("/")[0]


def test_a_folder_that_is_not_there_yet_is_not_made(look: Look, workspace: Workspace) -> None:
    """The nearest above it tells whether it can be."""
    workspace.answers["status"] = NotFound("no such folder")
    assert "ok" == look(**PLACES)["files"].state
    assert "/Users" == _asked(workspace, "upload")[0].rpartition("/")[0]
    assert [] == _asked(workspace, "mkdirs")


@pytest.mark.parametrize("wanted", ["16.4.x-scala2.12", RUNTIME])
def test_a_cluster_with_the_ml_switch_is_an_ml_cluster(look: Look, workspace: Workspace, wanted: str) -> None:
    """Its version does not say so; the runtime may be set by either name."""
    cluster = ClusterDetails.from_dict(CLUSTER.as_dict())
    cluster.spark_version, cluster.use_ml_runtime = "16.4.x-scala2.12", True
    workspace.answers["cluster"] = cluster
    found = look(cluster_id="c-1", runtime=wanted)["cluster"]
    assert ("ok", "warm (16.4.x-scala2.12, for machine learning)") == (found.state, found.found)


@pytest.mark.parametrize(
    ("switch", "version", "expected"),
    [
        (True, "15.4.x-scala2.12", "the runtime 15.4.x-scala2.12, not 16.4.x-scala2.12"),
        (False, "16.4.x-scala2.12", "16.4.x-scala2.12 is not an ML runtime"),
        (None, "16.4.x-scala2.12", "16.4.x-scala2.12 is not an ML runtime"),
    ],
    ids=["another runtime", "switched off", "no switch"],
)
def test_a_switch_alone_does_not_make_the_right_cluster(
    look: Look, workspace: Workspace, switch: bool | None, version: str, expected: str
) -> None:
    """The runtime has to be the one that is set, and for machine learning."""
    cluster = ClusterDetails.from_dict(CLUSTER.as_dict())
    cluster.spark_version, cluster.use_ml_runtime = version, switch
    workspace.answers["cluster"] = cluster
    found = look(cluster_id="c-1", runtime="16.4.x-scala2.12")["cluster"]
    assert ("failed", True) == (found.state, expected in found.found)
