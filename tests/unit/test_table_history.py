"""``harness history``: the versions of a table, and the runs that were trained on each."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from mlflow import MlflowClient
from rich.console import Console
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import PrerequisiteError, UsageError
from harness.report.terminal.command_tables import show_history
from harness.settings import Settings, read_settings
from harness.tracking.lineage import TrackingStore, find_runs
from harness.tracking.table_history import read_history

NAME = "main.loans.lc_loan"


@pytest.fixture(name="table")
def _table(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "lc_loan"
    for rows in (range(2), range(2, 5)):
        write_deltalake(folder, pa.table({"id": list(rows)}), mode="append")
    DeltaTable(folder).delete("id = 0")
    return folder


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    (tmp_path / "harness.toml").write_text(f'[tables]\n"{NAME}" = "lake/lc_loan"\n')
    return read_settings(folder=tmp_path, environ={"HARNESS_HOME": str(tmp_path / "home")})


def track(settings: Settings, path: str, version: int, name: str = "") -> str:
    """Track a run that was trained on a version, and return its id."""
    settings.home.mkdir(exist_ok=True)
    client = MlflowClient(settings["tracking_uri"])
    experiment = client.get_experiment_by_name("harness")
    tags = {"harness.data_path": path, "harness.data_version": str(version), "harness.table": "lc_loan"}
    if name:
        tags["harness.data_name"] = name
    experiment_id = client.create_experiment("harness") if experiment is None else experiment.experiment_id
    return str(client.create_run(experiment_id, tags=tags).info.run_id)


def test_versions_with_rows_size_and_runs(settings: Settings, table: Path) -> None:
    """The newest comes first; runs are found by any spelling of the path, and by the name."""
    history = read_history(settings, str(table), 20)
    assert [(each.version, each.operation, each.rows) for each in history.versions] == [
        (2, "DELETE", 4),
        (1, "WRITE", 5),
        (0, "WRITE", 2),
    ]
    assert not any(each.runs for each in history.versions)
    assert all(each.time and each.size_bytes for each in history.versions)
    first = track(settings, f"file://{table}", 1)
    second = track(settings, "/elsewhere", 1, NAME)
    track(settings, "/elsewhere", 1)
    named = read_history(settings, NAME, 2)
    assert named.uri == str(table)
    assert [set(each.runs) for each in named.versions] == [set(), {first, second}]
    assert [run.run_id for run in find_runs(TrackingStore(settings), "main.`loans`.lc_loan", 1)] == [second]


def test_the_history_of_a_clone_is_read(settings: Settings, table: Path) -> None:
    """Spark's first commit of a clone says that it has read version -1, which deltalake refuses."""
    expected = read_history(settings, str(table), 20).versions
    first = table / "_delta_log" / f"{0:020}.json"
    first.write_text(first.read_text().replace('"commitInfo":{', '"commitInfo":{"readVersion":-1,'))
    with pytest.raises(DeltaError, match="-1"):
        DeltaTable(table).history()
    assert read_history(settings, str(table), 20).versions == expected


def test_what_is_not_known_is_left_out(settings: Settings, table: Path) -> None:
    """A version before the checkpoint of a log that was cleaned up has neither rows nor size."""
    runs = [track(settings, str(table), 2) for _ in range(2)]
    DeltaTable(table).create_checkpoint()
    (table / "_delta_log" / f"{0:020}.json").unlink()
    text = io.StringIO()
    show_history(Console(file=text, width=200), read_history(settings, str(table), 20))
    _, newest, older = text.getvalue().splitlines()
    assert newest.startswith("2\t")
    assert any(f"\t{run} and 1 more" in newest for run in runs)
    assert older.endswith("WRITE\t-\t-\t-")


def test_what_is_no_table_is_refused(settings: Settings, tmp_path: Path) -> None:
    """With the reason, and without a traceback."""
    for table, kind, message in (
        (str(tmp_path / "none"), PrerequisiteError, "There is no Delta table"),
        ("main.loans.other", UsageError, '"main.loans.other" = '),
        ("abfss://lake@a.dfs.core.windows.net/t?sig=abc", UsageError, "contains a password"),
        ("s3://bucket/t", UsageError, "s3://"),
    ):
        with pytest.raises(kind) as caught:
            read_history(settings, table, 20)
        assert message in str(caught.value)
        assert "sig=abc" not in str(caught.value)


def test_the_command_prints_json(settings: Settings, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All numbers are there, and times with their zone."""
    monkeypatch.setenv("HARNESS_HOME", str(settings.home))
    shown = CliRunner().invoke(app, ["history", str(table), "--json", "--limit", "1", "--target", "embedded"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    [version] = found["versions"]
    assert (found["table"], version["version"], version["rows"], version["runs"]) == (str(table), 2, 4, [])
    assert version["time"].endswith("+00:00")
    assert CliRunner().invoke(app, ["history", str(table), "--limit", "0"]).exit_code == 2
