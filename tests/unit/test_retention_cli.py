"""The command 'retain', what it finds pinned, and the doctor's warnings."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness import cli
from harness.cli import app
from harness.errors import ExitCode
from harness.retention.pins import normalize_table
from harness.settings import read_settings
from harness.tracking.pinned_tables import check_pinned_tables
from tests.unit.retention_samples import SampleTable


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SampleTable:
    """Return a table in the current folder, whose model store is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_STORES_MODELS", str(tmp_path / "models"))
    return SampleTable.create(tmp_path)


def retain(*arguments: str) -> tuple[int, str]:
    """Return exit code and output of the command."""
    outcome = CliRunner().invoke(app, ["retain", *arguments])
    return outcome.exit_code, outcome.output


def read_json(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Return exit code and the tables of the command's JSON."""
    code, output = retain(*arguments, "--json")
    return code, json.loads(output)["tables"]


def fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str) -> tuple[int, str]:
    """Return exit code and message of the command, which fails."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["harness", "retain", name])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), capsys.readouterr().err


def test_safe_pins_pass(table: SampleTable) -> None:
    """Pinned versions that the table keeps are listed; the exit code is 0."""
    bundle = table.pin(2)
    code, output = retain()
    assert ExitCode.PASS == code
    assert f"Table: {table.path}\nNewest version: 2. delta.deletedFileRetentionDuration = interval" in output
    assert f"1\tsafe\tbundle {bundle}\n" in output


def test_a_version_that_will_be_lost_is_a_warning(table: SampleTable) -> None:
    """A version that can be lost within the given days is reported with what keeps it; the exit code is 0."""
    table.pin(0)
    table.age_removals(3)
    code, output = retain("--days", "5")
    assert ExitCode.PASS == code
    assert "\texpiring\t" in output
    assert "Version 0: from 20" in output
    assert "ALTER TABLE" in output
    code, output = retain("--days", "1")
    assert (ExitCode.PASS, True) == (code, "\tsafe\t" in output)


def test_a_version_that_nothing_keeps_fails(table: SampleTable) -> None:
    """A version that the next vacuum takes fails the command; its JSON has everything that is shown."""
    bundle = table.pin(0)
    table.pin(2)
    table.age_removals(30)
    code, [found] = read_json()
    assert (ExitCode.BOUND_FAILED, "at risk", 2) == (code, found["state"], found["newest_version"])
    first, second = found["versions"]
    assert ("at risk", "safe") == (first["state"], second["state"])
    assert {"version": 0, "rows": 1} == {name: first[name] for name in ("version", "rows")}
    pin = {"kind": "bundle", "uri": bundle, "mlflow_run_id": "r1", "run_id": "20260101-000000-loans-r1"}
    assert [pin] == first["pinned_by"]
    assert ["ALTER TABLE" in found["remedies"][0], "keep_versions=[0, 2]" in found["remedies"][1]] == [
        True
    ] * 2


def test_an_unreadable_version_fails(table: SampleTable) -> None:
    """A version whose data files are gone fails the command."""
    table.pin(0)
    for file in table.path.glob("*.parquet"):
        file.unlink()
    code, [found] = read_json()
    assert (ExitCode.BOUND_FAILED, "unreadable") == (code, found["state"])


def test_a_table_is_named_in_several_ways(table: SampleTable, tmp_path: Path) -> None:
    """A table is found by its folder, its URI, its name, and a scenario that reads it, by name or file."""
    table.pin(2)
    scenario = tmp_path / "scenarios" / "credit.yaml"
    scenario.parent.mkdir()
    scenario.write_text(
        "name: credit\n"
        f"table: {{ name: any, uri: {table.path}, key: id, versions: [2] }}\n"
        "pipeline: { label: { column: status, positive: [late], negative: [paid] }, features: [amount] }\n"
    )
    names = ("./loans", str(table.path), f"file://{table.path}/", "loans", "credit", str(scenario))
    for name in names:
        code, [found] = read_json(name)
        assert (ExitCode.PASS, str(table.path), 1) == (code, found["table"], len(found["versions"])), name


def test_tables_that_runs_built_are_left_out(table: SampleTable) -> None:
    """A table that a run built is only inspected if it is named: nobody else writes to it."""
    table.pin(0, table="file:///lake/runs/20260101-000000-loans-r1/built", name="built")
    assert (ExitCode.PASS, "No version of an existing table is pinned.\n") == retain()
    code, [found] = read_json("built")
    assert (ExitCode.BOUND_FAILED, None) == (code, found["newest_version"])
    assert "the table doesn't exist" in found["versions"][0]["reason"]


def test_a_table_without_pins_passes(table: SampleTable) -> None:
    """A table without pinned versions is reported as such."""
    assert (ExitCode.PASS, f"No version of {table.path} is pinned.\n") == retain(str(table.path))


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("loanz", ExitCode.WRONG_INPUT, "Did you mean 'loans'?"),
        (" ", ExitCode.WRONG_INPUT, "The name of the table is empty."),
        ("none.yaml", ExitCode.WRONG_INPUT, "The scenario file none.yaml doesn't exist."),
        ("wasbs://lake@account.blob.core.windows.net/x", ExitCode.WRONG_INPUT, "Did you mean 'abfss://lake@"),
        ("./nowhere", ExitCode.PREREQUISITE_MISSING, "There is no Delta table at "),
        ("/Volumes/a/b/c/loans", ExitCode.PREREQUISITE_MISSING, "it is in a volume of a workspace"),
        (
            "abfss://lake@account.dfs.core.windows.net/loans",
            ExitCode.PREREQUISITE_MISSING,
            "No credential is set for the storage account 'account'",
        ),
    ],
)
def test_what_is_no_table_is_reported(
    table: SampleTable,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    code: ExitCode,
    message: str,
) -> None:
    """A table that doesn't exist or can't be read leads to one message with its exit code."""
    table.pin(0)
    found, text = fail(monkeypatch, capsys, name)
    assert (code, True) == (found, message in text), text


def test_a_broken_manifest_is_reported(
    table: SampleTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest that can't be read is reported, because it may pin a version."""
    bundle = table.pin(0)
    Path(bundle, "manifest.json").write_text("{}")
    code, text = fail(monkeypatch, capsys, "loans")
    assert (ExitCode.PREREQUISITE_MISSING, True) == (code, f"manifest of the bundle {bundle}" in text)


