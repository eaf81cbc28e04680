"""A Delta table that is read without Spark."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import PrerequisiteError
from harness.plan import Account
from harness.retention.table_log import LOG, LogFile, Removal, find_name, parse_removals
from harness.storage.delta_tables import locate_table
from harness.storage.uris import VOLUMES, find_local_path, hide_passwords

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.fs import PyFileSystem

_READS_AT_ONCE = 16
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_MESSAGE = 300
_VECTORS = "deletionVectors"


def open_table(uri: str, accounts: Sequence[Account]) -> DeltalakeTable | None:
    """Open a table for reading; ``None`` if there is no table.

    Args:
        uri: URI or path.
        accounts: The storage accounts that this machine has credentials for.

    Raises:
        PrerequisiteError: It can't be read from this machine.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    with _translate_errors(uri):
        path = find_local_path(uri, Path())
        if path is not None and not (path / LOG).is_dir():
            return None
    if path is None and uri.startswith(VOLUMES):
        raise PrerequisiteError(
            f"Can't read the table {uri} from this machine: it is in a volume of a workspace.",
            remedy="Runs on the table check its pinned versions in the workspace.",
        )
    location, options = locate_table(uri, accounts)
    with _translate_errors(uri):
        try:
            return DeltalakeTable(DeltaTable(location, storage_options=options))
        except TableNotFoundError:
            return None


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Translate deltalake's errors into messages with a remedy."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError, ValueError) as error:
        raise PrerequisiteError(
            f"Can't read the table {hide_passwords(uri)} from this machine: {_summarize(error)}",
            remedy="For a storage account, check [accounts.NAME] in harness.toml. Runs on the table check "
            "its pinned versions with Spark.",
        ) from error


def _summarize(error: Exception) -> str:
    """Return an error's message in one line; deltalake draws its causes as a tree, in colours."""
    text = " ".join(_COLOURS.sub("", str(error)).replace("↳", ":").split())
    return f"{text[:_LONGEST_MESSAGE].rstrip('. ')}."


@dataclass(frozen=True)
class TableCommit:
    """One commit of the log."""

    version: int
    time: datetime | None
    """``None`` if the commit doesn't say."""
    operation: str
    """Empty if the commit doesn't say."""


