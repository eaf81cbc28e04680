"""Scheduled runs: a bundle is written, deployed to the stand-in, and its job really runs with parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import Run

from harness.results import Result
from harness.scenario.model import Scenario
from tests.databricks.bundles import deploy, run_job
from tests.databricks.command import FILES, Command
from tests.databricks.conftest import connect
from tests.databricks.standin.server import StandIn
from tests.databricks.submissions import message_of, output_of
from tests.databricks.test_table_names import NAME, describe_table, write_versions
from tests.embedded.runner import change_scenario
from tests.embedded.small import SMALL, write_scenario

pytestmark = pytest.mark.timeout(1200)

EVERY = {"metrics": {"test_roc_auc": {"min": 0.7}}}


@dataclass(frozen=True)
class Schedule:
    """A job in the workspace that runs a scenario."""

    workspace: StandIn
    client: WorkspaceClient
    job_id: int

    def run(self, **parameters: str) -> tuple[Run, str, str]:
        """Run the job; return the run, its task's output, and the error that the workspace shows."""
        run = run_job(self.workspace, self.client, self.job_id, **parameters)
        output = output_of(self.client, run)
        return run, output.logs or "", output.error or ""

    def folder(self, run: Run) -> Path:
        """Return the folder of a run."""
        return self.workspace.local(f"{FILES}/scheduled/small/{run.run_id}-0")


def make_scenario() -> Scenario:
    """Return a scenario of two versions, with bounds for every version of any table."""
    return change_scenario(SMALL, {"every": EVERY, "publish": {"when": "never"}})


FOLDER = f"{FILES}/tables/scheduled"
"""Folder of the table, which other tests don't have."""


@pytest.fixture(scope="module")
def schedule(spark_workspace: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Schedule:
    """Write and deploy the scenario's bundle; the workspace has a table with three versions."""
    spark_workspace.reset()
    folder = tmp_path_factory.mktemp("scheduled")
    write_versions(spark_workspace.local(FOLDER))
    spark_workspace.tables[NAME] = describe_table(storage_location=FOLDER)
    command = Command(spark_workspace, folder / ".harness", folder)
    file = write_scenario(folder, make_scenario())
    written = command.run("asset-bundle", file)
    assert written.returncode == 0, written.stdout + written.stderr
    client = connect(spark_workspace)
    return Schedule(spark_workspace, client, deploy(spark_workspace, client, folder / "asset-bundle/small"))


def test_a_scheduled_run_shows_its_verdict_and_writes_its_reports(schedule: Schedule) -> None:
    """The task's output ends with the same table as the terminal's; the reports are next to the result."""
    run, output, _ = schedule.run()
    assert message_of(run) == "", output
    folder = schedule.folder(run)
    result = Result.from_json((folder / "result.json").read_text())
    assert (result.verdict, [each.name for each in result.versions]) == ("pass", ["first", "second"])
    end = output[output.index("\nBounds ") :]
    for text in ("version", "test_roc_auc", ">= 0.7", "✓ pass", "✓ PASS: small on databricks."):
        assert text in end
    assert "\x1b" not in end
    page = (folder / "report.html").read_text()
    assert "small" in page
    assert "<svg" in page
    assert {"plan.json", "report.md", "junit.xml"} <= {each.name for each in folder.iterdir()}


def test_a_run_reads_an_existing_table_from_its_parameters(schedule: Schedule) -> None:
    """The table is read by its name at the versions of the parameters; a bad version fails the run."""
    run, output, error = schedule.run(table=NAME, versions="1, 2")
    assert f"Table: {NAME} at v1, v2." in output
    assert "✗ FAIL: small on databricks." in output
    assert error.startswith("SystemExit: FAIL: small. Of 2 bounds, 1 failed, 1 passed. Report: /")
    assert error.endswith("/report.html")
    result = Result.from_json((schedule.folder(run) / "result.json").read_text())
    assert result.table_uri == NAME
    outcomes = {each.name: [bound.outcome for bound in each.bounds] for each in result.versions}
    assert outcomes == {"v1": ["pass"], "v2": ["fail"]}
    assert "✗" in (schedule.folder(run) / "report.html").read_text()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"versions": "1"}, "'versions' needs 'table': it selects versions of an existing table."),
        ({"table": NAME, "versions": "twelve"}, "'versions': 'twelve' is not a version of a table."),
        ({"table": "readings"}, "'table': a cluster can't reach readings."),
        (
            {"table": NAME, "versions": "9"},
            "STOPPED: small. Version 'v9': the table has no version 9; the log ",
        ),
        (
            {"table": "spark_catalog.loans.absent"},
            "STOPPED: small. The table spark_catalog.loans.absent doesn't exist, or you can't read it.",
        ),
    ],
    ids=["no table", "no version", "local folder", "missing version", "missing table"],
)
def test_wrong_parameters_are_named(schedule: Schedule, parameters: dict[str, str], message: str) -> None:
    """The run fails with a message that names the parameter or its value, and without a traceback."""
    run, output, error = schedule.run(**parameters)
    assert error.startswith(f"SystemExit: {message}"), output
    assert "Traceback" not in output
    assert "failed" in message_of(run)
