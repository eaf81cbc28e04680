"""Checks of a target's prerequisites, which start nothing: one line each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from harness.errors import HarnessError, PrerequisiteError, UsageError
from harness.files import FULL_DISK_REMEDY, UNWRITABLE_REMEDY
from harness.memory import find_memory_limit
from harness.plan import Account, Plan
from harness.setting_types import SETTINGS_FILE, Settings, count_bytes
from harness.storage.accounts import read_secret
from harness.storage.blobs import find_account
from harness.storage.tracking_server import is_server
from harness.storage.tracking_store import (
    find_store_file,
    is_folder,
    require_usable_store,
)
from harness.storage.uris import ACCOUNT_HOST, SCHEME, VOLUMES, StorageUri, find_local_path
from harness.table_names import is_table_name, normalize_table_name
from harness.targets.registry import TARGETS

State = Literal["ok", "warning", "failed", "not checkable"]


@dataclass(frozen=True)
class Check:
    """One prerequisite of a target, checked."""

    subject: str
    state: State
    finding: str = ""
    """The result, or why it can't be checked."""
    remedy: str = ""
    """What to do if it failed, or about a warning."""


def require_all(checks: Iterable[Check]) -> None:
    """Require that no check has failed.

    Raises:
        PrerequisiteError: Names every failed check with its remedy.
    """
    failed = [check for check in checks if check.state == "failed"]
    if failed:
        raise PrerequisiteError(
            "\n".join(f"{check.subject}: {check.finding}" for check in failed),
            remedy="\n  ".join(dict.fromkeys(check.remedy for check in failed if check.remedy)) or None,
        )


NEEDED_BYTES = 200 << 20
"""Disk space that a run needs."""


def run_check(subject: str, probe: Callable[[], str]) -> Check:
    """Run one check: ok with the probe's finding, or failed with the error's message and remedy."""
    try:
        return Check(subject, "ok", probe())
    except HarnessError as error:
        return Check(subject, "failed", error.message, error.remedy or "")


def check_disk_space(folder: Path) -> str:
    """Return the free disk space.

    Raises:
        PrerequisiteError: It is less than a run needs.
    """
    free = shutil.disk_usage(_find_nearest(folder)).free
    if free < NEEDED_BYTES:
        raise PrerequisiteError(
            f"{folder} has {free >> 20} MB of free disk space; a run needs {NEEDED_BYTES >> 20} MB.",
            remedy=FULL_DISK_REMEDY,
        )
    return f"{free >> 20:,} MB free; a run needs {NEEDED_BYTES >> 20} MB"


