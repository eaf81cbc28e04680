"""The data files of a table's versions, gathered in tables of their own, so that each file is read once.

A version of a Delta table is a set of data files, each with a vector of its deleted rows, and most of them
belong to many versions. The log says which, as Delta's protocol defines it:
https://github.com/delta-io/delta/blob/master/PROTOCOL.md. All files of versions with the same columns are
listed once in the log of a temporary table, by their absolute paths, as those of a shallow clone are. There
the number of its file is the value of one more column, a partition column: whatever is counted by that column
is known for every version that has the file.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from harness.job.delta_log import read_actions
from harness.job.lake_files import encode_uri, open_lake_files
from harness.retention.table_log import find_name

FILE = "harness_file"
"""Column with the number of a row's file."""
_CHECKPOINT = re.compile(r"(?P<version>\d{20})\.checkpoint(\.\d{10}\.(?P<parts>\d{10}))?\.parquet")
_MOST_COMMITS, _MOST_FILES = 1000, 20_000
"""With more, it is faster to read each version by itself."""
_MAPPING = "delta.columnMapping."
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_PYTHON85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_FROM_Z85 = str.maketrans(_Z85, _PYTHON85)
_UUID_DIGITS = 20
Action = Mapping[str, Any]
FileId = tuple[str, str]
"""A file's path, and the identity of its vector of deleted rows (empty if it has none)."""


@dataclass(frozen=True)
class StoredFile:
    """What storage must have, so that a version with a file can be read."""

    name: str
    size: int | None
    """In bytes, as the log says."""
    vector: str | None
    """Name of the file with the vector of its deleted rows; ``None`` if there is no such file."""


@dataclass(frozen=True)
class GatheredFiles:
    """All files of some versions with the same columns, as one table."""

    table: DataFrame
    """The rows of all files: the versions' columns, and ``FILE``."""
    versions: Mapping[int, frozenset[int]]
    """Delta version to the numbers of its files."""
    rows: tuple[int | None, ...]
    """Rows of each file by its number, as its writer counted them; ``None`` if it didn't."""
    identities: tuple[str, ...]
    """What identifies each file with its deleted rows, by its number, in every run that reads this table."""
    layout: str
    """What decides how the files are read: the table's identity, columns, partitions and protocol."""
    stored: tuple[StoredFile, ...]
    """What storage must have for each file, by its number."""


@dataclass(frozen=True)
class VersionFiles:
    """The files of one version."""

    gathered: GatheredFiles
    """All files of the versions with the same columns."""
    files: frozenset[int]
    """The numbers of this version's files."""


@dataclass(frozen=True)
class SharedFiles:
    """The files of some versions in sets: each version has either all of a set's files or none of them."""

    sets: tuple[frozenset[int], ...]
    versions: tuple[tuple[int, ...], ...]
    """The indexes of each version's sets."""

    @property
    def files(self) -> list[int]:
        """The numbers of all files, rising."""
        return sorted(file for each in self.sets for file in each)

    def index(self) -> Column:
        """Return the column of the index of a row's set; only for rows of these files."""
        set_of = {file: index for index, files in enumerate(self.sets) for file in files}
        return look_up({file: str(index) for file, index in set_of.items()})


def share_files(versions: Sequence[frozenset[int]]) -> SharedFiles:
    """Return the largest sets of files of which each version has either all or none."""
    members: dict[int, list[int]] = {}
    for index, files in enumerate(versions):
        for file in files:
            members.setdefault(file, []).append(index)
    sets: dict[tuple[int, ...], set[int]] = {}
    for file, indexes in members.items():
        sets.setdefault(tuple(indexes), set()).add(file)
    return SharedFiles(
        sets=tuple(frozenset(each) for each in sets.values()),
        versions=tuple(
            tuple(at for at, having in enumerate(sets) if index in having) for index in range(len(versions))
        ),
    )


def look_up(of_file: Mapping[int, str]) -> Column:
    """Return the column of a value by the row's file: an expression of SQL, or null for other files."""
    values = (of_file.get(file, "NULL") for file in range(max(of_file, default=0) + 1))
    return F.expr(f"array({', '.join(values)})[{FILE}]")


