"""Comparison of each version's rows with those of the previous version, by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import DataFrame, functions as F, types as T

from harness.job import fingerprint
from harness.job.check_version import CheckedVersion
from harness.job.prepare import format_key, has_key
from harness.job.table_io import unite
from harness.job.version_files import FILE, look_up
from harness.pipelines import KEY
from harness.results import RowChanges
from harness.scenario.model import Scenario

KNOWN = "harness_is_known"
"""Column that is true for rows that the previous version has, too, and null for added ones."""
_PAIR, _DIGEST, _OLD, _NEW = "version_index", "digest", "old_digest", "new_digest"


def count_row_changes(versions: Sequence[CheckedVersion]) -> list[RowChanges | None]:
    """Count, for each version, the rows that were added, removed or changed since the previous version.

    Rows are matched by their key, and compared over the columns that both versions have: an added column
    changes no row. ``None`` for the first version, and if a key is null or duplicated in a version or in
    the previous one, so that it doesn't identify rows. All versions are compared in one Spark job, which
    only looks at rows of files that differ, if they are known: keys are unique, so a row of any other file is
    the same in both.
    """
    changes: list[RowChanges | None] = [None] * len(versions)
    by_file: dict[int, list[int]] = {}
    sides: list[DataFrame] = []
    for index in range(1, len(versions)):
        before, after = versions[index - 1 : index + 1]
        if not (_has_unique_keys(before) and _has_unique_keys(after)):
            continue
        changes[index] = RowChanges(added=0, removed=0, changed=0)
        if before.fingerprint == after.fingerprint:
            continue
        files = _find_changed_files(before, after)
        if after.files is None or files is None:
            sides += (_select_side(index, before, after, _OLD), _select_side(index, after, before, _NEW))
        elif all(files):
            by_file.setdefault(id(after.files.gathered), []).append(index)
        else:  # Without a file that is gone, or a new one, all rows of the others count.
            more = after.rows - before.rows
            changes[index] = RowChanges(added=max(0, more), removed=max(0, -more), changed=0)
    sides += (_select_changed_files(versions, indexes) for indexes in by_file.values())
    for index, counted in _count_changes(sides).items():
        changes[index] = counted
    return changes


def _find_changed_files(
    before: CheckedVersion, after: CheckedVersion
) -> tuple[frozenset[int], frozenset[int]] | None:
    """Return the files that only the earlier version has, and those that only the later one has.

    Returns:
        ``None`` if they are not known, or the versions have other columns.
    """
    if not (before.files and after.files and before.files.gathered is after.files.gathered):
        return None
    return before.files.files - after.files.files, after.files.files - before.files.files


def _select_side(index: int, version: CheckedVersion, other: CheckedVersion, digest: str) -> DataFrame:
    """Return all rows of a version: the index, the key, and the digest of the columns of both versions."""
    columns = T.StructType(select_common_columns(version, other))
    return version.table.select(
        F.lit(index).alias(_PAIR),
        format_key(version.scenario).alias(KEY),
        fingerprint.row_digest(columns).alias(digest),
        F.lit(None).cast("string").alias(_NEW if digest == _OLD else _OLD),
    )


def _select_changed_files(versions: Sequence[CheckedVersion], indexes: Sequence[int]) -> DataFrame:
    """Return the rows of files that differ between versions and their previous ones.

    Args:
        versions: All versions.
        indexes: Indexes of versions that have the same columns as their previous ones.
    """
    uses: dict[int, list[int]] = {}
    for index in indexes:
        for side, files in enumerate(_find_changed_files(*versions[index - 1 : index + 1]) or ()):
            for file in files:
                uses.setdefault(file, []).append(2 * index + side)
    version = versions[indexes[0]]
    if version.files is None:
        raise AssertionError("only versions whose files are known")
    columns = T.StructType(select_common_columns(version, version))
    rows = version.files.gathered.table.where(F.col(FILE).isin(sorted(uses))).select(
        FILE, format_key(version.scenario).alias(KEY), fingerprint.row_digest(columns).alias(_DIGEST)
    )
    sides = look_up({file: f"array({', '.join(map(str, each))})" for file, each in uses.items()})
    return rows.select(F.explode(sides).alias("side"), KEY, _DIGEST).select(
        F.expr(f"side DIV 2 AS {_PAIR}"),
        KEY,
        F.expr(f"IF(side % 2 = 0, {_DIGEST}, NULL) AS {_OLD}"),
        F.expr(f"IF(side % 2 = 1, {_DIGEST}, NULL) AS {_NEW}"),
    )


def _count_changes(sides: Sequence[DataFrame]) -> dict[int, RowChanges]:
    """Count the rows added to, removed from and changed in each version, by its index."""
    if not sides:
        return {}
    by_key = unite(sides).groupBy(_PAIR, KEY).agg(F.max(_OLD).alias(_OLD), F.max(_NEW).alias(_NEW))
    counted = by_key.groupBy(_PAIR).agg(
        F.expr(f"count_if({_OLD} IS NULL) AS added"),
        F.expr(f"count_if({_NEW} IS NULL) AS removed"),
        F.expr(f"count_if({_OLD} <> {_NEW}) AS changed"),
    )
    return {index: RowChanges(added=a, removed=r, changed=c) for index, a, r, c in counted.collect()}


def attach_previous_keys(versions: Sequence[CheckedVersion]) -> list[CheckedVersion]:
    """Return the versions of a scenario, each with the keys of the previous one."""
    previous = [None, *(select_keys(version.table, version.scenario) for version in versions[:-1])]
    return [replace(version, previous_keys=keys) for version, keys in zip(versions, previous, strict=False)]


def select_keys(table: DataFrame, scenario: Scenario) -> DataFrame | None:
    """Return the keys of a version as one column, or ``None`` if it lacks a column of the key."""
    return table.select(format_key(scenario).alias(KEY)) if has_key(table, scenario) else None


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
    is_identified = has_key(version.table, version.scenario)
    return is_identified and not version.null_keys and not version.duplicate_keys


def select_common_columns(version: CheckedVersion, other: CheckedVersion) -> list[T.StructField]:
    """Return a version's columns that another version has too, in an order that both share."""
    names = {column.lower() for column in other.table.columns}
    common = [field for field in version.table.schema if field.name.lower() in names]
    return sorted(common, key=lambda field: field.name.lower())
