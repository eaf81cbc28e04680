import re
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.settings import known_settings, read_settings


def _file(folder: Path, text: str) -> Path:
    (folder / "harness.toml").write_text(text, encoding="utf-8")
    return folder


def test_every_setting_has_a_default(tmp_path: Path) -> None:
    """Without a file, a variable or an option every setting is there by default."""
    settings = read_settings(folder=tmp_path, environ={})
    assert {(known.name, "default") for known in known_settings()} == {
        (each.name, each.origin) for each in settings
    }


@pytest.mark.parametrize(
    ("text", "environ", "option", "expected"),
    [
        ("", {}, None, ("harness", "default")),
        ('\nexperiment = "file"', {}, None, ("file", "harness.toml:2")),
        ('experiment = "file"', {"HARNESS_EXPERIMENT": "env"}, None, ("env", "HARNESS_EXPERIMENT")),
        ('experiment = "file"', {"HARNESS_EXPERIMENT": "env"}, "cli", ("cli", "command line")),
        ('experiment = "file"', {"HARNESS_EXPERIMENT": ""}, None, ("file", "harness.toml:1")),
    ],
    ids=["default", "file", "environment", "command line", "empty variable"],
)
def test_the_nearer_origin_wins(
    tmp_path: Path, text: str, environ: dict[str, str], option: str | None, expected: tuple[str, str]
) -> None:
    """Default, file, environment, command line: each outdoes the one before, and says what it is."""
    settings = read_settings({"experiment": option}, folder=_file(tmp_path, text), environ=environ)
    found = settings.by_name["experiment"]
    assert expected == (found.value, found.origin)


def test_home_stands_in_other_settings(tmp_path: Path) -> None:
    """{home} is the absolute home folder, wherever it is set."""
    settings = read_settings(folder=tmp_path, environ={"HARNESS_HOME": "elsewhere"})
    home = tmp_path / "elsewhere"
    expected = (str(home / "lake"), str(home / "models"), f"sqlite:///{home}/mlflow.db", home / "runs")
    assert expected == (settings["lake"], settings["stores.models"], settings["tracking_uri"], settings.runs)


@pytest.mark.parametrize("name", ["home", "lake", "artifacts", "stores.models"])
def test_a_relative_path_starts_where_the_file_lies(tmp_path: Path, name: str) -> None:
    """A path is absolute once it is read."""
    settings = read_settings(folder=_file(tmp_path, f'{name} = "a/../b"'), environ={})
    assert str(tmp_path / "b") == settings[name]


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ is expanded, as a shell would have done."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read_settings(folder=tmp_path, environ={"HARNESS_HOME": "~/harness"})
    assert tmp_path / "harness" == settings.home


def test_a_uri_is_no_path(tmp_path: Path) -> None:
    """A lake elsewhere is left as it is."""
    uri = "abfss://lake@account.dfs.core.windows.net/"
    assert uri == read_settings(folder=tmp_path, environ={"HARNESS_LAKE": uri})["lake"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('stores.models = "a"', "harness.toml:1"),
        ('# models\n[stores]\nmodels = "a"', "harness.toml:3"),
        ('home = "h"\n[ stores ] # of models\n"models" = "a"', "harness.toml:3"),
        ('home = "h"\n[stores]\nhome = "x"\nmodels = "a"', "harness.toml:4"),
    ],
)
def test_the_origin_has_the_line(tmp_path: Path, text: str, expected: str) -> None:
    """A setting of a section is found where it stands, also where its key is another setting's too."""
    settings = read_settings(folder=_file(tmp_path, text), environ={})
    assert expected == settings.by_name["stores.models"].origin


