"""The counts of an existing table's data files, kept between runs.

They are kept in the lake, never in the table's own folder. A run that reads yesterday's
version and today's only counts the rows of today's new files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from harness.job.lake_files import open_lake_files
from harness.job.spark_errors import log_errors, log_traceback
from harness.job.spark_session import list_libraries
from harness.job.version_files import GatheredFiles, StoredFile
from harness.plan import Plan
from harness.stored_json import parse_json
from harness.table_names import is_table_name
from harness.work import identify_counts

_KEPT_FOR = timedelta(days=30)
Counts = Mapping[str, Any]


@dataclass(frozen=True)
class KnownCounts:
    """What is known of some data files, each by its number."""

    files: Mapping[int, Counts | None] = field(default_factory=dict)
    """The counts; ``None`` for a file without rows."""
    unique: frozenset[int] = frozenset()
    """Files, all of them known, no two rows of which have the same key, unless it is null."""


@dataclass
class KeptCounts:
    """The counts that runs keep for each other."""

    spark: SparkSession
    plan: Plan
    libraries: Mapping[str, str]
    known: int = 0
    """The files whose counts this run has found."""
    read: int = 0
    """The files whose rows this run has counted."""

    def find(self, gathered: GatheredFiles, names: Collection[str]) -> KnownCounts:
        """Return what earlier runs have kept of some files; nothing if it can't be read or was changed.

        Args:
            gathered: The files.
            names: The names of the counts that are needed.
        """
        own = self._identify(gathered)
        if self.plan.fresh:  # Only what this run has counted before it was interrupted.
            own += f"{self.plan.run_id}.json"
        documents = [name for name, _ in self._list() if name.startswith(own)]
        if not documents:
            return KnownCounts()
        numbers = {
            identity: number
            for number, (identity, file) in enumerate(zip(gathered.identities, gathered.stored, strict=True))
            if _is_stored(file, self._sizes)
        }
        files = open_lake_files(self.spark, self._folder)
        found = KnownCounts()
        for name in documents:
            try:
                kept = _parse(files.read_text(f"{self._folder}/{name}"), numbers, names)
            except (Py4JJavaError, OSError, ValueError, KeyError, TypeError) as error:
                log_traceback(error)
                continue
            found = max(found, kept, key=lambda each: len(each.files))
        return found

    def keep(self, gathered: GatheredFiles, counts: KnownCounts) -> None:
        """Keep the counts of some files, in place of what was kept of this table before.

        An error is only logged: another run will count them again.
        """
        with log_errors():
            own, oldest = self._identify(gathered), datetime.now(UTC) - _KEPT_FOR
            old = [name for name, written in self._list() if name.startswith(own) or written < oldest]
            new = f"{own}{self.plan.run_id}.json"
            files = open_lake_files(self.spark, self._folder)
            files.write_text(f"{self._folder}/{new}", _format(counts, gathered.identities))
            for name in old:
                if name != new:
                    files.remove(f"{self._folder}/{name}")

    def note(self, *, known: int, read: int) -> None:
        """Note how many files' counts were found, and how many files were read."""
        self.known += known
        self.read += read

    @cached_property
    def _sizes(self) -> dict[str, set[int]]:
        """The sizes of all files in the table's folder by their names, which several files may share.

        A version counts as readable only as long as its files are there, though they are not read again.
        """
        uri = self.plan.table_uri
        sizes: dict[str, set[int]] = {}
        for file in open_lake_files(self.spark, uri).list_files(uri, below=True):
            sizes.setdefault(file.name, set()).add(file.bytes)
        return sizes

    @property
    def _folder(self) -> str:
        return f"{self.plan.environment.lake}/counts"

    def _identify(self, gathered: GatheredFiles) -> str:
        """Return the beginning of the names of documents with counts of these files; the run's ID follows."""
        return f"{identify_counts(self.plan, gathered.layout, self.libraries).key}."

    def _list(self) -> Iterator[tuple[str, datetime]]:
        """Yield the name of each document, and when it was written."""
        for file in open_lake_files(self.spark, self._folder).list_files(self._folder):
            yield file.name, datetime.fromtimestamp(file.modified_ms / 1000, UTC)


def _is_stored(file: StoredFile, sizes: Mapping[str, set[int]]) -> bool:
    if file.vector is not None and file.vector not in sizes:
        return False
    return file.size in sizes.get(file.name, ())


def open_kept_counts(spark: SparkSession, plan: Plan) -> KeptCounts | None:
    """Return the counts that are kept for the run's table.

    Returns:
        ``None`` if the run builds its table, whose files no other run reads, the table is in a catalog, which
        hides its files, or it has sensitive columns, whose smallest and largest values would be stored.
    """
    table = plan.existing_table
    if table is None or is_table_name(table) or plan.scenario.table.sensitive:
        return None
    return KeptCounts(spark, plan, list_libraries(spark))


def _format(counts: KnownCounts, identities: tuple[str, ...]) -> str:
    names = next((list(each) for each in counts.files.values() if each is not None), [])
    content = {
        "names": names,
        "files": {
            identities[number]: None if each is None else [each[name] for name in names]
            for number, each in counts.files.items()
        },
        "unique": [identities[number] for number in sorted(counts.unique)],
    }
    return json.dumps({"sha256": _digest(content), "content": content})


def _parse(text: str, numbers: Mapping[str, int], names: Collection[str]) -> KnownCounts:
    """Return the counts of the files that have a number.

    Raises:
        ValueError: The document was changed, or doesn't have all counts that are needed.
    """
    document = parse_json(text)
    content = document["content"]
    if document["sha256"] != _digest(content):
        raise ValueError("The kept counts were changed.")
    if missing := set(names).difference(content["names"]):
        raise ValueError(f"The kept counts lack {sorted(missing)}.")
    files = {
        numbers[identity]: None if values is None else dict(zip(content["names"], values, strict=True))
        for identity, values in content["files"].items()
        if identity in numbers
    }
    return KnownCounts(files, frozenset(numbers[each] for each in content["unique"] if each in numbers))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
