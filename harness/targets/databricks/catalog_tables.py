"""Tables in Unity Catalog: whether existing ones can be read at a version, and those that runs have built."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from harness.approvals import explain_taken
from harness.errors import PrerequisiteError, UsageError
from harness.table_names import find_expiry
from harness.targets.databricks.client import translate_errors

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.catalog import TableInfo

_LEVELS = 3
_OTHER_CATALOGS = ("hive_metastore", "spark_catalog")
"""Catalogs that Unity Catalog knows nothing of."""
_WITHOUT_VERSIONS = {
    "VIEW": "a view",
    "MATERIALIZED_VIEW": "a materialized view",
    "METRIC_VIEW": "a metric view",
    "STREAMING_TABLE": "a streaming table",
    "FOREIGN": "a foreign table",
}
"""Kinds of tables that can't be read at a version."""
_DELTA = ("DELTA", "DELTASHARING")


def require_versions(workspace: WorkspaceClient, name: str) -> None:
    """Require that a table exists, and that its versions can be read.

    Args:
        workspace: The workspace.
        name: Name without backquotes. One that isn't in Unity Catalog is left to the job.

    Raises:
        UsageError: It doesn't exist, or has no versions that anybody could read.
        PrerequisiteError: The workspace doesn't answer, or denies the request.
    """
    table = require_table(workspace, name)
    if table is not None and (reason := _explain_unreadable(table)) is not None:
        raise UsageError(f"The table {name} has no versions that can be read: {reason}.")


def require_table(workspace: WorkspaceClient, name: str) -> TableInfo | None:
    """Require that a table or view exists; return what the workspace says about it.

    Args:
        workspace: The workspace.
        name: Name without backquotes.

    Returns:
        ``None`` if it isn't in Unity Catalog: this is left to the job.

    Raises:
        UsageError: It doesn't exist, or the user can't see it.
        PrerequisiteError: The workspace doesn't answer, or denies the request.
    """
    from databricks.sdk.errors import NotFound

    if not is_in_unity_catalog(name):
        return None
    with translate_errors(workspace, f"look up the table {name}"):
        try:
            return workspace.tables.get(name)
        except NotFound as error:
            raise UsageError(
                f"The table {name} doesn't exist in {workspace.config.host}, or you can't see it.",
                remedy="Check the name, or ask its owner for USE CATALOG, USE SCHEMA and SELECT.",
            ) from error


def require_approvable(workspace: WorkspaceClient, name: str, source: str) -> None:
    """Require that a table can show approved versions: it doesn't exist yet, or a run has made it.

    Args:
        workspace: The workspace.
        name: Name without backquotes. One that isn't in Unity Catalog is left to the job.
        source: The judged table.

    Raises:
        UsageError: It exists, and shows something else.
        PrerequisiteError: Its schema doesn't exist, or the user can't see it.
    """
    from databricks.sdk.errors import NotFound

    if not is_in_unity_catalog(name):
        return
    require_schema(workspace, name.rpartition(".")[0])
    with translate_errors(workspace, f"look up the table {name}"):
        try:
            table = workspace.tables.get(name)
        except NotFound:
            return
    if (reason := explain_taken(name, table.properties or {}, source)) is not None:
        raise UsageError(f"{reason[:1].upper()}{reason[1:]}")


def require_schema(workspace: WorkspaceClient, name: str) -> None:
    """Require that a schema exists, so that runs can build tables in it.

    Raises:
        PrerequisiteError: It doesn't exist, or the user can't see it.
    """
    from databricks.sdk.errors import NotFound

    if name.partition(".")[0].lower() in _OTHER_CATALOGS:
        return
    with translate_errors(workspace, f"look up the schema {name}"):
        try:
            workspace.schemas.get(name)
        except NotFound as error:
            raise PrerequisiteError(f"The schema {name} doesn't exist, or you can't see it.") from error


def remove_table(workspace: WorkspaceClient, name: str) -> None:
    """Remove a table that a run has built; it may be gone already."""
    from databricks.sdk.errors import NotFound

    with translate_errors(workspace, f"remove the table {name}"), suppress(NotFound):
        workspace.tables.delete(name)


def sweep_tables(workspace: WorkspaceClient, schema: str, today: date, report: Callable[[str], None]) -> int:
    """Remove every table that a run has built and that has expired, and return their number.

    Args:
        workspace: The workspace.
        schema: The schema with its catalog. Tables that no run has built stay.
        today: Current day.
        report: Shows each removed table.
    """
    catalog, name = schema.split(".")
    with translate_errors(workspace, f"list the tables of {schema}"):
        tables = workspace.tables.list(catalog, name, omit_columns=True, omit_properties=True)
        names = sorted(table.full_name or "" for table in tables)
    day = f"{today:%Y%m%d}"
    expired = [each for each in names if (until := find_expiry(each)) is not None and until < day]
    for each in expired:
        remove_table(workspace, each)
        report(each)
    return len(expired)


def is_in_unity_catalog(name: str) -> bool:
    """Return whether a name without backquotes is that of a table in Unity Catalog."""
    parts = name.split(".")
    return len(parts) == _LEVELS and parts[0].lower() not in _OTHER_CATALOGS


def _explain_unreadable(table: TableInfo) -> str | None:
    kind = "" if table.table_type is None else table.table_type.value
    if kind in _WITHOUT_VERSIONS:
        return f"it is {_WITHOUT_VERSIONS[kind]}"
    source = "DELTA" if table.data_source_format is None else table.data_source_format.value
    if source not in _DELTA:
        return f"its format is {source}, not DELTA"
    if table.row_filter is not None:
        return "it has a row filter, and Databricks doesn't allow time travel on such a table"
    masked = [column.name for column in table.columns or () if column.mask is not None]
    if masked:
        return f"its column {masked[0]} has a mask, and Databricks doesn't allow time travel on such a table"
    return None
