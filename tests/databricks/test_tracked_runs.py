"""``runs`` and ``trace`` of runs in a workspace, whose MLflow is a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.errors import ExitCode
from harness.ports import find_free_port
from harness.targets.databricks import experiment as module
from tests.databricks.command import Command
from tests.databricks.standin.server import StandIn
from tests.databricks.standin.tracking import TrackingServer
from tests.databricks.submissions import HOME
from tests.embedded.small import UNPUBLISHED, write_scenario

pytestmark = pytest.mark.timeout(1200)


def test_a_run_is_found_and_traced(command: Command, tmp_path: Path) -> None:
    """After a run on a cluster, 'runs' shows each version with its verdict, and 'trace' what it measured."""
    done = command.run("scenario", write_scenario(tmp_path, UNPUBLISHED), "--target", "databricks")
    assert 0 == done.returncode, done.stdout + done.stderr
    result = command.result()
    listed = command.run("runs", "--target", "databricks", "--scenario", result.scenario)
    rows = {line.split("\t")[3]: line.split("\t") for line in listed.stdout.splitlines()}
    for version in (each for each in result.versions if each.run_id):
        row = rows[version.run_id or ""]
        assert [str(version.version), version.fingerprint, "finished"] == [row[1], row[2], row[4]]
        assert row[5] in ("pass", "fail", "not proven")
    assert command.workspace.host in listed.stderr
    traced = command.run("trace", result.run_id, "--target", "databricks")
    assert 0 == traced.returncode, traced.stderr
    for fact in (result.table_uri, result.versions[-1].fingerprint, "test_roc_auc", result.run_id):
        assert fact in traced.stdout
    assert not (command.home / "mlflow.db").exists()


@pytest.fixture(name="tracked")
def _tracked(quick: StandIn, tmp_path: Path) -> Command:
    """Return commands on a workspace without clusters."""
    quick.reset()
    return Command(quick, tmp_path / ".harness")


def _track(tracking: TrackingServer, name: str, versions: int) -> list[str]:
    """Record runs on the versions of a table in an experiment, and return their ids."""
    client = MlflowClient(tracking.url)
    experiment = client.create_experiment(name)
    tags = {
        "harness.table": "lc_loan",
        "harness.scenario": "loans",
        "harness.data_path": "/Volumes/lake/lc_loan",
    }
    return [
        client.create_run(experiment, tags={**tags, "harness.data_version": str(at)}).info.run_id
        for at in range(versions)
    ]


def test_runs_are_filtered(tracked: Command, tracking: TrackingServer) -> None:
    """Filters by scenario, table and version are those of local runs, in the experiment of the settings."""
    ids = _track(tracking, f"{HOME}/filtered", 3)
    asked = {"experiment": f"{HOME}/filtered"}
    found = tracked.run("runs", "--target", "databricks", "--table", "lc_loan", "--version", "1", **asked)
    assert [ids[1]] == [line.split("\t")[3] for line in found.stdout.splitlines()[1:]], found.stderr
    unknown = tracked.run("runs", "--target", "databricks", "--table", "cars", **asked)
    assert (ExitCode.PREREQUISITE_MISSING, True) == (
        unknown.returncode,
        "MLflow has no run trained on 'cars'." in unknown.stderr,
    )
    missing = tracked.run("trace", "no-such-run", "--target", "databricks", **asked)
    assert (
        f"Unknown run 'no-such-run' in {tracked.workspace.host}, experiment {HOME}/filtered."
        in missing.stderr
    )


def test_more_runs_than_a_page_has_are_found(
    tracking: TrackingServer, quick: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs are found, whatever the size of a page."""
    from tests.databricks.conftest import connect

    ids = _track(tracking, f"{HOME}/paged", 5)
    monkeypatch.setattr(module, "_PAGE", 2)
    found = module.search_runs(connect(quick), f"{HOME}/paged", "")
    assert list(reversed(ids)) == [each.run_id for each in found]


@pytest.mark.parametrize("command", [["runs"], ["trace", "some-run"]], ids=["runs", "trace"])
def test_what_prevents_a_search_is_one_message(
    tracked: Command, tracking: TrackingServer, command: list[str]
) -> None:
    """A missing experiment, a refused token or a host that doesn't answer is one message."""
    client = MlflowClient(tracking.url)
    deleted = f"{HOME}/deleted-{command[0]}"
    client.delete_experiment(client.create_experiment(deleted))
    unreachable = f"http://127.0.0.1:{find_free_port()}"
    changes = {
        f"has no experiment {HOME}/none.": {"experiment": f"{HOME}/none"},
        f"The experiment {deleted} is deleted": {"experiment": deleted},
        "refuses the credential: can't": {"DATABRICKS_TOKEN": "expired"},
        f"The workspace {unreachable} doesn't answer": {"DATABRICKS_HOST": unreachable},
        "Can't authenticate to a Databricks workspace": {"DATABRICKS_HOST": "", "DATABRICKS_TOKEN": ""},
    }
    for message, changed in changes.items():
        done = tracked.run(*command, "--target", "databricks", **changed)
        assert (ExitCode.PREREQUISITE_MISSING, "") == (done.returncode, done.stdout), done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
