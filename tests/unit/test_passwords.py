"""Passwords in URIs and options: refused wherever an address enters, and hidden wherever one is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import ExitCode, HarnessError, UsageError
from harness.loading.loader import load_scenario
from harness.loading.table_override import parse_table_override
from harness.scenario.text_checks import is_secret_name
from harness.settings import list_settings, read_settings
from harness.storage.uris import describe_password, hide_passwords, remove_password
from harness.tracking.lineage import TrackingStore, find_runs

SECRET = "hunter2"
URIS = {
    f"postgresql://me@host/db?password={SECRET}": "a password ('password')",
    f"postgresql+psycopg2://me:{SECRET}@host/db": "a password",
    f"https://host/?a=1&token={SECRET}": "a password ('token')",
    f"https://host/#access_token={SECRET}": "a password ('access_token')",
    f"https://host/?pass%77ord={SECRET}": "a password ('password')",
    f"abfss://lake@dlsloandev.dfs.core.windows.net/t?sv=1&sig={SECRET}": "a password ('sig')",
    f"jdbc:sqlserver://host:1433;user=me;Pwd={SECRET}": "a password ('Pwd')",
    f"s3a://bucket/t?X-Amz-Signature={SECRET}": "a password ('X-Amz-Signature')",
    f"https://host/api?code={SECRET}": "a password ('code')",
}
SCENARIO = """\
name: loans
table: { uri: "URI", key: id }
pipeline:
  label: { column: status, positive: [late], negative: [paid] }
  features: [amount]
versions:
  - name: one
    read: latest
"""


@pytest.mark.parametrize(("uri", "password"), URIS.items())
def test_a_password_in_a_uri_is_described_and_hidden(uri: str, password: str) -> None:
    """A password is found before the host and in every parameter, and no text shows its value."""
    assert password == describe_password(uri)
    assert SECRET not in hide_passwords(f"can't read '{uri}'; try again") + remove_password(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "abfss://lake@dlsloandev.dfs.core.windows.net/t?version=1",
        "https://adb-1.7.azuredatabricks.net/?o=123&author=me",
        "sqlite:////home/me/mlflow.db?mode=ro",
        "postgresql://me@host/db?sslmode=require",
        "/data/loans?token=1.csv",
        "https://host:8080/a:b@c",
        "a text about https, with token=abc",
    ],
)
def test_a_uri_without_a_password_is_accepted_and_shown_unchanged(uri: str) -> None:
    """A user, a container, and other parameters are no passwords; a path may contain anything."""
    assert (None, uri, uri) == (describe_password(uri), hide_passwords(uri), remove_password(uri))


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize("name", [*(each.name for each in list_settings()), "stores.shared"])
def test_no_setting_accepts_a_password(tmp_path: Path, name: str, uri: str) -> None:
    """A password in the value of any setting is refused with the setting's line, and not repeated."""
    if name == "home":
        return  # A folder, never an address.
    (tmp_path / "harness.toml").write_text(f'{name} = "{uri}"\n')
    with pytest.raises(UsageError) as caught:
        read_settings(folder=tmp_path, environ={})
    expected = (
        f"The setting '{name}' (harness.toml:1) contains {URIS[uri]}, which plans and reports would show."
    )
    assert expected == caught.value.message
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("uri", URIS)
def test_no_command_line_accepts_a_password(uri: str) -> None:
    """A table's URI on the command line is refused, and its password is not repeated."""
    for read in (
        lambda: parse_table_override(uri, None),
        lambda: find_runs(TrackingStore(read_settings(environ={})), uri, None),
    ):
        with pytest.raises(UsageError) as caught:
            read()
        assert f"--table: the table's URI contains {URIS[uri]}; remove it." == str(caught.value)
    outcome = CliRunner().invoke(app, ["retain", uri])
    assert f"The table's URI contains {URIS[uri]}; remove it." == str(outcome.exception)


@pytest.mark.parametrize("uri", URIS)
def test_no_scenario_accepts_a_password(tmp_path: Path, uri: str) -> None:
    """A table's URI and a source are refused with their line, and the password is not repeated."""
    file = tmp_path / "loans.yaml"
    built = SCENARIO.replace("uri:", "source:").replace("read: latest", "append:")
    for kind, text in (("table", SCENARIO), ("source", built)):
        file.write_text(text.replace("URI", uri))
        with pytest.raises(HarnessError) as caught:
            load_scenario(str(file))
        assert f"{file}:2: the {kind}'s URI contains {URIS[uri]}; remove it." == str(caught.value)


def test_a_message_about_a_matrix_hides_its_passwords(tmp_path: Path) -> None:
    """A message that quotes a value of the file shows it without its password."""
    file = tmp_path / "loans.yaml"
    uris = ", ".join([f'"abfss://lake@dls.dfs.core.windows.net/t?sig={SECRET}"'] * 2)
    file.write_text(
        SCENARIO.replace("URI", "abfss://lake@dls.dfs.core.windows.net/t")
        + f"matrix: {{ table.uri: [{uris}] }}\n"
    )
    with pytest.raises(HarnessError) as caught:
        load_scenario(str(file))
    assert ExitCode.WRONG_INPUT == caught.value.exit_code
    assert ("sig=***" in str(caught.value), SECRET in str(caught.value)) == (True, False)


@pytest.mark.parametrize(
    "name",
    [
        "apiKey",
        "api_key",
        "APIKEY",
        "x-functions-key",
        "pwd",
        "dbPwd",
        "auth",
        "basicAuth",
        "sas",
        "sasToken",
    ],
)
def test_a_name_of_a_secret_is_recognized(name: str) -> None:
    """However a name is written, its words tell that its value is a secret."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["author", "compass", "passes", "signal", "key", "sep", "header", "authority"]
)
def test_another_name_is_accepted(name: str) -> None:
    """A word that only contains the name of a secret isn't one."""
    assert not is_secret_name(name)
