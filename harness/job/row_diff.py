"""Comparison of each version's rows with those of the previous version, by their keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, functions as F, types as T

from harness.job import fingerprint
from harness.job.check_version import CheckedVersion
from harness.job.delta_log import ChangedFiles
from harness.job.prepare import format_key
from harness.job.table_io import unite
from harness.pipelines import KEY
from harness.results import RowChanges
from harness.scenario.model import Scenario

KNOWN = "harness_is_known"
"""Column that is true for rows that the previous version has, too, and null for added ones."""
_PAIR, _OLD, _NEW = "version_index", "old_digest", "new_digest"
FindChangedFiles = Callable[[int, int], ChangedFiles | None]
"""Returns the files that differ between two Delta versions; ``None`` if they are not known."""


def count_row_changes(
    versions: Sequence[CheckedVersion],
    find_changed_files: FindChangedFiles = lambda _before, _after: None,
) -> list[RowChanges | None]:
    """Count, for each version, the rows that were added, removed or changed since the previous version.

    Rows are matched by their key, and compared over the columns that both versions have: an added column
    changes no row. ``None`` for the first version, and if a key is null or duplicated in a version or in
    the previous one, so that it doesn't identify rows. All versions are compared in one Spark job, which
    only looks at rows of files that differ: keys are unique, so a row of any other file is the same in both.
    """
    sides: list[DataFrame] = []
    for index in range(1, len(versions)):
        before, after = versions[index - 1 : index + 1]
        if _can_differ(before, after):
            sides += _select_sides(index, before, after, find_changed_files(before.version, after.version))
    counts = _count_changes(sides) if sides else {}
    changes = [_select_changes(versions, index, counts) for index in range(1, len(versions))]
    return [None, *changes][: len(versions)]


def _can_differ(before: CheckedVersion, after: CheckedVersion) -> bool:
    return _has_unique_keys(before) and _has_unique_keys(after) and before.fingerprint != after.fingerprint


def _select_changes(
    versions: Sequence[CheckedVersion], index: int, counts: Mapping[int, Mapping[str, int]]
) -> RowChanges | None:
    before, after = versions[index - 1 : index + 1]
    if not (_has_unique_keys(before) and _has_unique_keys(after)):
        return None
    found = counts.get(index, {})
    return RowChanges(
        added=found.get("added", 0), removed=found.get("removed", 0), changed=found.get("changed", 0)
    )


def _select_sides(
    index: int, before: CheckedVersion, after: CheckedVersion, files: ChangedFiles | None
) -> Iterator[DataFrame]:
    """Yield the rows of two versions that may differ: the index, the key, and the digest of each row."""
    removed, added = (None, None) if files is None else (files.removed, files.added)
    for version, other_version, digest, paths in (
        (before, after, _OLD, removed),
        (after, before, _NEW, added),
    ):
        table = version.table
        columns = T.StructType(select_common_columns(version, other_version))
        if paths is not None and "_metadata" not in table.columns:
            if not paths:
                continue
            table = table.where(_is_one_of(paths))
        other = _NEW if digest == _OLD else _OLD
        yield table.select(
            F.lit(index).alias(_PAIR),
            format_key(version.scenario).alias(KEY),
            fingerprint.row_digest(columns).alias(digest),
            F.lit(None).cast("string").alias(other),
        )


def _is_one_of(paths: Collection[str]) -> Column:
    """Return whether a row is in one of some files, by their paths in the table's folder."""
    of_depth: dict[int, list[str]] = {}
    for path in paths:
        of_depth.setdefault(path.count("/") + 1, []).append(path)
    file = F.col("_metadata.file_path")
    return reduce(
        or_, (F.substring_index(file, "/", -depth).isin(found) for depth, found in of_depth.items())
    )


def _count_changes(sides: Sequence[DataFrame]) -> dict[int, dict[str, int]]:
    """Count the rows added to, removed from and changed in each version, by its index."""
    by_key = unite(sides).groupBy(_PAIR, KEY).agg(F.max(_OLD).alias(_OLD), F.max(_NEW).alias(_NEW))
    counted = by_key.groupBy(_PAIR).agg(
        F.expr(f"count_if({_OLD} IS NULL) AS added"),
        F.expr(f"count_if({_NEW} IS NULL) AS removed"),
        F.expr(f"count_if({_OLD} <> {_NEW}) AS changed"),
    )
    return {row[_PAIR]: row.asDict() for row in counted.collect()}


def attach_previous_keys(versions: Sequence[CheckedVersion]) -> list[CheckedVersion]:
    """Return the versions of a scenario, each with the keys of the previous one."""
    previous = [None, *(select_keys(version.table, version.scenario) for version in versions[:-1])]
    return [replace(version, previous_keys=keys) for version, keys in zip(versions, previous, strict=False)]


def select_keys(table: DataFrame, scenario: Scenario) -> DataFrame | None:
    """Return the keys of a version as one column, or ``None`` if it lacks a column of the key."""
    names = {name.lower() for name in table.columns}
    if not all(name.lower() in names for name in scenario.table.key):
        return None
    return table.select(format_key(scenario).alias(KEY))


def mark_known(rows: DataFrame, previous_keys: DataFrame | None) -> DataFrame:
    """Add the column ``KNOWN``.

    Args:
        rows: Rows with their key.
        previous_keys: The keys of the previous version; ``None`` if there is none, so that no row is added.
    """
    if previous_keys is None:
        return rows.withColumn(KNOWN, F.lit(True))
    return rows.join(previous_keys.distinct().withColumn(KNOWN, F.lit(True)), KEY, "left")


def _has_unique_keys(version: CheckedVersion) -> bool:
    has_key = select_keys(version.table, version.scenario) is not None
    return has_key and not version.null_keys and not version.duplicate_keys


def select_common_columns(version: CheckedVersion, other: CheckedVersion) -> list[T.StructField]:
    """Return a version's columns that another version has too, in an order that both share."""
    names = {column.lower() for column in other.table.columns}
    common = [field for field in version.table.schema if field.name.lower() in names]
    return sorted(common, key=lambda field: field.name.lower())
