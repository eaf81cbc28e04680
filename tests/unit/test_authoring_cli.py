"""The commands for authors of scenarios."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from ruamel.yaml import YAML
from typer.testing import CliRunner

from harness import cli
from harness.cli import app
from harness.cli.options import complete_scenario_name
from harness.errors import ExitCode, PrerequisiteError, UsageError
from harness.loading.json_schema import FILE
from tests.unit.wine import write_wines

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    return tmp_path


def test_init_writes_a_scenario_that_commands_find(folder: Path) -> None:
    """The scenario that init writes is found by name by check, list, plan and shell completion."""
    init = ["init", "wine", "--data", str(write_wines(folder)), "--label", "quality", "--positive", "good"]
    outcomes = [
        CliRunner().invoke(app, each) for each in (init, ["check", "wine"], ["list"], ["plan", "wine"])
    ]
    assert [ExitCode.PASS] * 4 == [outcome.exit_code for outcome in outcomes]
    assert ["wine"] == complete_scenario_name("wi")
    assert "wine\twine\t3\t-\t" in outcomes[2].stdout
    assert "Trained: logistic_regression on 3 versions" in outcomes[3].stdout


def test_a_second_init_is_wrong_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An existing scenario file leads to one message and exit code 2."""
    data = str(write_wines(folder))
    (folder / "scenarios").mkdir()
    (folder / "scenarios" / "wine.yaml").write_text("mine")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["harness", "init", "wine", "--data", data, "--label", "quality"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    message = "scenarios/wine.yaml already exists.\n  Choose another name, or delete the file.\n"
    assert (ExitCode.WRONG_INPUT, message) == (caught.value.code, capsys.readouterr().err)


def test_a_folder_without_scenarios_is_reported(folder: Path) -> None:
    """If there are no scenarios, list names the folder in which it looked."""
    outcome = CliRunner().invoke(app, ["list"])
    assert (ExitCode.PASS, f"There are no scenarios in {folder / 'scenarios'}.\n") == (
        outcome.exit_code,
        outcome.stdout,
    )


@pytest.mark.usefixtures("folder")
def test_a_schema_that_can_not_be_written_is_reported() -> None:
    """A file that the schema can't be written to is a missing prerequisite, with its path."""
    Path("taken").touch()
    error = CliRunner().invoke(app, ["schema", "--out", "taken/schema.json"]).exception
    assert isinstance(error, PrerequisiteError)
    assert error.message.startswith("Can't write taken/schema.json")


@pytest.mark.usefixtures("folder")
def test_the_plan_is_json_on_request() -> None:
    """With --json, the command plan prints the whole plan for programs."""
    outcome = CliRunner().invoke(app, ["plan", str(ROOT / "scenarios" / "three_versions.yaml"), "--json"])
    values = json.loads(outcome.stdout)
    found = (values["fits_per_version"], values["cluster_minutes"], values["versions"][2]["version"])
    assert (20, None, 2) == found


def test_the_schema_is_shown_and_written(folder: Path) -> None:
    """The schema is printed to standard output or written to a file."""
    shown = CliRunner().invoke(app, ["schema"]).stdout
    CliRunner().invoke(app, ["schema", "--out", "schema.json"])
    assert FILE.read_text() == shown == (folder / "schema.json").read_text()


def test_plan_accepts_an_existing_table() -> None:
    """The command plan shows what a run on versions of an existing table would do, if --table names one."""
    table = "abfss://lake@dls.dfs.core.windows.net/loans"
    scenario = str(ROOT / "scenarios" / "three_versions.yaml")
    arguments = ["plan", scenario, "--table", table, "--versions", "12,latest"]
    shown = CliRunner().invoke(app, arguments).stdout
    planned = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert shown.startswith(f"Table: {table} at v12, latest.")
    assert (table, ["v12", "latest"]) == (planned["table"], [each["name"] for each in planned["versions"]])


def test_plan_names_the_version_that_a_time_leads_to(tmp_path: Path) -> None:
    """A time after the newest commit of a local table is shown with the version that it leads to."""
    write_deltalake(tmp_path / "loans", pa.table({"id": [1]}))
    scenario = str(ROOT / "scenarios" / "three_versions.yaml")
    arguments = ["plan", scenario, "--table", str(tmp_path / "loans"), "--versions", "2031-01-01"]
    shown = CliRunner().invoke(app, arguments).stdout
    assert re.search(
        r"^Read: t20310101_000000 as of 2031-01-01 00:00:00 UTC: version 0, committed .* UTC, the newest\.$",
        shown,
        re.MULTILINE,
    ), shown
    assert 0 == json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["versions"][0]["version"]


def test_plan_refuses_versions_without_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command plan refuses --versions without --table."""
    monkeypatch.chdir(ROOT)
    outcome = CliRunner().invoke(app, ["plan", "three_versions", "--versions", "12"])
    assert isinstance(outcome.exception, UsageError)


def test_check_warns_if_no_bound_is_judged(folder: Path) -> None:
    """A scenario without bounds is valid, but check says that it proves nothing, unless it only observes."""
    init = ["init", "wine", "--data", str(write_wines(folder)), "--label", "quality", "--positive", "good"]
    assert CliRunner().invoke(app, init).exit_code == ExitCode.PASS
    file = folder / "scenarios" / "wine.yaml"
    yaml = YAML(typ="safe")
    values = yaml.load(file)
    values.pop("every", None)
    for version in values["versions"]:
        version.pop("expect", None)
    for observe, warns in ((False, True), (True, False)):
        yaml.dump({**values, "observe": observe}, file)
        outcome = CliRunner().invoke(app, ["check", "wine"])
        found = "warning: the verdict will be 'not proven'" in outcome.stdout
        assert (ExitCode.PASS, warns) == (outcome.exit_code, found)


@pytest.mark.parametrize(("mistakes", "more"), [(20, []), (1_021, ["and 1,001 more"])])
def test_check_shows_at_most_twenty_mistakes(tmp_path: Path, mistakes: int, more: list[str]) -> None:
    """Of many mistakes, the first 20 are shown in the order of the file, then the number of the others."""
    shipped = (ROOT / "scenarios" / "rollback.yaml").read_text(encoding="utf-8")
    assert shipped.endswith("\n")
    file = tmp_path / "many.yaml"
    file.write_text(shipped + "".join(f"unknown_{at}: 1\n" for at in range(mistakes)), encoding="utf-8")
    outcome = CliRunner().invoke(app, ["check", str(file)])
    shown = outcome.stderr
    first = len(shipped.splitlines()) + 1
    lines = [line.removeprefix(f"{file}:").partition(". Known keys:")[0] for line in shown.splitlines()]
    expected = [f"{first + at}: unknown key 'unknown_{at}'" for at in range(20)] + more
    assert (ExitCode.WRONG_INPUT, expected) == (outcome.exit_code, lines)
