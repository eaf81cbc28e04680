"""The storage accounts in the settings."""

import re
from pathlib import Path

import pytest

from harness.errors import ExitCode, UsageError
from harness.plan import Account, Secret
from harness.settings import ACCOUNT_FIELDS, Settings, list_settings, read_settings
from harness.storage.accounts import read_accounts

VALUE = "Zm9yIGEgdGVzdCBvbmx5Cg=="
PRINCIPAL = 'auth = "service_principal"\n'
IDS = 'tenant_id = "tenant"\nclient_id = "client"\n'


def _settings(folder: Path, text: str) -> Settings:
    (folder / "harness.toml").write_text(text, encoding="utf-8")
    return read_settings(folder=folder, environ={})


def _accounts(folder: Path, fields: str) -> tuple[Account, ...]:
    return read_accounts(_settings(folder, f"[accounts.dlsloandev]\n{fields}"))


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ('key_file = "/run/key"', Secret(file="/run/key")),
        ('auth = "key"\nkey_file = "/run/key"', Secret(file="/run/key")),
        ('key_variable = "LAKE_KEY"', Secret(variable="LAKE_KEY")),
        ('key_file = ""\nkey_variable = "LAKE_KEY"', Secret(variable="LAKE_KEY")),
    ],
    ids=["file", "file, explicit kind", "variable", "empty file and variable"],
)
def test_an_account_has_a_key(tmp_path: Path, fields: str, secret: Secret) -> None:
    """The default kind of secret is a key, which is in a file or a variable."""
    assert (Account(name="dlsloandev", auth="key", secret=secret),) == _accounts(tmp_path, fields)


@pytest.mark.parametrize(
    ("field", "secret"),
    [
        ('client_secret_file = "/run/secret"', Secret(file="/run/secret")),
        ('client_secret_variable = "CLIENT_SECRET"', Secret(variable="CLIENT_SECRET")),
    ],
    ids=["file", "variable"],
)
def test_an_account_has_a_service_principal(tmp_path: Path, field: str, secret: Secret) -> None:
    """A service principal has a tenant, a client and the client's secret."""
    expected = Account(
        name="dlsloandev", auth="service_principal", secret=secret, tenant_id="tenant", client_id="client"
    )
    assert (expected,) == _accounts(tmp_path, PRINCIPAL + IDS + field)


def test_settings_without_accounts_have_none(tmp_path: Path) -> None:
    """Settings without accounts are valid and have none."""
    assert read_accounts(_settings(tmp_path, "")) == ()


def test_several_accounts_keep_their_order(tmp_path: Path) -> None:
    """Each account has its own fields, in the order of the file."""
    text = f'[accounts.b]\nkey_variable = "B"\n[accounts.a]\n{PRINCIPAL}{IDS}client_secret_variable = "A"\n'
    accounts = read_accounts(_settings(tmp_path, text))
    expected = [("b", "key", "B"), ("a", "service_principal", "A")]
    assert expected == [(account.name, account.auth, account.secret.variable) for account in accounts]


@pytest.mark.parametrize("field", ["key_file", "client_secret_file"])
def test_a_relative_path_starts_at_the_settings_file(tmp_path: Path, field: str) -> None:
    """A relative path of a secret starts at the folder of the settings file."""
    more = PRINCIPAL + IDS if field != "key_file" else ""
    (account,) = _accounts(tmp_path, f'{more}{field} = "secrets/key"')
    assert str(tmp_path / "secrets" / "key") == account.secret.file


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a path of a secret, ~ is expanded to the user's home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (account,) = _accounts(tmp_path, 'key_file = "~/key"')
    assert str(tmp_path / "key") == account.secret.file


