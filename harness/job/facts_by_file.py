"""What is counted over the rows of several versions, with each data file read once.

The counts of a version are merged from those of its files. Different keys can't be merged like that: for each
key, Spark finds the sets of files that have it, and a version's keys are those with a file of the version. Of
files whose keys are known to be unique, only rows with a key of another file matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, functions as F, types as T

from harness.errors import ScenarioError
from harness.job.check_version import Aggregate, CheckQuery, is_trained, make_query
from harness.job.ingest import BuiltVersion
from harness.job.kept_counts import Counts, KeptCounts, KnownCounts
from harness.job.prepare import has_key
from harness.job.spark_errors import log_traceback
from harness.job.table_io import column
from harness.job.version_files import (
    FILE,
    GatheredFiles,
    SharedFiles,
    VersionFiles,
    gather_files,
    share_files,
)
from harness.pipelines import KEY
from harness.scenario.model import Scenario
from harness.table_names import is_table_name

_SET = "in_set"
_BITS = 62
_MOST_SETS = 496
"""With more sets of files, or more combinations of them with the same keys, keys are counted per version."""
_MOST_COMBINATIONS = 100_000
_ORDERED = (T.IntegralType, T.StringType, T.DateType)
"""Types of key columns by whose smallest and largest values files are skipped."""
Out = TypeVar("Out")


def find_files(
    spark: SparkSession, uri: str, built: Sequence[BuiltVersion], folder: str
) -> dict[str, VersionFiles]:
    """Return the files of each version by its name; none if the log can't be read like this.

    Args:
        spark: The session.
        uri: The table: its URI, or its name in a catalog.
        built: The versions.
        folder: Folder of the lake for temporary tables.
    """
    if is_table_name(uri):
        return {}  # A catalog hides the files.
    numbers = [version.number for version in built]
    groups = _attempt(lambda: gather_files(spark, uri, numbers, folder)) or ()
    return {
        version.name: VersionFiles(group, group.versions[version.number])
        for group in groups
        for version in built
        if version.number in group.versions
    }


def count_by_file(
    built: Sequence[BuiltVersion],
    scenario: Scenario,
    files: Mapping[str, VersionFiles],
    kept: KeptCounts | None = None,
) -> dict[str, Counts]:
    """Return the counts of versions that ``check_version`` needs, by the version's name.

    A version is not among them if its files or its rows don't allow it; then ``check_version`` counts its
    rows by itself, and says what is wrong.

    Args:
        built: The versions.
        scenario: The scenario.
        files: Name of a version to its files.
        kept: What earlier runs have counted; ``None`` if nothing is kept between runs.
    """
    groups: dict[int, list[BuiltVersion]] = {}
    for version in built:
        if version.name in files:
            groups.setdefault(id(files[version.name].gathered), []).append(version)
    found: dict[str, Counts] = {}
    for group in groups.values():
        found |= _attempt(partial(_count_group, group, scenario, files, kept)) or {}
    return found


def _attempt(work: Callable[[], Out | None]) -> Out | None:
    """Return what some work returns; ``None`` if it fails: then each version is looked at by itself."""
    try:
        return work()
    except (ScenarioError, PySparkException, Py4JJavaError) as error:
        log_traceback(error)
        return None


@dataclass(frozen=True)
class _Rows:
    """The rows of all files of some versions, and what is counted of them."""

    gathered: GatheredFiles
    query: CheckQuery
    key: Sequence[str]
    """The columns of the key; empty if the versions lack one of them."""

    def select(self, files: frozenset[int]) -> DataFrame:
        """Return the rows of some files."""
        return self.query.frame.where(F.col(FILE).isin(sorted(files)))

    def count(self, files: frozenset[int]) -> dict[int, Counts | None] | None:
        """Count the rows of files: ``None`` for a file without rows.

        Returns:
            ``None`` if Spark finds other rows than the log says.
        """
        if not files:
            return {}
        computed = self.select(files).select(FILE, *self.query.computed)
        by_file = {row.pop(FILE): row for row in _collect(computed.groupBy(FILE).agg(*self.query.columns))}
        counts: dict[int, Counts | None] = {file: by_file.get(file) for file in files}
        for file, each in counts.items():
            if self.gathered.rows[file] not in (None, each["rows"] if each else 0):
                return None
        return counts


def _collect(frame: DataFrame) -> list[dict[str, Any]]:
    return [row.asDict() for row in frame.collect()]


def _count_group(
    built: Sequence[BuiltVersion],
    scenario: Scenario,
    files: Mapping[str, VersionFiles],
    kept: KeptCounts | None,
) -> dict[str, Counts] | None:
    """Count the rows of versions with the same columns.

    Returns:
        ``None`` if Spark found other rows than the log says, or too many combinations.
    """
    # What is counted for training includes what is counted for other versions.
    first = next((each for each in built if is_trained(scenario, each.name)), built[0])
    gathered = files[first.name].gathered
    query = make_query(first.table, gathered.table, scenario, first.name)
    rows = _Rows(gathered, query, scenario.table.key if has_key(first.table, scenario) else ())
    own = [files[version.name].files for version in built]
    needed = frozenset[int]().union(*own)
    known = KnownCounts() if kept is None else kept.find(gathered, query.aggregates.keys())
    read = rows.count(needed - known.files.keys())
    if read is None:
        return None
    counts = {file: each for file, each in {**known.files, **read}.items() if file in needed}
    unique = known.unique & needed
    shared = share_files([*own, unique])
    keys = _count_keys(rows, shared, unique, counts)
    if keys is None:
        return None
    parts = [
        _merge(query.aggregates, [each for file in files if (each := counts[file])]) for files in shared.sets
    ]
    totals = [
        {**_merge(query.aggregates, [parts[index] for index in sets]), "keys": count}
        for sets, count in zip(shared.versions, keys, strict=False)
    ]
    if kept is not None:
        kept.note(known=len(needed) - len(read), read=len(read))
        by_size = sorted(zip(own, totals, strict=True), key=lambda each: len(each[0]))
        uniques = [each for each, total in by_size if total["keys"] == total["rows"] - total["null_keys"]]
        kept.keep(gathered, KnownCounts(counts, uniques[-1] if uniques else frozenset()))
    return {version.name: total for version, total in zip(built, totals, strict=True)}


def _merge(aggregates: Mapping[str, Aggregate], parts: Sequence[Counts]) -> Counts:
    merged: dict[str, Any] = {}
    for name, aggregate in aggregates.items():
        found = [part[name] for part in parts if part[name] is not None]
        merged[name] = aggregate.merge(found) if found else aggregate.empty
    return merged


def _count_keys(
    rows: _Rows, shared: SharedFiles, unique: frozenset[int], counts: Mapping[int, Counts | None]
) -> list[int] | None:
    """Count the different keys of each version; ``None`` if there are too many combinations of files.

    Args:
        rows: The rows of all files.
        shared: The files of each version, and at last those whose keys are known to be unique.
        unique: The latter.
        counts: The counts of all files.
    """
    with_keys = {file: each["rows"] - each["null_keys"] if each else 0 for file, each in counts.items()}
    *versions, last = shared.versions
    keys = [
        sum(with_keys[file] for index in sets if index in last for file in shared.sets[index])
        for sets in versions
    ]
    others = frozenset(file for file in counts if file not in unique and with_keys[file])
    if not others:
        return keys
    if len(shared.sets) > _MOST_SETS:
        return None
    words = [
        f"bit_or(IF({_SET} DIV {_BITS} = {word}, shiftleft(1L, {_SET} % {_BITS}), 0L)) AS word_{word}"
        for word in range(1 + len(shared.sets) // _BITS)
    ]
    by_key = _select_keys(rows, shared, others, unique).groupBy(KEY).agg(*map(F.expr, words)).drop(KEY)
    combinations = by_key.groupBy(by_key.columns).count().limit(_MOST_COMBINATIONS + 1).collect()
    if len(combinations) > _MOST_COMBINATIONS:
        return None
    *masks, counted = [sum(1 << index for index in own) for own in shared.versions]
    for *found, count in combinations:
        combined = sum(word << (_BITS * index) for index, word in enumerate(found))
        for at, mask in enumerate(masks):
            # A key of a unique file is counted already.
            keys[at] += count if combined & mask and not combined & mask & counted else 0
    return keys


def _select_keys(
    rows: _Rows, shared: SharedFiles, others: frozenset[int], unique: frozenset[int]
) -> DataFrame:
    """Return the set and the key of each row that may have the key of another one.

    Args:
        rows: The rows of all files.
        shared: The sets of files.
        others: Files of which all rows count.
        unique: Files of which only rows count that have the key of one of the others.
    """

    def select(frame: DataFrame) -> DataFrame:
        keys = frame.select(shared.index().alias(_SET), *rows.query.computed).select(_SET, KEY)
        return keys.where(F.col(KEY).isNotNull())

    found = select(rows.select(others))
    if not unique:
        return found
    frame = rows.select(unique)
    ordered = [
        name for name in rows.key if isinstance(frame.select(column(name)).schema[0].dataType, _ORDERED)
    ]
    limits = [call(column(name)) for name in ordered for call in (F.min, F.max)]
    values = iter(rows.select(others).select(limits).first() or ())
    for name in ordered:
        # Delta skips files without such keys, and Parquet skips parts of files.
        frame = frame.where(column(name).between(next(values), next(values)))
    return found.unionByName(select(frame).join(found.select(KEY), KEY, "left_semi"))
