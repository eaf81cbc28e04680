"""Settings from the file, the environment and the command line."""

import re
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.settings import list_settings, read_settings

STORE = "abfss://models@dlsloandev.dfs.core.windows.net"


def _file(folder: Path, text: str) -> Path:
    (folder / "harness.toml").write_text(text, encoding="utf-8")
    return folder


def test_every_setting_has_a_default(tmp_path: Path) -> None:
    """Without a file, a variable or an option, every setting has a value."""
    settings = read_settings(folder=tmp_path, environ={})
    assert {(spec.name, "default") for spec in list_settings()} == {
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
def test_the_last_origin_wins(
    tmp_path: Path, text: str, environ: dict[str, str], option: str | None, expected: tuple[str, str]
) -> None:
    """A default is overridden by the file, then the environment, then the command line."""
    settings = read_settings({"experiment": option}, folder=_file(tmp_path, text), environ=environ)
    setting = settings.by_name["experiment"]
    assert expected == (setting.value, setting.origin)


def test_home_is_expanded_in_other_settings(tmp_path: Path) -> None:
    """{home} is replaced with the absolute home folder, wherever that is set."""
    settings = read_settings(folder=tmp_path, environ={"HARNESS_HOME": "elsewhere"})
    home = tmp_path / "elsewhere"
    expected = (str(home / "lake"), str(home / "models"), f"sqlite:///{home}/mlflow.db", home / "runs")
    assert expected == (settings["lake"], settings["stores.models"], settings["tracking_uri"], settings.runs)


@pytest.mark.parametrize("name", ["home", "lake", "artifacts", "stores.models"])
def test_a_relative_path_starts_at_the_settings_file(tmp_path: Path, name: str) -> None:
    """A relative path starts at the folder of the settings file and becomes absolute."""
    settings = read_settings(folder=_file(tmp_path, f'{name} = "a/../b"'), environ={})
    assert str(tmp_path / "b") == settings[name]


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a path, ~ is expanded as a shell would."""
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read_settings(folder=tmp_path, environ={"HARNESS_HOME": "~/harness"})
    assert tmp_path / "harness" == settings.home


def test_a_uri_is_not_a_path(tmp_path: Path) -> None:
    """The URI of a remote lake is left unchanged."""
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
    """The origin of a setting has its line, even if its key also occurs in another section."""
    settings = read_settings(folder=_file(tmp_path, text), environ={})
    assert expected == settings.by_name["stores.models"].origin


def test_a_number_may_be_written_without_quotes(tmp_path: Path) -> None:
    """An integer in the file needs no quotes."""
    assert read_settings(folder=_file(tmp_path, "cores = 4"), environ={})["cores"] == "4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\ntargte = "x"', "harness.toml:2: unknown setting 'targte'. Did you mean 'target'?"),
        ('[home]\nx = "y"', "harness.toml:2: unknown setting 'home.x'."),
        ("zzz = 1", "harness.toml:1: unknown setting 'zzz'."),
        (
            "zzz = 1\nyyy = 2",
            "harness.toml:1: unknown setting 'zzz'.\nharness.toml:2: unknown setting 'yyy'.",
        ),
        ("cores = [4]", "harness.toml:1: 'cores' must be text. Put it in quotes."),
        ("home = true", "harness.toml:1: 'home' must be text. Put it in quotes."),
        ("home = 2018-01-01", "harness.toml:1: 'home' must be text. Put it in quotes."),
        ("\nhome = x", "harness.toml:2: not valid TOML: Invalid value."),
        ('home = "a"\nhome = "b"\n', "harness.toml:2: not valid TOML: Cannot overwrite a value."),
        ("x = " + "[" * 5000, "harness.toml: not valid TOML: maximum recursion depth exceeded"),
        ("cores = " + "9" * 5000, "harness.toml: not valid TOML: Exceeds the limit"),
        ('home = "a\\u0000b"', "The setting 'home' (harness.toml:1) is not a path: 'a\\x00b': "),
    ],
)
def test_a_mistake_in_the_file_is_reported(tmp_path: Path, text: str, message: str) -> None:
    """All mistakes are reported in one go, each with its line if it has one."""
    with pytest.raises(UsageError, match=re.escape(message)):
        read_settings(folder=_file(tmp_path, text), environ={})


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
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
def test_an_invalid_variable_is_reported_by_its_name(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    """An invalid value is reported with the setting and its origin."""
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        read_settings(folder=tmp_path, environ={variable: value})
    assert caught.value.exit_code == ExitCode.WRONG_INPUT


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    """The message about a password does not contain it."""
    with pytest.raises(UsageError) as caught:
        read_settings(folder=tmp_path, environ={"HARNESS_TRACKING_URI": "http://me:secret@host"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["lake", "stores.models", "stores.shared", "targets.databricks.lake"])
def test_a_location_that_cannot_work_is_refused(tmp_path: Path, name: str) -> None:
    """Where tables and bundles are stored is checked when settings are read, with what was meant."""
    toml = f'{name} = "wasbs://lake@dlsloandev.blob.core.windows.net/t"\n'
    meant = "abfss://lake@dlsloandev.dfs.core.windows.net/t"
    message = rf"Invalid value for the setting '{name}' \(harness.toml:1\): .* Did you mean '{meant}'\?$"
    with pytest.raises(UsageError, match=message):
        read_settings(folder=_file(tmp_path, toml), environ={})


@pytest.mark.parametrize(
    "name",
    ["lake", "stores.models", "stores.shared", "targets.databricks.lake", 'tables."main.loans.lc_loan"'],
)
@pytest.mark.parametrize("path", ["dbfs:/mnt/lake/t", "/dbfs/mnt/lake/t"])
def test_a_location_in_a_mount_is_refused(tmp_path: Path, name: str, path: str) -> None:
    """A path in a mount of a workspace doesn't become a folder of this machine."""
    shown = name.replace('"', "")
    message = rf"the setting '{shown}' \(harness.toml:1\): {path} is in a mount of a Databricks workspace"
    with pytest.raises(UsageError, match=message):
        read_settings(folder=_file(tmp_path, f'{name} = "{path}"\n'), environ={})


def test_a_user_without_a_password_is_accepted(tmp_path: Path) -> None:
    """A tracking URI may contain a user's name."""
    uri = "http://me@host/mlflow"
    assert uri == read_settings(folder=tmp_path, environ={"HARNESS_TRACKING_URI": uri})["tracking_uri"]


def test_a_store_of_the_file_can_be_used(tmp_path: Path) -> None:
    """A scenario can publish to any store that the file adds."""
    settings = read_settings(folder=_file(tmp_path, f'[stores]\nshared = "{STORE}"'), environ={})
    assert settings.store("shared") == STORE


def test_an_unknown_store_is_reported_with_a_suggestion(tmp_path: Path) -> None:
    """An unknown store is refused with a suggestion and the known ones."""
    settings = read_settings(folder=tmp_path, environ={})
    with pytest.raises(UsageError, match=r"Unknown model store 'model'\. Did you mean 'models'"):
        settings.store("model")


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("cores", "lots", "Use * or a whole number of at least 1, such as 2."),
        ("cores", "0", "Use * or a whole number of at least 1, such as 2."),
        ("driver_memory", "2 GB", "Use a size such as 2g or 900m, or auto."),
        ("workers", "0", "Use a whole number of at least 1, such as 2."),
        ("mlflow_port", "65536", "Use a port from 1 to 65535, such as 5001."),
        ("container_memory", "lots", "Use a size such as 4g or 900m, or 0 for no limit."),
        ("service_timeout", "3", "Use a time such as 90s or 3m."),
        ("stack", "My Stack", "Use lower-case letters, digits, '-' and '_', such as my-stack."),
        ("parity.metrics", "tiny", "Use a number such as 1e-6."),
    ],
)
def test_an_invalid_size_is_refused(tmp_path: Path, name: str, value: str, remedy: str) -> None:
    """An invalid size is refused before anything is started with it, and the remedy says what is allowed."""
    with pytest.raises(UsageError, match=f"Invalid value '{value}' for the setting '{name}'") as caught:
        read_settings({name: value}, folder=tmp_path, environ={})
    assert remedy == caught.value.remedy


