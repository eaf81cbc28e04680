"""An existing table from the command line, in place of the scenario's own."""

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


def _override(uri: str = LAKE, versions: str | None = "12, 2026-03-01,latest") -> Any:
    override = parse_table_override(uri, versions)
    assert override is not None
    return override


def _load(file: Path) -> Scenario:
    return load_scenario(str(file), _override()).scenario


def test_the_versions_of_the_table_are_read(file: Path) -> None:
    """The scenario reads the specified versions of the table, even if its own source doesn't exist."""
    scenario = _load(file)
    assert (LAKE, None) == (scenario.table.uri, scenario.table.source)
    assert ["v12", "t20260301_000000", "latest"] == [each.name for each in scenario.versions]
    assert {"read"} == {each.kind for each in scenario.versions}


def test_bounds_under_every_are_kept(file: Path) -> None:
    """Bounds under ``every`` are kept, except for changes since a version that is not read."""
    every = _load(file).every.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert {
        "nulls": {"amount": [{"max": 0.1}]},
        "metrics": {
            "test_roc_auc": [{"min": 0.6}],
            "cv_roc_auc": [{"change": {"since": "previous", "min": -0.1}}],
        },
    } == every


def test_expectations_of_single_versions_are_dropped(file: Path) -> None:
    """Expectations of single versions are dropped, and with them the bounds that had to fail."""
    scenario = _load(file)
    assert {None} == {each.expect.rows for each in scenario.versions}
    assert ("pass", ()) == (scenario.verdict, scenario.caught_by)


def test_the_parameters_name_the_table_and_its_versions(file: Path) -> None:
    """The parameters of the run are the table's URI and its versions, which are not in the file."""
    expected = {"table.uri": LAKE, "table.versions": "v12, t20260301_000000, latest"}
    assert expected == load_scenario(str(file), _override()).parameters


def test_the_default_version_is_the_latest() -> None:
    """A table without ``--versions`` is read at its latest version."""
    assert ["latest"] == [each.name for each in _override(versions=None).versions]


def test_no_table_is_no_override() -> None:
    """A command line without ``--table`` leaves the scenario unchanged."""
    assert parse_table_override(None, None) is None


def test_a_relative_path_starts_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path of a table starts at the current folder."""
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "lake" / "loans") == _override("lake/loans").uri


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
def test_an_invalid_table_or_version_is_reported(uri: str | None, versions: str | None, message: str) -> None:
    """An invalid ``--table`` or ``--versions`` leads to one message before anything is loaded."""
    with pytest.raises(UsageError) as caught:
        parse_table_override(uri, versions)
    assert caught.value.message.startswith(message)


def test_versions_without_a_table_are_wrong_input(file: Path) -> None:
    """The command ``scenario`` refuses ``--versions`` without ``--table`` with exit code 2."""
    outcome = CliRunner().invoke(app, ["scenario", str(file), "--versions", "12"])
    assert isinstance(outcome.exception, UsageError)
    assert ExitCode.WRONG_INPUT == outcome.exception.exit_code


def test_a_mistake_in_a_replaced_version_is_reported(file: Path) -> None:
    """A mistake in a version that is not read is reported with its line, as it is without ``--table``."""
    file.write_text(TEXT.replace("test_roc_auc: { min: 0.99 }", "test_rocauc: { min: 0.99 }"))
    with pytest.raises(ScenarioError, match=r"loans\.yaml:\d+: .*test_rocauc"):
        load_scenario(str(file), _override())


def test_a_local_table_is_checked(tmp_path: Path, file: Path) -> None:
    """Versions and columns of a local table are checked, with the lines of the table and the features."""
    write_deltalake(tmp_path / "loans", pa.table({"id": [1], "status": ["late"]}))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(str(file), _override(str(tmp_path / "loans"), "0,7"))
    assert [
        (2, "the table loans has no version 7; its newest is 0."),
        (5, "the table loans has no column 'amount' at version 0."),
    ] == [(each.line, each.message) for each in caught.value.problems]


def test_a_missing_table_is_not_a_mistake_in_the_file(tmp_path: Path, file: Path) -> None:
    """A table that doesn't exist is reported as a mistake of --table, without a line of the scenario."""
    outcome = CliRunner().invoke(app, ["plan", str(file), "--table", str(tmp_path / "nowhere")])
    assert isinstance(outcome.exception, UsageError)
    assert f"--table: the table {tmp_path / 'nowhere'} doesn't exist." == outcome.exception.message


def test_replaced_versions_have_no_line(file: Path) -> None:
    """A problem of a version that is read has no line, as the file's versions are others."""
    loaded = load_scenario(str(file), _override())
    assert loaded.document.line_of(("versions", 0, "read")) is None
    assert loaded.document.line_of(("pipeline", "features", 0)) == 5


def test_the_console_shows_which_bounds_are_checked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console shows before the run that expectations of single versions are ignored."""
    monkeypatch.setattr(request, "open_target", _stop)
    outcome = CliRunner().invoke(app, ["scenario", str(file), "--table", LAKE, "--versions", "12"])
    expected = (
        f"Table: {LAKE} at v12. The expectations of the scenario's own versions are ignored; "
        "the bounds under 'every' are checked.\n"
    )
    assert expected == outcome.stdout


def test_a_matrix_keeps_keys_outside_the_versions(file: Path) -> None:
    """A matrix loses only the keys that refer to replaced versions."""
    file.write_text(TEXT + "matrix: { seed: [1, 2], versions.january.append.where: [id = 1, id = 2] }\n")
    assert {"seed": (1, 2)} == _load(file).matrix


def _stop(*_: object, **__: object) -> None:
    raise UsageError(os.devnull)
