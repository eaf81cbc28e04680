"""Scenarios on a cluster: the files and tables that they need, and their locations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.report import PARITY
from tests.databricks.command import FILES, Command
from tests.embedded.runner import change_scenario
from tests.embedded.small import UNPUBLISHED, write_custom_scenario, write_scenario, write_table

pytestmark = pytest.mark.timeout(1200)


def test_a_custom_pipeline_is_validated_and_a_changed_row_is_found(command: Command, tmp_path: Path) -> None:
    """A custom pipeline gives the same numbers on both targets; a row changed on one side fails parity."""
    scenario = write_custom_scenario(tmp_path)
    sent = command.run("validate", scenario)
    assert 0 == sent.returncode, sent.stdout + sent.stderr
    [version] = command.result().versions
    assert 1.0 == version.metrics["fits"]
    assert version.bundle is not None
    assert (Path(version.bundle) / "manifest.json").is_file()
    [rows] = command.workspace.volumes.rglob("readings.csv")
    # The upload exists already and is not repeated, so the cluster reads another value than this machine.
    rows.write_text(rows.read_text().replace("good", "bad", 1))
    done = command.run("scenario", scenario, "--target", "databricks", HARNESS_PARITY_REQUIRED="always")
    rows.unlink()
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "fingerprint" in done.stdout
    parity = json.loads((command.home / "runs" / "latest" / PARITY).read_text(encoding="utf-8"))
    failed = {each["name"] for each in parity["differences"] if each["verdict"] == "fail"}
    assert "fingerprint" in failed
    assert "rows" not in failed


def test_the_newer_runtime_reads_a_table_of_the_older_one(command: Command, tmp_path: Path) -> None:
    """15.4 LTS ML builds a table of several sources, with the uploads in workspace files.

    It has no bounds, so nothing is proven. Without a local run, nothing is compared; the message names the
    command that runs both. Then 16.4 LTS ML reads the volume's table at its versions, with the same
    fingerprints. The other targets refuse it.
    """
    steps = [
        {"name": "first", "append": {"where": "batch = 1"}},
        {"name": "second", "append": {"from": "more/readings.csv", "where": "batch = 2"}},
    ]
    write_table(tmp_path / "more")
    scenario = write_scenario(tmp_path, change_scenario(UNPUBLISHED, {"versions": steps}))
    built = command.run(
        "scenario",
        scenario,
        "--target",
        "databricks",
        runtime="15.4.x-cpu-ml-scala2.12",
        files="/Workspace/Users/jane.doe@example.com/harness",
        lake=f"{FILES}/lake",
        models=f"{FILES}/models",
    )
    assert 4 == built.returncode, built.stdout + built.stderr
    assert "There is no local run" in built.stdout
    assert "make validate" in built.stdout
    first = command.result()
    assert "3.5.0" == first.libraries["pyspark"]
    assert [200, 300] == [each.rows for each in first.versions]
    table = f"{FILES}/lake/runs/{first.run_id}/readings"
    on = ("--table", table, "--versions", "0,latest")
    read = command.run("scenario", scenario, "--target", "databricks", *on)
    assert 4 == read.returncode, read.stdout + read.stderr
    again = command.result()
    assert "3.5.2" == again.libraries["pyspark"]
    assert ["v0", "latest"] == [each.name for each in again.versions]
    assert [each.fingerprint for each in first.versions] == [each.fingerprint for each in again.versions]
    here = command.run("scenario", scenario, "--target", "embedded", *on)
    assert (3, True) == (here.returncode, "it is in a volume of a workspace" in here.stderr)
