"""Approved tables in a catalog: made by the job on a cluster, and checked before one starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.catalog import TableInfo, TableType
from deltalake import DeltaTable

from harness.approvals import ApprovedVersion
from harness.results import Approval
from harness.scenario.model import Scenario
from tests.databricks.bundles import deploy, run_job
from tests.databricks.command import FILES, Command
from tests.databricks.conftest import connect
from tests.databricks.submissions import message_of, output_of
from tests.databricks.test_table_names import NAME, describe_table, write_versions
from tests.embedded.small import SMALL, write_file

pytestmark = pytest.mark.timeout(1200)

APPROVED = "spark_catalog.loans.approved"
FOLDER = f"{FILES}/tables/judged"
"""Folder of the judged table, which other tests don't have."""


def make_scenario(version: int, rows: int, name: str = NAME, approved: str = APPROVED) -> Scenario:
    """Return a scenario that expects rows at a version of a table, without training a model."""
    values = SMALL.model_dump(mode="json", by_alias=True, exclude_unset=True)
    read = {"name": "now", "read": version, "train": False, "expect": {"rows": rows}}
    table = {"name": "readings", "uri": name, "key": "id"}
    return Scenario.model_validate({**values, "table": table, "versions": [read], "approve": approved})


def find_shown(command: Command, name: str = APPROVED) -> int | None:
    """Return the version that the approved table shows."""
    folder = command.workspace.tables[name].storage_location or ""
    shown = ApprovedVersion.parse(DeltaTable(folder).metadata().configuration)
    return None if shown is None else shown.version


def test_a_table_in_a_catalog_shows_what_has_passed(command: Command, tmp_path: Path) -> None:
    """A second pass replaces the version of the first one; a fail leaves it."""
    write_versions(command.workspace.local(FOLDER))
    command.workspace.tables[NAME] = describe_table(storage_location=FOLDER)
    command.workspace.schemas.add("spark_catalog.loans")
    command = replace(command, folder=tmp_path)

    def run(version: int, rows: int) -> tuple[int, Approval | None]:
        scenario = write_file(tmp_path, make_scenario(version, rows))
        done = command.run("scenario", scenario, "--target", "databricks")
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.returncode, command.result().approval

    code, first = run(0, 200)
    assert first is not None
    assert (code, first.table, first.source, find_shown(command)) == (0, APPROVED, NAME, 0)
    code, second = run(1, 300)
    assert second is not None
    assert (code, second.before, second.is_approved, find_shown(command)) == (0, 0, True, 1)
    code, third = run(2, 1)
    assert third is not None
    assert (code, third.reason, find_shown(command)) == (1, "the verdict is fail", 1)
    assert command.left_behind() == []


def test_a_scheduled_run_approves_by_itself(command: Command, tmp_path: Path) -> None:
    """Without a command: the job on the cluster is all that runs, and its output says what was approved."""
    folder = f"{FOLDER}_scheduled"
    write_versions(command.workspace.local(folder))
    command.workspace.tables[NAME] = describe_table(storage_location=folder)
    command.workspace.schemas.add("spark_catalog.loans")
    command = replace(command, folder=tmp_path)
    approved = "spark_catalog.loans.scheduled"
    scenario = make_scenario(1, 300, approved=approved)
    written = command.run("asset-bundle", write_file(tmp_path, scenario))
    assert written.returncode == 0, written.stdout + written.stderr
    client = connect(command.workspace)
    job_id = deploy(command.workspace, client, tmp_path / "asset-bundle/small")
    run = run_job(command.workspace, client, job_id)
    output = output_of(client, run).logs or ""
    assert message_of(run) == "", output
    assert f"approved  {approved} now shows version 1 of {NAME} (now)" in output
    assert find_shown(command, approved) == 1


@pytest.mark.parametrize(
    ("approved", "table", "code", "reason"),
    [
        ("main.none.approved", None, 3, "The schema main.none doesn't exist"),
        ("main.default.approved", {}, 2, "no run has made it"),
        ("main.default.approved", {"table_type": TableType.VIEW}, 2, "no run has made it"),
        (
            "main.default.approved",
            {"properties": ApprovedVersion("main.default.other", 1, "f", "r", "s").properties},
            2,
            "shows versions of main.default.other, not of main.default.readings",
        ),
    ],
    ids=["schema", "table", "view", "other source"],
)
def test_a_table_that_cannot_be_approved_is_found_before_a_cluster_starts(
    command: Command, tmp_path: Path, approved: str, table: dict[str, Any] | None, code: int, reason: str
) -> None:
    """The message has the reason, and nothing is submitted or left behind."""
    tables: dict[str, TableInfo] = command.workspace.tables
    tables.clear()
    tables["main.default.readings"] = describe_table(full_name="main.default.readings")
    if table is not None:
        tables[approved] = describe_table(full_name=approved, **table)
    runs = len(command.workspace.runs)
    scenario = write_file(tmp_path, make_scenario(0, 200, "main.default.readings", approved))
    done = command.run("scenario", scenario, "--target", "databricks")
    assert done.returncode == code, done.stdout + done.stderr
    assert reason in " ".join(done.stderr.split())
    assert len(command.workspace.runs) == runs
    assert command.left_behind() == []
