"""Existing tables in Unity Catalog: whether one can be read at a version, found before a cluster starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
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


def require_readable(workspace: WorkspaceClient, name: str) -> None:
    """Require that a table exists, and that its versions can be read.

    Args:
        workspace: The workspace.
        name: Name without backquotes. One that isn't in Unity Catalog is left to the job.

    Raises:
        UsageError: It doesn't exist, or has no versions that anybody could read.
        PrerequisiteError: The workspace doesn't answer, or refuses to tell.
    """
    from databricks.sdk.errors import NotFound

    if not is_in_unity_catalog(name):
        return
    with translate_errors(workspace, f"look up the table {name}"):
        try:
            table = workspace.tables.get(name)
        except NotFound as error:
            raise UsageError(
                f"The table {name} doesn't exist in {workspace.config.host}, or you can't see it.",
                remedy="Check the name, or ask its owner for USE CATALOG, USE SCHEMA and SELECT.",
            ) from error
    if (reason := _explain_unreadable(table)) is not None:
        raise UsageError(f"The table {name} has no versions that can be read: {reason}.")


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