def test_an_unknown_users_home_is_reported(tmp_path: Path) -> None:
    """A path below an unknown user's home is refused with its line."""
    expected = "The setting 'accounts.dlsloandev.key_file' (harness.toml:2) is not a path"
    with pytest.raises(UsageError, match=re.escape(expected)):
        _accounts(tmp_path, 'key_file = "~nobody_of_this_name/key"')


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('auth = "sas"', "auth is 'sas'.\n  Use one of key, service_principal."),
        (
            'key_file = "k"\ntenant_id = "t"',
            "tenant_id doesn't belong to auth = 'key'.\n  Remove it.",
        ),
        (
            f'{PRINCIPAL}{IDS}client_secret_file = "s"\nkey_file = "k"',
            "key_file doesn't belong to auth = 'service_principal'.\n  Remove it.",
        ),
        (
            f'{PRINCIPAL}client_id = "c"\nclient_secret_file = "s"',
            "tenant_id is missing.\n  auth = 'service_principal' needs it.",
        ),
        (
            f'{PRINCIPAL}tenant_id = "t"\nclient_id = ""\nclient_secret_file = "s"',
            "client_id is missing.\n  auth = 'service_principal' needs it.",
        ),
        ('auth = "key"', "key, key_file or key_variable is missing.\n  Set one of them."),
        (
            'key_file = "k"\nkey_variable = "K"',
            "key_file and key_variable are both set.\n  Remove one of the two.",
        ),
        (
            'key = "keyvault:my-vault/lake"\nkey_variable = "K"',
            "key and key_variable are both set.\n  Remove one of the two.",
        ),
        (
            'key = "keyvault:my-vault/lake"\nauth = "service_principal"',
            "key doesn't belong to auth = 'service_principal'.\n  Remove it.",
        ),
        ('key_variable = ""', "key, key_file or key_variable is missing.\n  Set one of them."),
        (
            PRINCIPAL + IDS,
            "client_secret, client_secret_file or client_secret_variable is missing.\n  Set one of them.",
        ),
    ],
    ids=[
        "unknown kind",
        "tenant of a key",
        "key of a principal",
        "no tenant",
        "empty client",
        "no key",
        "two keys",
        "a vault and a variable",
        "a principal's key in a vault",
        "empty key",
        "no secret",
    ],
)
def test_an_incomplete_or_contradictory_account_is_refused(tmp_path: Path, fields: str, message: str) -> None:
    """The message names the account, what is wrong with it and the remedy."""
    with pytest.raises(UsageError) as caught:
        _accounts(tmp_path, fields)
    expected = (f"harness.toml: [accounts.dlsloandev]: {message}", ExitCode.WRONG_INPUT)
    assert expected == (str(caught.value), caught.value.exit_code)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'\n[accounts.lake]\nsas = "{VALUE}"', "harness.toml:3: unknown setting 'accounts.lake.sas'."),
        (
            f'[accounts.lake]\n{PRINCIPAL}client_secrets = "{VALUE}"',
            "harness.toml:3: unknown setting 'accounts.lake.client_secrets'. Did you mean 'client_secret'?",
        ),
        (f'accounts.lake = "{VALUE}"', "harness.toml:1: unknown setting 'accounts.lake'."),
        (
            f'[accounts.lake.key_file]\nvalue = "{VALUE}"',
            "harness.toml:2: unknown setting 'accounts.lake.key_file.value'.",
        ),
    ],
    ids=["unknown", "misspelled", "account", "table"],
)
def test_a_secret_in_the_settings_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message has the line and the known fields and never repeats the secret."""
    with pytest.raises(UsageError) as caught:
        _settings(tmp_path, text)
    fields = ", ".join(ACCOUNT_FIELDS)
    remedy = f"An account has the fields {fields}. Keep a secret in its file, variable or key vault."
    assert f"{message} {remedy}" == str(caught.value)


def test_a_list_is_not_a_key(tmp_path: Path) -> None:
    """A field that is not a text is refused without showing its value."""
    with pytest.raises(UsageError) as caught:
        _accounts(tmp_path, f'key_file = ["{VALUE}"]')
    assert "harness.toml:2: 'accounts.dlsloandev.key_file' must be text. Put it in quotes." == str(
        caught.value
    )


def test_a_default_does_not_count_as_set(tmp_path: Path) -> None:
    """A default does not count as set, so that the target can choose a value."""
    assert {None} == {
        read_settings(folder=tmp_path, environ={}).value_if_set(spec.name) for spec in list_settings()
    }


def test_a_value_counts_as_set(tmp_path: Path) -> None:
    """A value counts as set, wherever that was done."""
    uri = "abfss://lake@account.dfs.core.windows.net"
    assert uri == read_settings(folder=tmp_path, environ={"HARNESS_LAKE": uri}).value_if_set("lake")


def test_an_explicit_default_counts_as_set(tmp_path: Path) -> None:
    """A setting that is explicitly set to its default counts as set."""
    settings = read_settings({"tracking_uri": "sqlite:///{home}/mlflow.db"}, folder=tmp_path, environ={})
    assert f"sqlite:///{tmp_path}/.harness/mlflow.db" == settings.value_if_set("tracking_uri")


def test_settings_of_another_target(tmp_path: Path) -> None:
    """Settings for another target differ only in the target; the original is unchanged."""
    settings = _settings(tmp_path, '[accounts.lake]\nkey_variable = "K"')
    other = settings.for_target("compose")
    assert {("target", "auto", "compose")} == {
        (each.name, each.value, other[each.name]) for each in settings if each.value != other[each.name]
    }
