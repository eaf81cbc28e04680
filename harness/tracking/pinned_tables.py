"""The tables with pinned versions, as the settings locate them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import ExitCode, HarnessError, PrerequisiteError, UsageError, did_you_mean
from harness.loading.existing_table import resolve_table_uri
from harness.loading.loader import FOLDER, load_scenario
from harness.retention.deltalake_table import open_table
from harness.retention.outlook import DAYS_AHEAD, Safety
from harness.retention.pinned_table import PinnedTable, inspect_table
from harness.retention.pins import Pin, list_pins, normalize_table
from harness.setting_types import STORES, Settings
from harness.storage.accounts import select_local_accounts
from harness.storage.model_store import ModelStore, open_store
from harness.storage.tracking_store import find_missing_store, require_usable_store
from harness.storage.uris import SCHEME, describe_password, explain_unusable, find_local_path
from harness.table_names import is_table_name
from harness.targets.checks import Check, check_tracking_store, map_table
from harness.tracking.lineage import open_client

_NAMES = "Name a scenario, or a table by its name, URI or folder."


def decide_exit_code(tables: Sequence[PinnedTable]) -> ExitCode:
    """Return the exit code: a version that is unreadable or at risk is a failure."""
    return ExitCode.BOUND_FAILED if any(each.safety.is_broken for each in tables) else ExitCode.PASS


def find_pinned_tables(settings: Settings, name: str | None, days: int) -> list[PinnedTable]:
    """Return tables with their pinned versions.

    Args:
        settings: Settings with the model stores, MLflow's tracking store and the accounts.
        name: Name, URI or folder of a table, or name or file of a scenario (default: every table with
            pinned versions, except those that runs built).
        days: How many days ahead a loss is reported.

    Raises:
        UsageError: There is no such table or scenario.
        PrerequisiteError: A model store, MLflow or a table can't be read.
    """
    tables = _select_tables(find_pins(settings), name, settings)
    if name is not None:
        _require_tables(tables, settings)
    accounts = select_local_accounts(settings)
    return [inspect_table(uri, pins, accounts, days) for uri, pins in tables.items()]


def _require_tables(tables: Mapping[str, Sequence[Pin]], settings: Settings) -> None:
    """Require that a table without pins exists: its name may be mistyped."""
    for uri, pins in tables.items():
        if not pins and open_table(uri, select_local_accounts(settings)) is None:
            raise PrerequisiteError(f"There is no Delta table at {uri}.", remedy=_NAMES)


def find_pins(settings: Settings) -> list[Pin]:
    """Return every pin that this machine can find.

    Raises:
        PrerequisiteError: A model store or MLflow can't be read.
    """
    stores = list(_open_stores(settings))
    uri = settings["tracking_uri"]
    if find_missing_store(uri) is not None:
        return list_pins(stores, None, settings["experiment"])
    require_usable_store(uri)
    with open_client(settings["tracking_uri"]) as client:
        return list_pins(stores, client, settings["experiment"])


def check_pinned_tables(settings: Settings) -> Iterator[Check]:
    """Yield a check for each existing table with pinned versions. It only warns: runs don't need them."""
    subject = "pinned versions"
    if check_tracking_store(settings["tracking_uri"], settings["experiment"]).state == "failed":
        return  # Another check reports it, and MLflow would retry for minutes.
    try:
        tables = _select_tables(find_pins(settings), None, settings)
    except (HarnessError, OSError) as error:
        yield Check(subject, "not checkable", str(error).partition("\n")[0])
        return
    accounts = select_local_accounts(settings)
    for uri, pins in tables.items():
        try:
            table = inspect_table(uri, pins, accounts, DAYS_AHEAD)
        except (HarnessError, OSError) as error:
            yield Check(f"{subject} of {uri}", "not checkable", str(error).partition("\n")[0])
        else:
            yield _check_table(f"{subject} of {uri}", table)


def _check_table(subject: str, table: PinnedTable) -> Check:
    numbers = ", ".join(str(each.version) for each in table.versions)
    if table.safety is Safety.SAFE:
        return Check(subject, "ok", numbers)
    endangered = [each for each in table.versions if each.outlook.safety is not Safety.SAFE]
    finding = "\n".join(f"version {each.version}: {each.outlook.reason}" for each in endangered)
    return Check(subject, "warning", finding, "\n".join(table.remedies))


def _open_stores(settings: Settings) -> Iterator[ModelStore]:
    """Open the model stores that can be listed from this machine: accounts, and folders of its own."""
    accounts = select_local_accounts(settings)
    for uri in {setting.value for setting in settings if setting.name.startswith(STORES)}:
        if uri.startswith(SCHEME) or find_local_path(uri, Path("/")) is not None:
            yield open_store(uri, accounts, create=False)


def _select_tables(pins: Sequence[Pin], name: str | None, settings: Settings) -> dict[str, list[Pin]]:
    """Return the tables that a name selects, each with its pins; without a name, none in a catalog."""
    if name is None:
        return _group([pin for pin in pins if not pin.is_of_built_table and not is_table_name(pin.table)])
    uri, table_name = _resolve_name(name)
    if uri is not None:
        uri = map_table(uri, settings)
        found = [pin for pin in pins if normalize_table(pin.table) == normalize_table(uri)]
        return {normalize_table(uri): found}
    found = [pin for pin in pins if pin.table_name == table_name]
    if not found and table_name == name:
        names = {pin.table_name for pin in pins}
        raise UsageError(
            f"Unknown scenario or table '{name}': no scenario and no table with pinned "
            "versions has this name."
            f"{did_you_mean(name, names)}",
            remedy=_NAMES,
        )
    return _group(found)


def _resolve_name(name: str) -> tuple[str | None, str]:
    """Return the URI that a name leads to, or ``None`` and a table's name."""
    if password := describe_password(name):
        raise UsageError(f"The table's URI contains {password}; remove it.")
    if reason := explain_unusable(name):
        raise UsageError(reason)
    if not name.strip():
        raise UsageError("The name of the table is empty.", remedy=_NAMES)
    is_file = name.endswith((".yaml", ".yml"))
    if not is_file and ("/" in name or is_table_name(name) or Path(name, "_delta_log").is_dir()):
        return resolve_table_uri(name, Path()), ""
    if not is_file and not (FOLDER / f"{name}.yaml").is_file():
        return None, name
    loaded = load_scenario(name)
    table = loaded.scenario.table
    folder = Path(loaded.document.file).parent
    return (None, table.name) if table.uri is None else (resolve_table_uri(table.uri, folder), "")


def _group(pins: Sequence[Pin]) -> dict[str, list[Pin]]:
    tables: dict[str, list[Pin]] = {}
    for pin in pins:
        tables.setdefault(normalize_table(pin.table), []).append(pin)
    return tables
