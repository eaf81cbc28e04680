"""Comparison of each version's rows with those of the previous version, by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, functions as F, types as T

from harness.job import fingerprint
from harness.job.check_version import CheckedVersion
from harness.job.prepare import format_key
from harness.pipelines import KEY
from harness.results import RowChanges
from harness.scenario.model import Scenario

KNOWN = "harness_is_known"
"""Column that is true for rows that the previous version has, too, and null for added ones."""
_INDEX, _OLD, _NEW = "version_index", "old_digest", "new_digest"


def count_row_changes(versions: Sequence[CheckedVersion]) -> list[RowChanges | None]:
    """Count, for each version, the rows that were added, removed or changed since the previous version.

    Rows are matched by their key, and compared over the columns that both versions have: an added column
    changes no row. ``None`` for the first version, and if a key is null or duplicated in a version or in
    the previous one, so that it doesn't identify rows. All versions are compared in one Spark job.
    """
    differing = [index for index in range(1, len(versions)) if _can_differ(*versions[index - 1 : index + 1])]
    counts = _count_changes(versions, differing) if differing else {}
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
    if not _can_differ(before, after):
        return RowChanges(added=0, removed=0, changed=0)
    # A version without rows has no counts.
    of_after, of_before = counts.get(index, {}), counts.get(index - 1, {})
    return RowChanges(
        added=of_after.get("added", 0),
        removed=of_before.get("removed", 0),
        changed=of_after.get("changed", 0),
    )


def _count_changes(versions: Sequence[CheckedVersion], differing: Sequence[int]) -> dict[int, dict[str, int]]:
    """Count the rows added or changed in each version, and those removed from the next, by its index.

    The rows with one key follow each other in the order of the versions.
    """
    indexes = sorted({index for after in differing for index in (after - 1, after)})
    rows = reduce(DataFrame.unionByName, (_digest_rows(versions, index) for index in indexes))
    of_key = Window.partitionBy(KEY).orderBy(_INDEX)
    neighbors = rows.select(
        _INDEX,
        _NEW,
        F.lag(_INDEX).over(of_key).alias("before"),
        F.lag(_OLD).over(of_key).alias(_OLD),
        F.lead(_INDEX).over(of_key).alias("after"),
    )
    counted = neighbors.groupBy(_INDEX).agg(
        F.expr(f"count_if(NOT before <=> {_INDEX} - 1) AS added"),
        F.expr(f"count_if(before = {_INDEX} - 1 AND {_OLD} <> {_NEW}) AS changed"),
        F.expr(f"count_if(NOT after <=> {_INDEX} + 1) AS removed"),
    )
    return {row[_INDEX]: row.asDict() for row in counted.collect()}


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


def _digest_rows(versions: Sequence[CheckedVersion], index: int) -> DataFrame:
    """Return each row's key, and its digests to compare with the previous and with the next version."""
    version = versions[index]
    before = versions[index - 1] if index else version
    after = versions[index + 1] if index + 1 < len(versions) else version
    return version.table.select(
        F.lit(index).alias(_INDEX),
        format_key(version.scenario).alias(KEY),
        _common_digest(version, before).alias(_NEW),
        _common_digest(version, after).alias(_OLD),
    )


def _common_digest(version: CheckedVersion, other: CheckedVersion) -> Column:
    """Return the digest of a row over the columns that both versions have."""
    return fingerprint.row_digest(T.StructType(select_common_columns(version, other)))


def select_common_columns(version: CheckedVersion, other: CheckedVersion) -> list[T.StructField]:
    """Return a version's columns that another version has too, in an order that both share."""
    names = {column.lower() for column in other.table.columns}
    common = [field for field in version.table.schema if field.name.lower() in names]
    return sorted(common, key=lambda field: field.name.lower())