def check_writable(folder: Path) -> str:
    """Return a folder that can be written or created.

    Raises:
        PrerequisiteError: It can't be.
    """
    nearest = _find_nearest(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise PrerequisiteError(
            f"Can't write {folder}: no permission in {nearest}.", remedy=UNWRITABLE_REMEDY
        )
    return str(folder) if nearest == folder else f"{folder} can be created"


def check_memory(heap: str) -> str:
    """Return the memory that a job may use.

    Args:
        heap: Memory of the job's JVM, such as 2g.

    Raises:
        PrerequisiteError: The heap alone is larger.
    """
    limit = find_memory_limit()
    if limit is None:
        return "unknown"
    if count_bytes(heap) >= limit:
        raise PrerequisiteError(
            f"The job's JVM is to use {heap} of memory; this machine or container has {limit >> 20:,} MB.",
            remedy="Set HARNESS_DRIVER_MEMORY to less, or give the container more memory.",
        )
    return f"{limit >> 20:,} MB; the job's JVM uses {heap}"


def check_temp_folder(folder: str) -> str:
    """Return a folder for temporary files.

    Raises:
        PrerequisiteError: Libraries in it can't be loaded, as Spark's compression needs.
    """
    if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise PrerequisiteError(
            f"Spark can't load its libraries from {folder}, the folder for temporary files: "
            "its disk is mounted with noexec.",
            remedy="Set TMPDIR to a folder on another disk.",
        )
    return folder


def check_tracking_store(uri: str, experiment: str) -> Check:
    """Check MLflow's tracking store: a file, a folder or a server.

    Args:
        uri: MLflow's tracking URI.
        experiment: Name of the experiment that a run is recorded in.
    """
    subject = "tracking store"
    file = find_store_file(uri)
    if file is not None:
        return run_check(subject, lambda: _check_database(uri, experiment, file))
    if is_server(uri):
        return run_check(subject, lambda: _check_server(uri, experiment))
    if is_folder(uri):
        return run_check(subject, lambda: _check_folder(uri))
    usable = run_check(subject, lambda: _check_kind(uri))
    return usable if usable.state == "failed" else replace(usable, state="not checkable")


def _check_folder(uri: str) -> str:
    require_usable_store(uri)
    return uri


def _check_kind(uri: str) -> str:
    require_usable_store(uri)
    return f"{uri.partition(':')[0]}: only MLflow itself can check it"


def _check_database(uri: str, experiment: str, file: Path) -> str:
    require_usable_store(uri, experiment)
    if not file.exists():
        check_writable(file.parent)
        return f"the first run creates {file}"
    if not os.access(file, os.W_OK):
        raise PrerequisiteError(
            f"Can't write {file}.", remedy="Make it writable, or set HARNESS_TRACKING_URI."
        )
    return str(file)


def _check_server(uri: str, experiment: str) -> str:
    require_usable_store(uri, experiment)
    return f"{uri} answers"


def _find_nearest(path: Path) -> Path:
    """Return the path itself, or the nearest existing one above it."""
    return next(each for each in (path, *path.parents) if each.exists())


def require_credentials(plan: Plan, accounts: Sequence[Account]) -> None:
    """Require a credential for the storage account of each URI that the job reads or writes.

    Args:
        plan: The run.
        accounts: The accounts, with their secrets as this machine reads them.

    Raises:
        PrerequisiteError: An account has none, or it can't be read.
    """
    environment = plan.environment
    stores = (environment.model_store,) if plan.scenario.may_publish else ()
    sources = (source.uri for source in plan.sources.values())
    approved = () if plan.approved_table is None else (plan.approved_table,)
    for uri in (environment.lake, plan.table_uri, *approved, *stores, *sources):
        # An account in another cloud is left to Spark.
        if uri.startswith(SCHEME) and ACCOUNT_HOST in uri:
            account = find_account(StorageUri.parse(uri), accounts)
            read_secret(account.secret, account.name)


def check_accounts(accounts: Iterable[Account]) -> Iterator[Check]:
    """Check for each storage account that its credential can be read; the account itself isn't asked."""
    for account in accounts:
        yield run_check(f"account {account.name}", partial(_check_credential, account))


def _check_credential(account: Account) -> str:
    read_secret(account.secret, account.name)
    kind = "key" if account.auth == "key" else "client secret"
    return f"its {kind} is in {account.secret.location}"


def path_on_this_machine(uri: str) -> Path | None:
    """Return the path on this machine that a URI names, or ``None`` if it is elsewhere."""
    return find_local_path(uri, Path("/"))


def make_file_uri(uri: str) -> str:
    """Return the URI of a path on this machine; that of anything else is unchanged."""
    path = path_on_this_machine(uri)
    return uri if path is None else f"file://{path}"


def require_no_volume(uri: str, target: str) -> None:
    """Require that a URI is not in a volume, which only a workspace has.

    Raises:
        PrerequisiteError: It is in a volume.
    """
    if uri.startswith(VOLUMES) and path_on_this_machine(uri) is None:
        raise PrerequisiteError(
            f"The {target} target can't reach {uri}: it is in a volume of a workspace.",
            remedy="Use an abfss:// URI, or a target that runs in that workspace.",
        )


def map_table(table: str, settings: Settings) -> str:
    """Return the folder or URI of an existing table on a target without a catalog.

    Args:
        table: URI, absolute path, or name in a catalog.
        settings: Map names to folders and URIs.

    Raises:
        UsageError: The name isn't mapped.
    """
    if not is_table_name(table):
        return table
    mapped = settings.table(table)
    if mapped is None:
        name = normalize_table_name(table)
        line = f'"{name}" = "/path/of/its/folder"'
        raise UsageError(
            f"The table {name} is in a catalog, which this machine can't read.",
            remedy=f"Map it to a folder or URI in {SETTINGS_FILE}:\n\n    [tables]\n    {line}\n",
        )
    return mapped


def require_remote_table(table: str, target: str, locations: str) -> None:
    """Require that a table is not on this machine: it can't be copied, because its versions are in its log.

    Args:
        table: URI or absolute path.
        target: Title of the target.
        locations: What the target can reach, such as ``an abfss:// URI``.

    Raises:
        PrerequisiteError: It is a folder on this machine.
    """
    if path_on_this_machine(table) is not None:
        names = [each.name for each in TARGETS.values() if each.uses_local_folders]
        raise PrerequisiteError(
            f"The {target} target can't reach the table {table}: it is a folder on this machine.",
            remedy=f"Use {locations}, or --target {' or '.join(names)}.",
        )
