"""What is counted over the rows of several versions, with each data file read once.

The counts of a version are merged from those of its files. Different keys can't be merged like that: for each
key, Spark finds the sets of files that have it, and a version's keys are those with a file of the version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession, functions as F

from harness.errors import ScenarioError
from harness.job.check_version import Aggregate, is_trained, make_query
from harness.job.ingest import BuiltVersion
from harness.job.spark_errors import log_traceback
from harness.job.version_files import FILE, SharedFiles, VersionFiles, gather_files, share_files
from harness.pipelines import KEY
from harness.scenario.model import Scenario

_SET = "in_set"
_BITS = 62
_MOST_SETS = 496
"""With more sets of files, or more combinations of them with the same keys, keys are counted per version."""
_MOST_COMBINATIONS = 100_000
Counts = Mapping[str, Any]
Out = TypeVar("Out")


def find_files(
    spark: SparkSession, uri: str, built: Sequence[BuiltVersion], folder: str
) -> dict[str, VersionFiles]:
    """Return the files of each version by its name.

    Args:
        spark: The session.
        uri: The table.
        built: The versions.
        folder: Folder of the lake for temporary tables.

    Returns:
        An empty dictionary for a single version, or if the log can't be read like this.
    """
    if len({version.number for version in built}) < 2:  # noqa: PLR2004 - nothing is read twice
        return {}
    numbers = [version.number for version in built]
    groups = _attempt(lambda: gather_files(spark, uri, numbers, folder)) or ()
    return {
        version.name: VersionFiles(group, group.versions[version.number])
        for group in groups
        for version in built
        if version.number in group.versions
    }


def count_by_file(
    built: Sequence[BuiltVersion], scenario: Scenario, files: Mapping[str, VersionFiles]
) -> dict[str, Counts]:
    """Return the counts of versions that ``check_version`` needs, by the version's name.

    A version is not among them if its files or its rows don't allow it; then ``check_version`` counts its
    rows by itself, and says what is wrong.

    Args:
        built: The versions.
        scenario: The scenario.
        files: Name of a version to its files.
    """
    groups: dict[int, list[BuiltVersion]] = {}
    for version in built:
        if version.name in files:
            groups.setdefault(id(files[version.name].gathered), []).append(version)
    found: dict[str, Counts] = {}
    for group in groups.values():
        found |= _attempt(partial(_count_group, group, scenario, files)) or {}
    return found


def _attempt(work: Callable[[], Out | None]) -> Out | None:
    """Return what some work returns; ``None`` if it fails: then each version is looked at by itself."""
    try:
        return work()
    except (ScenarioError, PySparkException, Py4JJavaError) as error:
        log_traceback(error)
        return None


def _count_group(
    built: Sequence[BuiltVersion], scenario: Scenario, files: Mapping[str, VersionFiles]
) -> dict[str, Counts] | None:
    """Count the rows of versions with the same columns.

    Returns:
        ``None`` if Spark found other rows than the log says, or too many combinations.
    """
    # What is counted for training includes what is counted for other versions.
    first = next((each for each in built if is_trained(scenario, each.name)), built[0])
    gathered = files[first.name].gathered
    shared = share_files([files[version.name].files for version in built])
    rows = gathered.table.where(F.col(FILE).isin(shared.files))
    query = make_query(first.table, rows, scenario, first.name)
    computed = query.frame.select(FILE, *query.computed)
    by_file = {row[FILE]: row.asDict() for row in computed.groupBy(FILE).agg(*query.columns).collect()}
    counted = {file: by_file[file]["rows"] if file in by_file else 0 for file in shared.files}
    if any(gathered.rows[file] not in (None, count) for file, count in counted.items()):
        return None
    keys = _count_keys(computed.select(shared.index().alias(_SET), KEY), shared)
    if keys is None:
        return None
    parts = [
        _merge(query.aggregates, [by_file[file] for file in each if file in by_file]) for each in shared.sets
    ]
    return {
        version.name: {**_merge(query.aggregates, [parts[index] for index in own]), "keys": count}
        for version, own, count in zip(built, shared.versions, keys, strict=True)
    }


def _merge(aggregates: Mapping[str, Aggregate], parts: Sequence[Counts]) -> Counts:
    merged: dict[str, Any] = {}
    for name, aggregate in aggregates.items():
        found = [part[name] for part in parts if part[name] is not None]
        merged[name] = aggregate.merge(found) if found else aggregate.empty
    return merged


def _count_keys(rows: DataFrame, shared: SharedFiles) -> list[int] | None:
    """Count the different keys of each version; ``None`` if there are too many combinations of sets.

    Args:
        rows: The set and the key of each row.
        shared: The sets of files.
    """
    if len(shared.sets) > _MOST_SETS:
        return None
    words = [
        f"bit_or(IF({_SET} DIV {_BITS} = {word}, shiftleft(1L, {_SET} % {_BITS}), 0L)) AS word_{word}"
        for word in range(1 + len(shared.sets) // _BITS)
    ]
    by_key = rows.where(F.col(KEY).isNotNull()).groupBy(KEY).agg(*map(F.expr, words)).drop(KEY)
    combinations = by_key.groupBy(by_key.columns).count().limit(_MOST_COMBINATIONS + 1).collect()
    if len(combinations) > _MOST_COMBINATIONS:
        return None
    masks = [sum(1 << index for index in own) for own in shared.versions]
    keys = [0] * len(masks)
    for *found, count in combinations:
        combined = sum(word << (_BITS * index) for index, word in enumerate(found))
        for at, mask in enumerate(masks):
            keys[at] += count if combined & mask else 0
    return keys
