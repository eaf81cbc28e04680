"""Existing tables by name: one scenario with one name gives the same numbers here and on a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from databricks.sdk.service.catalog import (
    ColumnInfo,
    ColumnMask,
    DataSourceFormat,
    TableInfo,
    TableRowFilter,
    TableType,
)
from deltalake import write_deltalake

from harness.scenario.model import Scenario
from tests.command import wait_for
from tests.databricks.command import FILES, Command
from tests.embedded.small import SMALL, make_rows, write_file, write_table

pytestmark = pytest.mark.timeout(1200)

NAME = "spark_catalog.loans.readings"
FOLDER = f"{FILES}/tables/readings"


def describe_table(**changes: Any) -> TableInfo:
    """Return what Unity Catalog says about the table."""
    values = {
        "full_name": NAME,
        "table_type": TableType.MANAGED,
        "data_source_format": DataSourceFormat.DELTA,
        "storage_location": FOLDER,
    }
    return TableInfo(**{**values, **changes})


def write_versions(folder: Path) -> None:
    """Write three versions: good rows, more of them, and all of them with wrong labels."""
    rows = make_rows()
    wrong = [{**row, "outcome": "good" if row["outcome"] == "bad" else "bad"} for row in rows]
    write_deltalake(folder, pa.Table.from_pylist(rows[:200]))
    write_deltalake(folder, pa.Table.from_pylist(rows[200:]), mode="append")
    write_deltalake(folder, pa.Table.from_pylist([*rows[:150], *wrong[150:]]), mode="overwrite")


def make_scenario(version: int, name: str = NAME) -> Scenario:
    """Return a scenario that reads a version of the table by name."""
    values = SMALL.model_dump(mode="json", by_alias=True, exclude_unset=True)
    values["table"] = {"name": "readings", "uri": name, "key": "id"}
    expect = {"rows": 300, "metrics": {"test_roc_auc": {"min": 0.7}}}
    values["versions"] = [{"name": "now", "read": version, "expect": expect}]
    return Scenario.model_validate({**values, "publish": {"when": "never"}})


def test_a_scenario_on_a_name_runs_here_and_on_a_cluster(command: Command, tmp_path: Path) -> None:
    """A good version passes with the same numbers on both; a bad one fails, even if the command is killed."""
    folder = command.workspace.volumes.joinpath(*FOLDER.split("/")[2:])
    write_versions(folder)
    command.workspace.tables[NAME] = describe_table()
    (tmp_path / "harness.toml").write_text(f'[tables]\n"{NAME}" = "{folder}"\n')
    command = replace(command, folder=tmp_path)
    scenario = write_file(tmp_path, make_scenario(1))
    sent = command.run("validate", scenario)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    result = command.result()
    assert (result.target, result.table_uri) == ("databricks", NAME)
    bad = write_file(tmp_path, make_scenario(2))
    here = command.run("scenario", bad, "--target", "embedded")
    assert here.returncode == 1, here.stdout + here.stderr
    with command.start("scenario", bad, "--target", "databricks") as process:
        wait_for(process, "run: session done")
        process.kill()
    there = command.run("attach", "latest")
    assert there.returncode == 1, there.stdout + there.stderr
    assert "test_roc_auc" in there.stdout
    missing = command.run("scenario", bad, "--target", "databricks", "--table", NAME, "--versions", "9")
    assert missing.returncode == 2, missing.stdout + missing.stderr
    assert "the table has no version 9" in missing.stderr


def test_a_run_builds_a_managed_table_in_a_schema(command: Command, tmp_path: Path) -> None:
    """It has the numbers of a local run, and is removed with its run; the lake has no table."""
    scenario = write_file(tmp_path, SMALL)
    write_table(tmp_path)
    missing = command.run("doctor", "--target", "databricks", schema="main.harness")
    assert missing.returncode == 3
    assert "schema: The schema main.harness doesn't exist, or you can't see it." in missing.stdout
    command.workspace.schemas.add("spark_catalog.harness")
    done = command.run("validate", scenario, schema="spark_catalog.harness")
    assert done.returncode == 0, done.stdout + done.stderr
    result = command.result()
    assert result.target == "databricks"
    assert result.table_uri in command.workspace.tables
    assert result.table_uri.startswith("spark_catalog.harness.")
    assert not [*command.workspace.volumes.rglob(f"lake/runs/{result.run_id}/**/_delta_log")]
    folder = Path(command.workspace.tables[result.table_uri].storage_location or "")
    assert folder.is_dir()
    removed = command.run("clean", "--keep-runs", "0", schema="spark_catalog.harness")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert (result.table_uri in command.workspace.tables, folder.exists()) == (False, False)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "The table main.loans.readings doesn't exist in http"),
        (describe_table(table_type=TableType.VIEW), "it is a view"),
        (describe_table(table_type=TableType.STREAMING_TABLE), "it is a streaming table"),
        (describe_table(table_type=TableType.FOREIGN), "it is a foreign table"),
        (describe_table(data_source_format=DataSourceFormat.PARQUET), "its format is PARQUET, not DELTA"),
        (describe_table(row_filter=TableRowFilter("f", ["heat"])), "it has a row filter"),
        (
            describe_table(columns=[ColumnInfo(name="heat", mask=ColumnMask("f"))]),
            "its column heat has a mask",
        ),
    ],
    ids=["missing", "view", "streaming", "foreign", "parquet", "row filter", "mask"],
)
def test_a_table_without_versions_is_found_before_a_cluster_starts(
    command: Command, tmp_path: Path, table: TableInfo | None, reason: str
) -> None:
    """The message has the reason, and nothing is submitted or left behind."""
    command.workspace.tables.clear()
    if table is not None:
        command.workspace.tables["main.loans.readings"] = table
    runs = len(command.workspace.runs)
    scenario = make_scenario(1, "main.loans.readings")
    done = command.run("scenario", write_file(tmp_path, scenario), "--target", "databricks")
    assert done.returncode == 2, done.stdout + done.stderr
    assert reason in done.stderr
    assert len(command.workspace.runs) == runs
    assert command.left_behind() == []