def test_a_number_may_be_written_without_quotes(tmp_path: Path) -> None:
    """TOML's whole numbers are as good as text."""
    assert read_settings(folder=_file(tmp_path, "cores = 4"), environ={})["cores"] == "4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\ntargte = "x"', "harness.toml:2: unknown setting 'targte'. Did you mean 'target'?"),
        ('[home]\nx = "y"', "harness.toml:2: unknown setting 'home.x'."),
        ("zzz = 1", "harness.toml:1: unknown setting 'zzz'."),
        ("cores = [4]", "harness.toml:1: 'cores' should be text. Put it in quotes."),
        ("home = true", "harness.toml:1: 'home' should be text. Put it in quotes."),
        ("home = 2018-01-01", "harness.toml:1: 'home' should be text. Put it in quotes."),
        ("\nhome = x", "harness.toml: not valid TOML: Invalid value (at line 2, column 8)."),
        ('home = "a"\nhome = "b"\n', "harness.toml: not valid TOML: Cannot overwrite a value (at line 2"),
        ("x = " + "[" * 5000, "harness.toml: not valid TOML: maximum recursion depth exceeded"),
        ("cores = " + "9" * 5000, "harness.toml: not valid TOML: Exceeds the limit"),
        ('home = "a\\u0000b"', "The setting 'home' (harness.toml:1) is not a path: 'a\\x00b': "),
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake is one message with the line where there is one."""
    with pytest.raises(UsageError, match=re.escape(message)):
        read_settings(folder=_file(tmp_path, text), environ={})


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """A file that is not UTF-8 is not valid TOML."""
    (tmp_path / "harness.toml").write_bytes(b'home = "\xff"')
    with pytest.raises(UsageError, match=r"harness\.toml: not valid TOML: 'utf-8' codec"):
        read_settings(folder=tmp_path, environ={})


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HARNESS_HOME", "~nobody_of_this_name/x", "The setting 'home' (HARNESS_HOME) is not a path"),
        (
            "HARNESS_TRACKING_URI",
            "http://[bad",
            "The setting 'tracking_uri' (HARNESS_TRACKING_URI) is not a URI",
        ),
        (
            "HARNESS_TRACKING_URI",
            "http://me:secret@host",
            "contains a password, which plans and reports",
        ),
        ("HARNESS_STORES_MODELS", "s3://key:secret@bucket", "The setting 'stores.models'"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    """A value that can't be used is a user's mistake, with the setting and its origin."""
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        read_settings(folder=tmp_path, environ={variable: value})
    assert caught.value.exit_code == ExitCode.WRONG_INPUT


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    """The message about a password does not hold it."""
    with pytest.raises(UsageError) as caught:
        read_settings(folder=tmp_path, environ={"HARNESS_TRACKING_URI": "http://me:secret@host"})
    assert "secret" not in str(caught.value)


def test_a_user_without_a_password_is_no_secret(tmp_path: Path) -> None:
    """A user's name may stand in a tracking URI."""
    uri = "http://me@host/mlflow"
    assert uri == read_settings(folder=tmp_path, environ={"HARNESS_TRACKING_URI": uri})["tracking_uri"]


def test_a_store_of_the_file_can_be_named(tmp_path: Path) -> None:
    """A scenario publishes to any store that the file adds."""
    settings = read_settings(folder=_file(tmp_path, '[stores]\nshared = "s3://bucket/models"'), environ={})
    assert settings.store("shared") == "s3://bucket/models"


def test_an_unknown_store_is_told_with_the_nearest(tmp_path: Path) -> None:
    """A store that is not there is a mistake, and the message names those that are."""
    settings = read_settings(folder=tmp_path, environ={})
    with pytest.raises(UsageError, match=r"Unknown model store 'model', .*\. Did you mean 'models'"):
        settings.store("model")


@pytest.mark.parametrize(("name", "value"), [("cores", "lots"), ("cores", "0"), ("driver_memory", "2 GB")])
def test_a_value_that_no_job_could_start_with_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """Cores and memory are looked at before a JVM is started with them."""
    with pytest.raises(UsageError, match=f"Invalid value '{value}' of the setting '{name}'"):
        read_settings({name: value}, folder=tmp_path, environ={})
