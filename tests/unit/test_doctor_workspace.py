"""What a workspace is seen to have and to lack: credentials, settings, files, secrets, an experiment."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.service.ml import Experiment, ExperimentTag, GetExperimentByNameResponse
from databricks.sdk.service.workspace import SecretMetadata

from tests.unit.doctor_samples import HOST, ME, NEW_CLUSTER, VOLUME, Look, Workspace, failed


def test_a_workspace_with_everything_has_no_failed_line(look: Look) -> None:
    """Each line is there and ok, and says who we are where."""
    found = look()
    assert (NEW_CLUSTER, {"ok"}) == (list(found), {check.state for check in found.values()})
    assert f"{ME} on {HOST}, by pat" == found["authentication"].found


def test_the_workspace_is_asked_at_most_nine_times(look: Look, workspace: Workspace) -> None:
    """Also where everything is named that can be named."""
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    look(toml, policy_id="small", secret_scope="harness")
    assert 9 == len(workspace.calls)


@pytest.mark.parametrize(
    "error", [Unauthenticated("401"), PermissionDenied("Invalid access token.")], ids=["401", "403"]
)
def test_nothing_is_asked_of_a_workspace_that_does_not_know_us(
    look: Look, workspace: Workspace, error: Exception
) -> None:
    """The line that failed is the last one, and says how to authenticate."""
    workspace.answers["me"] = error
    found = look()
    assert (["authentication"], ["me"]) == (list(found), workspace.calls)
    assert "databricks auth login" in found["authentication"].remedy


def test_a_credential_that_ends_in_the_middle_ends_the_lines(look: Look, workspace: Workspace) -> None:
    """What was seen before stays."""
    workspace.answers["runtimes"] = Unauthenticated("expired")
    found = look()
    assert (["authentication", "settings", "permission", "runtime"], ["runtime"]) == (
        list(found),
        failed(found),
    )


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"files": ""}, "needs a folder"),
        ({"files": "/Workspace/Users/me/harness"}, "needs a location for the lake"),
        ({"lake": "/data/lake"}, "A cluster can't reach the lake"),
    ],
    ids=["no files", "no lake", "a local lake"],
)
def test_settings_that_lead_nowhere_are_told(look: Look, chosen: dict[str, str], expected: str) -> None:
    """Nothing else is asked: it would be asked of the wrong place."""
    found = look(**chosen)
    assert (["authentication", "settings"], ["settings"]) == (list(found), failed(found))
    assert expected in found["settings"].found


def test_a_file_is_written_and_removed(look: Look, workspace: Workspace) -> None:
    """Nothing less shows that the folder for files can be written; nothing of it stays."""
    assert "ok" == look()["files"].state
    written = [call.removeprefix("upload ") for call in workspace.calls if call.startswith("upload")]
    removed = [call.removeprefix("delete ") for call in workspace.calls if call.startswith("delete")]
    assert ([True], written) == ([each.startswith(f"{VOLUME}/harness-probe-") for each in written], removed)


@pytest.mark.parametrize(
    "error",
    [NotFound("Volume does not exist."), PermissionDenied("No WRITE VOLUME.")],
    ids=["none", "no right"],
)
def test_a_volume_that_cannot_be_written_is_told(look: Look, workspace: Workspace, error: Exception) -> None:
    """With the grants that it takes; the other lines are there all the same."""
    workspace.answers["upload"] = error
    found = look()
    assert (NEW_CLUSTER, ["files"]) == (list(found), failed(found))
    assert "WRITE VOLUME ON VOLUME main.default.harness" in found["files"].remedy


def test_each_volume_is_tried_once(look: Look, workspace: Workspace) -> None:
    """The lake's own is another than the files'; the models lie in the lake's."""
    found = look(lake="/Volumes/main/lake/tables/x", models="/Volumes/main/lake/tables/y")
    assert ("ok", False) == (found["lake"].state, "models" in found)
    assert 2 == sum(call.startswith("upload") for call in workspace.calls)


def test_a_storage_account_is_not_checkable(look: Look) -> None:
    """Only a cluster gets to it, by a secret or by an external location."""
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    uri, other = "abfss://lake@dls.dfs.core.windows.net", "abfss://lake@other.dfs.core.windows.net"
    found = look(toml, secret_scope="harness", lake=other, models=uri)
    assert ("not checkable", "not checkable") == (found["lake"].state, found["models"].state)
    assert "external location" in found["lake"].found
    assert "its secret" in found["models"].found


def test_models_need_a_credential_of_their_account(look: Look) -> None:
    """Bundles are copied by Azure's client, which knows no external location."""
    found = look(models="abfss://models@other.dfs.core.windows.net")["models"]
    assert ("failed", True) == (found.state, "can't use an external location" in found.found)
    assert "secret_name" in found.remedy


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([SecretMetadata("lake-key")], "lake-key in the scope 'harness'"),
        ([SecretMetadata("other")], "The secret scope 'harness' does not have lake-key."),
    ],
    ids=["there", "missing"],
)
def test_secrets_are_looked_for_by_name(
    look: Look, workspace: Workspace, there: list[SecretMetadata], expected: str
) -> None:
    """Their values are not asked for."""
    workspace.answers["secrets"] = there
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    assert expected == look(toml, secret_scope="harness")["secrets"].found


@pytest.mark.parametrize(
    ("path", "experiment", "state"),
    [
        ("", None, "ok"),
        ("/Shared/loans", None, "not checkable"),
        ("", Experiment(lifecycle_stage="active"), "ok"),
        ("/Shared/loans", Experiment(tags=[ExperimentTag("mlflow.ownerEmail", ME)]), "ok"),
        ("/Shared/loans", Experiment(tags=[ExperimentTag("mlflow.ownerEmail", "joe")]), "not checkable"),
        ("", Experiment(lifecycle_stage="deleted"), "failed"),
    ],
    ids=["new", "new elsewhere", "in our folder", "ours", "somebody's", "deleted"],
)
def test_the_experiment_is_looked_for(
    look: Look, workspace: Workspace, path: str, experiment: Experiment | None, state: str
) -> None:
    """In one's own folder one may write; elsewhere nobody tells who may."""
    if experiment is not None:
        workspace.answers["experiment"] = GetExperimentByNameResponse(experiment)
    assert state == look(experiment=path)["experiment"].state


def test_an_experiments_folder_has_to_be_there(look: Look, workspace: Workspace) -> None:
    """MLflow makes experiments, no folders."""
    workspace.answers["status"] = NotFound("Path (/Shared/x) doesn't exist.")
    found = look(experiment="/Shared/x/loans")["experiment"]
    assert ("failed", True) == (found.state, "/Shared/x" in found.found)
