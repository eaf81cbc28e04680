"""Storage accounts without a credential: found before Spark starts."""

from __future__ import annotations

import pytest

from harness.errors import PrerequisiteError
from harness.plan import Account, Plan, Secret
from harness.targets.checks import require_credentials
from tests.unit.report_samples import plan

LAKE, MODELS = "dlsloandev", "modelstoredev"


def _account(name: str, variable: str = "KEY") -> Account:
    return Account(name=name, auth="key", secret=Secret(variable=variable))


def _plan(**changes: str) -> Plan:
    return plan().model_copy(update=changes)


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ((), f"No credential is set for the storage account '{LAKE}' \\(abfss://lake@{LAKE}"),
        ((_account(LAKE),), f"No credential is set for the storage account '{MODELS}'"),
        ((_account(LAKE, "UNSET"),), "is empty or not set: the variable UNSET"),
    ],
    ids=["lake", "model store", "unset"],
)
def test_an_account_without_a_credential_is_refused(
    monkeypatch: pytest.MonkeyPatch, accounts: tuple[Account, ...], message: str
) -> None:
    """Lake and model store need a credential that can be read."""
    monkeypatch.setenv("KEY", "abc")
    with pytest.raises(PrerequisiteError, match=message):
        require_credentials(_plan(), accounts)


def test_an_existing_table_needs_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account of an existing table needs one too; an account of another cloud is left to Spark."""
    monkeypatch.setenv("KEY", "abc")
    accounts = (_account(LAKE), _account(MODELS))
    require_credentials(_plan(existing_table="abfss://a@other.dfs.core.usgovcloudapi.net/t"), accounts)
    with pytest.raises(PrerequisiteError, match="the storage account 'other'"):
        require_credentials(_plan(existing_table="abfss://data@other.dfs.core.windows.net/t"), accounts)