def test_a_broken_log_is_reported(
    table: SampleTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table whose log is not Delta's is reported in one line."""
    table.pin(0)
    for commit in table.log("*.json"):
        commit.write_text("nonsense\n")
    code, text = fail(monkeypatch, capsys, str(table.path))
    assert ExitCode.PREREQUISITE_MISSING == code
    assert f"Can't read the table {table.path} from this machine: " in text


def test_the_doctor_warns(table: SampleTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor warns of a version that will be lost and still exits with 0: runs work without it."""
    monkeypatch.setenv("HARNESS_HOME", str(table.path.parent / "home"))
    [*checks] = check_pinned_tables(read_settings())
    assert [] == checks
    table.pin(2)
    [check] = check_pinned_tables(read_settings())
    assert ("ok", f"pinned versions of {table.path}", "2") == (check.state, check.subject, check.finding)
    table.pin(0)
    table.age_removals(8)
    outcome = CliRunner().invoke(app, ["doctor", "--target", "embedded"])
    assert ExitCode.PASS == outcome.exit_code
    assert f"? warning        pinned versions of {table.path}: version 0: the next vacuum deletes" in (
        outcome.output
    )
    assert "ALTER TABLE" in outcome.output


def test_the_doctor_names_what_it_cannot_check(table: SampleTable) -> None:
    """A table without a credential, and a broken manifest, are not checkable; that fails nothing."""
    table.pin(0, table="abfss://lake@account.dfs.core.windows.net/loans")
    [check] = check_pinned_tables(read_settings())
    assert ("not checkable", True) == (
        check.state,
        "No credential is set for the storage account" in check.finding,
    )
    Path(table.pin(1), "manifest.json").write_text("{}")
    [check] = check_pinned_tables(read_settings())
    assert ("not checkable", True) == (check.state, "Can't read the manifest" in check.finding)


def test_uris_of_one_table_are_equal(tmp_path: Path) -> None:
    """A table is the same by its path and its URI, with or without a slash at the end."""
    assert 1 == len({normalize_table(uri) for uri in (f"{tmp_path}/t", f"file://{tmp_path}/t/")})
    remote = "abfss://lake@account.dfs.core.windows.net/t"
    assert remote == normalize_table(f"{remote}/")
    assert normalize_table(remote) != normalize_table(f"{remote}2")
