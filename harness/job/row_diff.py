"""What happened to the rows from one version to the next, and which of them are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, functions as F, types as T

from harness.job import fingerprint
from harness.job.check_version import CheckedVersion
from harness.job.prepare import key_text
from harness.pipelines import KEY
from harness.results import RowChanges
from harness.scenario.model import Scenario

_PLACE, _OLD, _NEW = "place", "old_digest", "new_digest"


def row_changes(versions: Sequence[CheckedVersion]) -> list[RowChanges | None]:
    """Of each version: rows that came, went, and stayed with another content, told by their key.

    A row's content is that of the columns which both versions have: one more column changes no row.
    ``None`` for the first version, and where a key is null or doubled in a version or the one before it, so
    that it names no row. All versions are held against each other in one Spark job.
    """
    differ = [place for place in range(1, len(versions)) if _can_differ(*versions[place - 1 : place + 1])]
    counted = _counted(versions, differ) if differ else {}
    return [None, *(_changes(versions, place, counted) for place in range(1, len(versions)))][: len(versions)]


def _can_differ(before: CheckedVersion, after: CheckedVersion) -> bool:
    return _names_rows(before) and _names_rows(after) and before.fingerprint != after.fingerprint


def _changes(
    versions: Sequence[CheckedVersion], place: int, counted: Mapping[int, Mapping[str, int]]
) -> RowChanges | None:
    before, after = versions[place - 1 : place + 1]
    if not (_names_rows(before) and _names_rows(after)):
        return None
    if not _can_differ(before, after):
        return RowChanges(added=0, removed=0, changed=0)
    # A version without rows is not among those that were counted.
    here, there = counted.get(place, {}), counted.get(place - 1, {})
    return RowChanges(
        added=here.get("added", 0), removed=there.get("gone", 0), changed=here.get("changed", 0)
    )


def _counted(versions: Sequence[CheckedVersion], differ: Sequence[int]) -> dict[int, dict[str, int]]:
    """Place of a version to its rows that came or changed with it, and those that are gone from the next.

    The rows of one key follow each other in the order of the versions.
    """
    places = sorted({place for after in differ for place in (after - 1, after)})
    rows = reduce(DataFrame.unionByName, (_digested(versions, place) for place in places))
    of_key = Window.partitionBy(KEY).orderBy(_PLACE)
    neighbours = rows.select(
        _PLACE,
        _NEW,
        F.lag(_PLACE).over(of_key).alias("before"),
        F.lag(_OLD).over(of_key).alias(_OLD),
        F.lead(_PLACE).over(of_key).alias("after"),
    )
    found = neighbours.groupBy(_PLACE).agg(
        F.expr(f"count_if(NOT before <=> {_PLACE} - 1) AS added"),
        F.expr(f"count_if(before = {_PLACE} - 1 AND {_OLD} <> {_NEW}) AS changed"),
        F.expr(f"count_if(NOT after <=> {_PLACE} + 1) AS gone"),
    )
    return {row[_PLACE]: row.asDict() for row in found.collect()}


def in_order(versions: Sequence[CheckedVersion]) -> list[CheckedVersion]:
    """The versions of a scenario, each with the keys of the one before it."""
    before = [None, *(keys_of(version.table, version.scenario) for version in versions[:-1])]
    return [replace(version, before=keys) for version, keys in zip(versions, before, strict=False)]


def keys_of(table: DataFrame, scenario: Scenario) -> DataFrame | None:
    """The keys of a version, as one column; ``None`` where it lacks one of the key's columns."""
    known = {name.lower() for name in table.columns}
    if not all(name.lower() in known for name in scenario.table.key):
        return None
    return table.select(key_text(scenario).alias(KEY))


def _names_rows(version: CheckedVersion) -> bool:
    has_key = keys_of(version.table, version.scenario) is not None
    return has_key and not version.null_keys and not version.duplicate_keys


def _digested(versions: Sequence[CheckedVersion], place: int) -> DataFrame:
    """The key of each row, and its digest to be held against the version before and the one after."""
    version = versions[place]
    before = versions[place - 1] if place else version
    after = versions[place + 1] if place + 1 < len(versions) else version
    return version.table.select(
        F.lit(place).alias(_PLACE),
        key_text(version.scenario).alias(KEY),
        _digest(version, before).alias(_NEW),
        _digest(version, after).alias(_OLD),
    )


def _digest(version: CheckedVersion, other: CheckedVersion) -> Column:
    """The digest of a row over the columns that the other version has too.

    They are digested in one order in both, whatever the order in the tables.
    """
    kept = {column.lower() for column in other.table.columns}
    common = [field for field in version.table.schema if field.name.lower() in kept]
    return fingerprint.row_digest(T.StructType(sorted(common, key=lambda field: field.name.lower())))
