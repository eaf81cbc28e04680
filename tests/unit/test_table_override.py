"""A table that the command line names in place of the scenario's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from harness import request
from harness.cli import app
from harness.errors import ExitCode, ScenarioError, UsageError
from harness.loading.loader import load_scenario
from harness.loading.table_override import parse_table_override
from harness.scenario.model import Scenario

LAKE = "abfss://lake@dls.dfs.core.windows.net/loans"
TEXT = """\
name: loans
table: { source: data/absent.csv, key: id }
pipeline:
  label: { column: status, positive: [late], negative: [paid] }
  features: [amount]
every:
  nulls: { amount: { max: 0.1 } }
  metrics:
    test_roc_auc: [{ min: 0.6 }, { change: { since: january, min: -0.1 } }]
    test_f1: { change: { since: february, min: -0.1 }, on: added }
    cv_roc_auc: { change: { since: previous, min: -0.1 } }
  explanations: { sign_agreement: { since: january, min: 0.8 } }
versions:
  - name: january
    append:
    expect: { rows: 5 }
  - name: february
    update: { set: { amount: amount * 2 } }
    expect: { metrics: { test_roc_auc: { min: 0.99 } } }
  - name: march
    update: { set: { amount: amount * 2 } }
verdict: fail
caught_by: [february.test_roc_auc]
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "loans.yaml"
    file.write_text(TEXT)
    return file


def _given(uri: str = LAKE, versions: str | None = "12, 2026-03-01,latest") -> Any:
    found = parse_table_override(uri, versions)
    assert found is not None
    return found


def _loaded(file: Path) -> Scenario:
    return load_scenario(str(file), _given()).scenario


def test_the_versions_of_the_table_are_read(file: Path) -> None:
    """Each by the name that it has in a scenario's own list; the scenario's source need not be there."""
    scenario = _loaded(file)
    assert (LAKE, None) == (scenario.table.uri, scenario.table.source)
    assert ["v12", "t20260301_000000", "latest"] == [each.name for each in scenario.versions]
    assert {"read"} == {each.kind for each in scenario.versions}


def test_what_every_version_must_obey_stays(file: Path) -> None:
    """But for what is said of a change since a version that is not read."""
    every = _loaded(file).every.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert {
        "nulls": {"amount": [{"max": 0.1}]},
        "metrics": {
            "test_roc_auc": [{"min": 0.6}],
            "cv_roc_auc": [{"change": {"since": "previous", "min": -0.1}}],
        },
    } == every


def test_what_single_versions_must_obey_is_left_out(file: Path) -> None:
    """And with it the bounds that had to fail."""
    scenario = _loaded(file)
    assert {None} == {each.expect.rows for each in scenario.versions}
    assert ("pass", ()) == (scenario.verdict, scenario.caught_by)


def test_the_plan_s_parameters_say_what_was_read(file: Path) -> None:
    """The scenario's file says something else."""
    expected = {"table.uri": LAKE, "table.versions": "v12, t20260301_000000, latest"}
    assert expected == load_scenario(str(file), _given()).parameters


def test_without_versions_the_latest_is_read() -> None:
    """That is the everyday question before a deployment."""
    assert ["latest"] == [each.name for each in _given(versions=None).versions]


def test_without_a_table_nothing_is_given() -> None:
    """A scenario runs as it says."""
    assert parse_table_override(None, None) is None


def test_a_folder_is_relative_to_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everything on a command line is."""
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "lake" / "loans") == _given("lake/loans").uri


@pytest.mark.parametrize(
    ("uri", "versions", "message"),
    [
        (None, "12", "--versions needs --table"),
        ("", None, "--table is empty"),
        ("null\0", None, "--table: can't access 'null\\x00'"),
        (LAKE, "twelve", "--versions: 'twelve' is not a version of a table"),
        (LAKE, "-1", "--versions: '-1' is not a version of a table"),
        (LAKE, "12,,13", "--versions: '' is not a version of a table"),
        (LAKE, "", "--versions: '' is not a version of a table"),
        (LAKE, "12.5", "--versions: '12.5' is not a version of a table"),
        (LAKE, "2026-13-01", "--versions: '2026-13-01' is not a version of a table"),
        (LAKE, "12,13,12", "--versions lists v12 twice"),
    ],
)
def test_what_can_t_be_read_is_told(uri: str | None, versions: str | None, message: str) -> None:
    """One message, before anything is loaded."""
    with pytest.raises(UsageError) as caught:
        parse_table_override(uri, versions)
    assert caught.value.message.startswith(message)


def test_the_command_line_ends_with_one_message(file: Path) -> None:
    """Exit code 2, and nothing else is looked at."""
    outcome = CliRunner().invoke(app, ["scenario", str(file), "--versions", "12"])
    assert isinstance(outcome.exception, UsageError)
    assert ExitCode.WRONG_INPUT == outcome.exception.exit_code


def test_the_scenario_must_be_right_in_itself(file: Path) -> None:
    """Also what is left out: its lines are told as without a table."""
    file.write_text(TEXT.replace("test_roc_auc: { min: 0.99 }", "test_rocauc: { min: 0.99 }"))
    with pytest.raises(ScenarioError, match=r"loans\.yaml:\d+: .*test_rocauc"):
        load_scenario(str(file), _given())


def test_a_local_table_is_looked_at(tmp_path: Path, file: Path) -> None:
    """As one that the scenario names itself; its versions have no line but the table's."""
    write_deltalake(tmp_path / "loans", pa.table({"id": [1], "status": ["late"]}))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(file), _given(str(tmp_path / "loans"), "0,7"))
    assert [
        (2, "the table loans has no version 7; its newest is 0."),
        (5, "the table loans has no column 'amount' at version 0."),
    ] == [(each.line, each.message) for each in caught.value.problems]


def test_a_problem_of_the_job_has_no_line_of_a_version_that_was_not_read(file: Path) -> None:
    """The file's versions are others."""
    loaded = load_scenario(str(file), _given())
    assert loaded.document.line_of(("versions", 0, "read")) is None
    assert loaded.document.line_of(("pipeline", "features", 0)) == 5


def test_what_is_left_out_is_said_in_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the console, before the run."""
    monkeypatch.setattr(request, "open_target", _stop)
    outcome = CliRunner().invoke(app, ["scenario", str(file), "--table", LAKE, "--versions", "12"])
    expected = (
        f"Table: {LAKE} at v12. The expectations of the scenario's own versions are ignored; "
        "the bounds under 'every' are checked.\n"
    )
    assert expected == outcome.stdout


def test_a_matrix_keeps_what_is_not_about_the_versions(file: Path) -> None:
    """The seed varies as before."""
    file.write_text(TEXT + "matrix: { seed: [1, 2], versions.january.append.where: [id = 1, id = 2] }\n")
    assert {"seed": (1, 2)} == _loaded(file).matrix


def _stop(*_: object, **__: object) -> None:
    raise UsageError(os.devnull)