class _UnreadableLogError(Exception):
    """The log doesn't say which files a version has, or not in a way that is read here."""


@dataclass
class _Snapshot:
    """The state of a table at a version."""

    number: int
    protocol: Action = field(default_factory=dict)
    metadata: Action = field(default_factory=dict)
    files: dict[FileId, Action] = field(default_factory=dict)

    def apply(self, actions: Iterable[Action]) -> None:
        """Apply the actions of a commit or checkpoint; within one, those that remove files come first."""
        added: dict[FileId, Action] = {}
        for action in actions:
            if "add" in action:
                added[_identify(action["add"])] = action["add"]
            elif "remove" in action:
                self.files.pop(_identify(action["remove"]), None)
            elif "metaData" in action:
                self.metadata = action["metaData"]
            elif "protocol" in action:
                self.protocol = action["protocol"]
        self.files |= added

    @property
    def columns(self) -> str:
        """What decides how the files are read."""
        metadata = self.metadata
        parts = (metadata["schemaString"], metadata["partitionColumns"], _select_mapping(metadata))
        return json.dumps([*parts, self.protocol], sort_keys=True)


def gather_files(
    spark: SparkSession, uri: str, numbers: Sequence[int], folder: str
) -> list[GatheredFiles] | None:
    """Gather the files of some versions.

    Args:
        spark: The session.
        uri: The table.
        numbers: Its Delta versions.
        folder: Folder of the lake for the temporary tables.

    Returns:
        One table for all versions with the same columns; ``None`` if the log doesn't have all that is needed,
        or has checkpoints of a kind that isn't read here.
    """
    groups: dict[str, list[_Snapshot]] = {}
    try:
        for snapshot in _replay(spark, uri, sorted(set(numbers))):
            groups.setdefault(snapshot.columns, []).append(snapshot)
    except _UnreadableLogError:
        return None
    return [
        _gather(spark, uri, snapshots, f"{folder}/{index}") for index, snapshots in enumerate(groups.values())
    ]


def _gather(spark: SparkSession, uri: str, snapshots: Sequence[_Snapshot], folder: str) -> GatheredFiles:
    files: dict[FileId, Action] = {}
    for snapshot in snapshots:
        files |= snapshot.files
    numbers = {identity: number for number, identity in enumerate(files)}
    root = encode_uri(spark, uri)
    actions = [
        {"protocol": snapshots[0].protocol},
        {"metaData": _add_column(snapshots[0].metadata)},
        *({"add": _make_absolute(action, root, numbers[identity])} for identity, action in files.items()),
    ]
    text = "\n".join(map(json.dumps, actions))
    open_lake_files(spark, folder).write_text(f"{folder}/_delta_log/{0:020d}.json", text)
    return GatheredFiles(
        table=spark.read.format("delta").load(folder),
        versions={each.number: frozenset(numbers[identity] for identity in each.files) for each in snapshots},
        rows=tuple(_count_rows(action) for action in files.values()),
        identities=tuple(_format_identity(identity, action) for identity, action in files.items()),
        stored=tuple(_describe_stored(action, root) for action in files.values()),
        layout=json.dumps([snapshots[0].metadata["id"], snapshots[0].columns]),
    )


def _replay(spark: SparkSession, uri: str, numbers: Sequence[int]) -> Iterator[_Snapshot]:
    """Yield the table's state at each of some rising versions.

    Raises:
        _UnreadableLogError: A commit is missing, or its checkpoint is of another kind.
    """
    base, actions = _read_checkpoint(spark, uri, numbers[0])
    if numbers[-1] - base > _MOST_COMMITS:
        raise _UnreadableLogError
    state = _Snapshot(base)
    state.apply(actions)
    for number in numbers:
        for version in range(state.number + 1, number + 1):
            try:
                state.apply(read_actions(spark, uri, version))
            except (OSError, Py4JJavaError) as error:
                raise _UnreadableLogError from error
        if not (state.metadata and state.protocol and len(state.files) <= _MOST_FILES):
            raise _UnreadableLogError
        state.number = number
        yield replace(state, files=dict(state.files))