class DeltalakeTable:
    """A Delta table, read with the library ``deltalake``."""

    def __init__(self, table: DeltaTable) -> None:
        self._table = table
        self.newest = table.version()
        self.properties: Mapping[str, str] = table.metadata().configuration
        self.has_vectors = _VECTORS in (table.protocol().reader_features or ())
        self._load = lru_cache(maxsize=None)(self._load_version)

    def list_log(self) -> Sequence[LogFile]:
        """Return the commits and checkpoints that the log still has."""
        return self._folder[1]

    def find_time(self, version: int) -> datetime | None:
        """Return the time of a version's commit; ``None`` if the log no longer has it."""
        return self._times.get(version)

    def list_files(self, version: int) -> frozenset[str] | None:
        """Return the names of a version's data files; ``None`` if the log can't be read at this version."""
        table = self._load(version)
        return None if table is None else frozenset(find_name(uri) for uri in table.file_uris())

    def count_missing(self, version: int) -> int:
        """Return how many of a version's data files no longer exist."""
        table = self._load(version)
        uris = table.file_uris() if table is not None else []
        return sum(not self._exists(uri) for uri in uris)

    def count_rows(self, version: int) -> int | None:
        """Return a version's rows; ``None`` if the log doesn't say how many."""
        table = self._load(version)
        # The statistics of a file also count the rows that a deletion vector deletes.
        if table is None or self.has_vectors:
            return None
        import pyarrow as pa

        files = pa.table(table.get_add_actions(flatten=True))
        # A table whose files have no statistics has no such column.
        rows = files["num_records"].to_pylist() if "num_records" in files.column_names else [None]
        return None if None in rows else sum(rows)

    def count_bytes(self, version: int) -> int | None:
        """Return the size of a version's data files; ``None`` if the log can't be read at this version."""
        table = self._load(version)
        if table is None:
            return None
        import pyarrow as pa

        sizes: list[int] = pa.table(table.get_add_actions(flatten=True))["size_bytes"].to_pylist()
        return sum(sizes)

    def list_commits(self, limit: int) -> list[TableCommit]:
        """Return the newest commits that the log still has, the newest first."""
        return [
            TableCommit(commit["version"], self._times.get(commit["version"]), commit.get("operation") or "")
            for commit in self._history[:limit]
        ]

    def read_removals(self, after: int) -> Iterator[Removal]:
        """Yield every removal by the versions after one, in their order."""
        commits = (file for file in self.list_log() if not file.is_checkpoint)
        versions = [commit.version for commit in commits if commit.version > after]
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            for version, text in pool.map(self._read_commit, sorted(versions)):
                yield from parse_removals(version, text.splitlines())

    def list_vacuumed(self, pinned: Collection[int]) -> frozenset[str]:
        """Return the names of the files that a vacuum by the table's settings removes from pinned versions.

        Args:
            pinned: The versions; all of them can be read.
        """
        with _translate_errors(self._table.table_uri):
            # 'full', as Spark's VACUUM is: it also removes files whose removal the log no longer has.
            taken = set(self._table.vacuum(dry_run=True, full=True))
            kept = set(self._table.vacuum(dry_run=True, full=True, keep_versions=sorted(pinned)))
        return frozenset(find_name(file) for file in taken - kept)

    @cached_property
    def _history(self) -> list[dict[str, Any]]:
        from deltalake.exceptions import DeltaError

        try:
            commits = self._table.history()
        except DeltaError:  # It can't parse the first commit of a clone that Spark has made.
            commits = list(self._read_history())
        return sorted(commits, key=lambda commit: -commit["version"])

    @cached_property
    def _times(self) -> dict[int, datetime]:
        return {
            commit["version"]: datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
            for commit in self._history
            if commit.get("timestamp") is not None
        }

    @cached_property
    def _files(self) -> PyFileSystem:
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import PyFileSystem

        return PyFileSystem(DeltaStorageHandler.from_table(self._table._table))  # noqa: SLF001 - its only way.

    @cached_property
    def _folder(self) -> tuple[frozenset[str], tuple[LogFile, ...]]:
        """The names of the files in the table's folder, and those of the log."""
        from pyarrow.fs import FileSelector

        found = self._files.get_file_info(FileSelector("", recursive=True))
        log = [LogFile.parse(info.base_name, info.mtime) for info in found if info.path.startswith(f"{LOG}/")]
        names = frozenset(find_name(info.path) for info in found)
        return names, tuple(file for file in log if file is not None)

    def _exists(self, uri: str) -> bool:
        """Return whether a data file exists; clones have files outside their folder."""
        if find_name(uri) in self._folder[0]:
            return True
        root = self._table.table_uri.rstrip("/")
        is_outside = "://" in uri and not uri.startswith((f"{root}/", "file://"))
        return is_outside or (not uri.startswith(f"{root}/") and Path(uri.removeprefix("file://")).exists())

    def _load_version(self, version: int) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(self._table.table_uri, version, storage_options=self._table._storage_options)  # noqa: SLF001
        except (DeltaError, TableNotFoundError):
            return None

    def _read_history(self) -> Iterator[dict[str, Any]]:
        """Yield what each commit of the log says about itself."""
        versions = [file.version for file in self.list_log() if not file.is_checkpoint]
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            for version, text in pool.map(self._read_commit, versions):
                actions = (json.loads(line) for line in text.split("\n") if '"commitInfo"' in line)
                found: dict[str, Any] = next(
                    (action["commitInfo"] for action in actions if "commitInfo" in action), {}
                )
                yield {**found, "version": version}

    def _read_commit(self, version: int) -> tuple[int, str]:
        with self._files.open_input_stream(f"{LOG}/{version:020}.json") as stream:
            return version, stream.read().decode()
