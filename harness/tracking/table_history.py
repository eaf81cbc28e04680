"""Reading the versions of a table, and the runs that were trained on each, without Spark."""

from __future__ import annotations

from pathlib import Path

from harness.errors import PrerequisiteError, UsageError
from harness.loading.existing_table import resolve_table_uri
from harness.retention.deltalake_table import open_table
from harness.retention.pins import normalize_table
from harness.setting_types import Settings
from harness.storage.accounts import select_local_accounts
from harness.storage.tracking_store import find_missing_store
from harness.storage.uris import describe_password, explain_unusable
from harness.table_names import normalize_table_name
from harness.targets.checks import map_table
from harness.tracked_run import TrackedRun
from harness.tracking.lineage import TrackingStore, find_all_runs
from harness.tracking.table_versions import TableHistory, TableVersion


def read_history(settings: Settings, table: str, limit: int) -> TableHistory:
    """Return the newest versions of a table.

    Args:
        settings: Settings with the names of tables, the accounts and MLflow's tracking store.
        table: Its folder, its URI, or its name in a catalog, which the settings map to one of them.
        limit: The largest number of versions.

    Raises:
        UsageError: The name isn't mapped, or it is not a URI that can be used.
        PrerequisiteError: The table doesn't exist, or the table or MLflow can't be read.
    """
    if password := describe_password(table):
        raise UsageError(f"The table's URI contains {password}; remove it.")
    if reason := explain_unusable(table):
        raise UsageError(reason)
    uri = map_table(resolve_table_uri(table, Path()), settings)
    opened = open_table(uri, select_local_accounts(settings))
    if opened is None:
        raise PrerequisiteError(
            f"There is no Delta table at {uri}.", remedy="Specify the table's folder or URI."
        )
    runs: dict[int, list[str]] = {}
    for run in _list_runs(settings):
        if _is_of_table(run, uri, table):
            runs.setdefault(int(run.tag("data_version")), []).append(run.run_id)
    return TableHistory(
        uri,
        tuple(
            TableVersion(
                version=commit.version,
                time=commit.time,
                operation=commit.operation,
                rows=opened.count_rows(commit.version),
                size_bytes=opened.count_bytes(commit.version),
                runs=tuple(runs.get(commit.version, ())),
            )
            for commit in opened.list_commits(limit)
        ),
    )


def _list_runs(settings: Settings) -> list[TrackedRun]:
    """Return the tracked runs, the newest first; none if nothing has been tracked yet."""
    return [] if find_missing_store(settings["tracking_uri"]) else find_all_runs(TrackingStore(settings))


def _is_of_table(run: TrackedRun, uri: str, table: str) -> bool:
    if run.tag("data_name") == normalize_table_name(table):
        return True
    return normalize_table(run.tag("data_path")) == normalize_table(uri)