@pytest.mark.parametrize("port", ["1", "5000", "59999", "64999", "65499", "65529", "65535"])
def test_every_port_is_valid(tmp_path: Path, port: str) -> None:
    """Ports up to the highest one are accepted."""
    settings = read_settings({"mlflow_port": port}, folder=tmp_path, environ={})
    assert port == settings["mlflow_port"]


@pytest.mark.parametrize("name", ["a:b", "[a]", "50%", "x#y", "{z}", "what?"])
def test_an_odd_folder_is_used_through_a_link(tmp_path: Path, name: str) -> None:
    """Everything that is derived from the home avoids characters that Spark and MLflow misread."""
    environ = {"HARNESS_HOME": str(tmp_path / name / "home"), "HARNESS_CACHE": str(tmp_path / "cache")}
    settings = read_settings(
        {"stores.models": str(tmp_path / name / "models")}, folder=tmp_path, environ=environ
    )
    values = [settings["home"], settings["lake"], settings["tracking_uri"], settings["stores.models"]]
    assert not any(name in value for value in values)
    assert (tmp_path / name / "home").samefile(settings.home)
    assert (tmp_path / name / "models").samefile(settings["stores.models"])
    assert (
        values
        == [
            read_settings(folder=tmp_path, environ=environ)[each] for each in ("home", "lake", "tracking_uri")
        ]
        + values[3:]
    )


def test_an_odd_folder_that_cannot_be_made_is_kept(tmp_path: Path) -> None:
    """Settings can be read although nothing can be written; the check of the home reports it."""
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "[a]"
    assert home == read_settings(folder=tmp_path, environ={"HARNESS_HOME": str(home)}).home


def test_a_usual_folder_needs_no_link(tmp_path: Path) -> None:
    """Spaces and letters of any language are usual."""
    home = tmp_path / "März ü"
    assert home == read_settings(folder=tmp_path, environ={"HARNESS_HOME": str(home)}).home
    assert not home.exists()
