"""Checks of a workspace: credentials, settings, files, secrets and the experiment."""

from __future__ import annotations

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied, Unauthenticated
from databricks.sdk.service.ml import Experiment, ExperimentTag, GetExperimentByNameResponse
from databricks.sdk.service.workspace import SecretMetadata

from tests.unit.doctor_samples import HOST, ME, NEW_CLUSTER, VOLUME, RunChecks, Workspace, failed_checks


def test_a_complete_workspace_has_no_failed_check(run_checks: RunChecks) -> None:
    """Every check of a complete workspace is ok; the first one shows user and host."""
    found = run_checks()
    assert (NEW_CLUSTER, {"ok"}) == (list(found), {check.state for check in found.values()})
    assert f"{ME} on {HOST}, by pat" == found["authentication"].finding


def test_the_checks_make_at_most_nine_calls(run_checks: RunChecks, workspace: Workspace) -> None:
    """The checks make at most nine calls, even if every setting is set."""
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    run_checks(toml, policy_id="small", secret_scope="harness")
    assert 9 == len(workspace.calls)


@pytest.mark.parametrize(
    "error", [Unauthenticated("401"), PermissionDenied("Invalid access token.")], ids=["401", "403"]
)
def test_a_failed_authentication_ends_the_checks(
    run_checks: RunChecks, workspace: Workspace, error: Exception
) -> None:
    """If authentication fails, it is the last check, with how to authenticate."""
    workspace.answers["me"] = error
    found = run_checks()
    assert (["authentication"], ["me"]) == (list(found), workspace.calls)
    assert "databricks auth login" in found["authentication"].remedy


def test_an_expired_credential_ends_the_checks(run_checks: RunChecks, workspace: Workspace) -> None:
    """If the credential expires, the checks end, and earlier ones are kept."""
    workspace.answers["runtimes"] = Unauthenticated("expired")
    found = run_checks()
    assert (["authentication", "settings", "permission", "runtime"], ["runtime"]) == (
        list(found),
        failed_checks(found),
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
def test_invalid_locations_are_reported(run_checks: RunChecks, chosen: dict[str, str], expected: str) -> None:
    """An invalid location is reported, and nothing is checked there."""
    found = run_checks(**chosen)
    assert (["authentication", "settings"], ["settings"]) == (list(found), failed_checks(found))
    assert expected in found["settings"].finding


def test_a_file_is_written_and_removed_as_a_check(run_checks: RunChecks, workspace: Workspace) -> None:
    """The upload folder is checked with a file that is written and removed."""
    assert "ok" == run_checks()["files"].state
    written = [call.removeprefix("upload ") for call in workspace.calls if call.startswith("upload")]
    removed = [call.removeprefix("delete ") for call in workspace.calls if call.startswith("delete")]
    assert ([True], written) == ([each.startswith(f"{VOLUME}/harness-probe-") for each in written], removed)


@pytest.mark.parametrize(
    "error",
    [NotFound("Volume does not exist."), PermissionDenied("No WRITE VOLUME.")],
    ids=["none", "no right"],
)
def test_a_volume_that_cannot_be_written_is_reported(
    run_checks: RunChecks, workspace: Workspace, error: Exception
) -> None:
    """An unwritable volume is reported with the required grants; other checks still run."""
    workspace.answers["upload"] = error
    found = run_checks()
    assert (NEW_CLUSTER, ["files"]) == (list(found), failed_checks(found))
    assert "WRITE VOLUME ON VOLUME main.default.harness" in found["files"].remedy


def test_each_volume_is_tried_once(run_checks: RunChecks, workspace: Workspace) -> None:
    """Each volume is written to once, even if several locations are in it."""
    found = run_checks(lake="/Volumes/main/lake/tables/x", models="/Volumes/main/lake/tables/y")
    assert ("ok", False) == (found["lake"].state, "models" in found)
    assert 2 == sum(call.startswith("upload") for call in workspace.calls)


def test_a_storage_account_is_not_checkable(run_checks: RunChecks) -> None:
    """A storage account is not checkable: only a cluster has its secret or external location."""
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    uri, other = "abfss://lake@dls.dfs.core.windows.net", "abfss://lake@other.dfs.core.windows.net"
    found = run_checks(toml, secret_scope="harness", lake=other, models=uri)
    assert ("not checkable", "not checkable") == (found["lake"].state, found["models"].state)
    assert "external location" in found["lake"].finding
    assert "its secret" in found["models"].finding


def test_models_need_a_credential(run_checks: RunChecks) -> None:
    """Models in a storage account need a credential; an external location is not enough."""
    found = run_checks(models="abfss://models@other.dfs.core.windows.net")["models"]
    assert ("failed", True) == (found.state, "can't use an external location" in found.finding)
    assert "secret_name" in found.remedy


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ([SecretMetadata("lake-key")], "lake-key in the scope 'harness'"),
        ([SecretMetadata("other")], "The secret scope 'harness' doesn't have lake-key."),
    ],
    ids=["secrets", "missing"],
)
def test_secrets_are_checked_by_name(
    run_checks: RunChecks, workspace: Workspace, secrets: list[SecretMetadata], expected: str
) -> None:
    """Secrets are checked by name, without reading their values."""
    workspace.answers["secrets"] = secrets
    toml = '[accounts.dls]\nsecret_name = "lake-key"\n'
    assert expected == run_checks(toml, secret_scope="harness")["secrets"].finding


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
def test_the_experiment_is_checked(
    run_checks: RunChecks, workspace: Workspace, path: str, experiment: Experiment | None, state: str
) -> None:
    """An experiment in the user's own folder is writable; elsewhere this can't be checked."""
    if experiment is not None:
        workspace.answers["experiment"] = GetExperimentByNameResponse(experiment)
    assert state == run_checks(experiment=path)["experiment"].state


def test_an_experiments_folder_must_exist(run_checks: RunChecks, workspace: Workspace) -> None:
    """A missing folder of the experiment is reported, because MLflow doesn't create it."""
    workspace.answers["status"] = NotFound("Path (/Shared/x) doesn't exist.")
    found = run_checks(experiment="/Shared/x/loans")["experiment"]
    assert ("failed", True) == (found.state, "/Shared/x" in found.finding)
