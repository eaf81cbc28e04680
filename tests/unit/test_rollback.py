"""The command 'rollback', on a real store of MLflow."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from harness import cli
from harness.cli import app
from harness.errors import ExitCode
from harness.registered_models import move_alias

NAME = "main.risk.loan"


@pytest.fixture(name="client")
def _client(tracked_folder: Path) -> MlflowClient:
    """Return a client of a store with a model of three versions, to each of which the alias has pointed."""
    client = MlflowClient(f"sqlite:///{tracked_folder}/home/mlflow.db")
    client.create_registered_model(NAME)
    for number in "123":
        client.create_model_version(NAME, str(tracked_folder))
        move_alias(client, NAME, "champion", number)
    return client


def read_champion(client: MlflowClient) -> str:
    """Return the number of the version that the alias points to."""
    return str(client.get_model_version_by_alias(NAME, "champion").version)


def fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Return exit code and message of the command, which fails."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["harness", "rollback", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), capsys.readouterr().err


def test_the_alias_goes_back_step_by_step(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each call moves the alias to the version before, says so in one line, and ends at the first one."""
    outcome = CliRunner().invoke(app, ["rollback", NAME])
    expected = f"'champion' of '{NAME}' now points to version 2; it was version 3.\n"
    assert (ExitCode.PASS, expected, "2") == (outcome.exit_code, outcome.output, read_champion(client))
    assert "2" == client.get_model_version(NAME, "3").tags["harness.rolled_back.champion"]
    assert ExitCode.PASS == CliRunner().invoke(app, ["rollback", NAME, "--alias", "champion"]).exit_code
    code, message = fail(monkeypatch, capsys, NAME)
    assert (ExitCode.PREREQUISITE_MISSING, "1") == (code, read_champion(client))
    assert f"'champion' of the registered model '{NAME}' points to version 1, and no earlier one" in message


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["main.risk.laon"],
            3,
            "MLflow has no registered model 'main.risk.laon'. Did you mean 'main.risk.loan'?",
        ),
        ([NAME, "--alias", "champoin"], 3, "has no alias 'champoin'. Did you mean 'champion'?"),
        (["main.loan"], 2, "'main.loan' can't be a registered model: use NAME or CATALOG.SCHEMA.NAME"),
        (["a'b"], 2, "'a'b' can't be a registered model: use NAME or CATALOG.SCHEMA.NAME"),
        ([NAME, "--alias", "v3"], 2, "'v3' is not the alias of a model."),
        ([NAME, "--alias", "latest"], 2, "'latest' is not the alias of a model."),
        ([NAME, "--alias", "a b"], 2, "'a b' is not the alias of a model."),
    ],
)
def test_what_prevents_a_rollback_is_one_message(
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """An unknown model or alias, or a wrong name, is one message, and nothing is moved."""
    found, error = fail(monkeypatch, capsys, *arguments)
    assert (code, True) == (found, message in error), error
    assert "3" == read_champion(client)


def test_a_deleted_version_is_reported(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the version before was deleted, the alias stays."""
    client.delete_model_version(NAME, "2")
    code, message = fail(monkeypatch, capsys, NAME)
    assert ExitCode.PREREQUISITE_MISSING == code
    assert f"Version 2 of the registered model '{NAME}', the one before, was deleted." in message
    assert "3" == read_champion(client)


def test_without_a_store_there_is_nothing_to_roll_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that doesn't exist is not created."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HOME", str(tmp_path / "home"))
    code, message = fail(monkeypatch, capsys, NAME)
    assert ExitCode.PREREQUISITE_MISSING == code
    assert "mlflow.db doesn't exist." in message
    assert not (tmp_path / "home").exists()
