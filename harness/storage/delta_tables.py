"""Delta tables without Spark: where the library ``deltalake`` finds them, and all rows of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.plan import Account
from harness.storage.accounts import make_deltalake_options
from harness.storage.blobs import find_account
from harness.storage.uris import SCHEME, StorageUri, find_local_path

if TYPE_CHECKING:
    from deltalake import DeltaTable


def locate_table(uri: str, accounts: Sequence[Account]) -> tuple[str, dict[str, str]]:
    """Return a table's location and storage options, as ``deltalake`` expects them.

    Args:
        uri: URI or path.
        accounts: The storage accounts that this machine has credentials for.

    Raises:
        PrerequisiteError: Its storage account has no credential.
    """
    if uri.startswith(SCHEME):
        return uri, make_deltalake_options(find_account(StorageUri.parse(uri), accounts))
    path = find_local_path(uri, Path())
    return (uri if path is None else str(path)), {}


def read_all_rows(table: DeltaTable) -> Any:
    """Return all rows of a table, as an Arrow table."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    # Unlike the table's own reader, the query engine knows deletion vectors and renamed columns.
    return pa.table(QueryBuilder().register("data", table).execute("SELECT * FROM data"))