def _read_checkpoint(spark: SparkSession, uri: str, latest: int) -> tuple[int, Iterator[Action]]:
    """Return the last version before or at ``latest`` that has a checkpoint (-1: none), and its actions."""
    found: dict[tuple[int, int], list[str]] = {}
    for file in open_lake_files(spark, uri).list_files(f"{uri}/_delta_log"):
        match = _CHECKPOINT.fullmatch(file.name)
        if match and int(match["version"]) <= latest:
            key = int(match["version"]), int(match["parts"] or 1)
            found.setdefault(key, []).append(f"{uri}/_delta_log/{file.name}")
    complete = [(version, parts) for (version, parts), files in found.items() if len(files) == parts]
    if not complete:
        return -1, iter(())
    newest = max(complete)
    frame = spark.read.parquet(*found[newest])
    if "sidecar" in frame.columns:
        raise _UnreadableLogError
    rows = frame.select(F.to_json(F.struct("add", "metaData", "protocol"))).collect()
    return newest[0], (json.loads(row[0]) for row in rows)


def _identify(file: Action) -> FileId:
    vector = file.get("deletionVector")
    if not vector:
        return file["path"], ""
    return file["path"], f"{vector['storageType']}{vector['pathOrInlineDv']}@{vector.get('offset')}"


def _format_identity(identity: FileId, file: Action) -> str:
    return json.dumps([*identity, file.get("size"), file.get("modificationTime")])


def _describe_stored(file: Action, root: str) -> StoredFile:
    vector = file.get("deletionVector")
    location = _make_vector_absolute(vector, root) if vector and vector["storageType"] != "i" else None
    return StoredFile(
        name=find_name(file["path"]),
        size=file.get("size"),
        vector=find_name(location["pathOrInlineDv"]) if location else None,
    )


def _select_mapping(metadata: Action) -> dict[str, str]:
    """Return the properties that decide which column of a file is which of the table."""
    properties = metadata.get("configuration") or {}
    return {name: value for name, value in properties.items() if name.startswith(_MAPPING)}


def _add_column(metadata: Action) -> Action:
    """Return a table's metadata with the column ``FILE``, and without what only concerns writers."""
    properties = _select_mapping(metadata)
    described: dict[str, Any] = {}
    if properties.get(f"{_MAPPING}mode", "none") != "none":
        number = int(properties[f"{_MAPPING}maxColumnId"]) + 1
        properties[f"{_MAPPING}maxColumnId"] = str(number)
        described = {f"{_MAPPING}id": number, f"{_MAPPING}physicalName": FILE}
    schema = json.loads(metadata["schemaString"])
    schema["fields"].append({"name": FILE, "type": "integer", "nullable": True, "metadata": described})
    return {
        "id": str(uuid.uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(schema),
        "partitionColumns": [*metadata["partitionColumns"], FILE],
        "configuration": properties,
    }


def _make_absolute(file: Action, root: str, number: int) -> Action:
    """Return a file's entry for the log of another table."""
    entry = {name: file[name] for name in ("size", "modificationTime", "stats") if file.get(name) is not None}
    path = file["path"]
    is_absolute = path.startswith("/") or urlsplit(path).scheme
    vector = file.get("deletionVector")
    if vector:
        entry["deletionVector"] = _make_vector_absolute(vector, root)
    return {
        **entry,
        "path": path if is_absolute else f"{root}/{path}",
        "partitionValues": {**file["partitionValues"], FILE: str(number)},
        "dataChange": True,
    }


def _make_vector_absolute(vector: Action, root: str) -> Action:
    if vector["storageType"] != "u":
        return vector
    text = vector["pathOrInlineDv"]
    prefix, digits = text[:-_UUID_DIGITS], text[-_UUID_DIGITS:]
    name = uuid.UUID(bytes=base64.b85decode(digits.translate(_FROM_Z85)))
    folder = f"{root}/{prefix}" if prefix else root
    return {**vector, "storageType": "p", "pathOrInlineDv": f"{folder}/deletion_vector_{name}.bin"}


def _count_rows(file: Action) -> int | None:
    """Return the rows of a file that aren't deleted, as its writer counted them."""
    rows = json.loads(file.get("stats") or "{}").get("numRecords")
    deleted = (file.get("deletionVector") or {}).get("cardinality", 0)
    return None if rows is None else rows - deleted
