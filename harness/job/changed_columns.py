"""The columns in which the rows of a version differ from those of the version before, with a few examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame, Row, functions as F, types as T

from harness.job.check_version import CheckedVersion
from harness.job.fingerprint import hash_values
from harness.job.prepare import format_key, hash_to_unit_interval
from harness.job.row_diff import select_common_columns
from harness.job.table_io import column
from harness.pipelines import KEY
from harness.predictions import show_key
from harness.results import ChangedColumns, ChangedRow
from harness.scenario.sensitive import hide_value

EXAMPLES = 5
_MAX_TEXT = 200
_OLD, _NEW, _VALUES = "old_hashes", "new_hashes", "harness_values"


def describe_changed_columns(before: CheckedVersion, after: CheckedVersion) -> ChangedColumns:
    """Count the rows in which each column changed, and show how a few of them changed.

    Rows are matched by their key, and compared over the columns that both versions have, as in ``row_diff``.

    Args:
        before: The version before.
        after: The version, some of whose rows changed; keys identify the rows of both.
    """
    names = [field.name for field in select_common_columns(after, before)]
    sensitive = after.scenario.sensitive_columns
    shown = [at for at, name in enumerate(names) if name.lower() not in sensitive]
    hidden = [at for at in range(len(names)) if at not in shown]
    old = _hash_rows(before, after).withColumnRenamed(_NEW, _OLD)
    changed = old.join(_hash_rows(after, before), KEY).where(f"{_OLD} <> {_NEW}").persist()
    [counts] = changed.agg(
        *(F.count_if(_differs([at])).alias(f"changed_{at}") for at in shown),
        F.count_if(_differs(hidden)).alias("sensitive"),
    ).collect()
    of_key = hash_to_unit_interval(F.col(KEY), "example", after.scenario.seed)
    rows = changed.where(_differs(shown)).orderBy(of_key, KEY).limit(EXAMPLES).collect()
    changed.unpersist()
    by_column = {names[at]: counts[f"changed_{at}"] for at in shown if counts[f"changed_{at}"]}
    return ChangedColumns(
        columns=dict(sorted(by_column.items(), key=lambda each: -each[1])),
        sensitive=counts["sensitive"],
        examples=tuple(_make_examples(before, after, rows, shown)),
    )


def _hash_rows(version: CheckedVersion, other: CheckedVersion) -> DataFrame:
    return version.table.select(
        format_key(version.scenario).alias(KEY),
        hash_values(select_common_columns(version, other)).alias(_NEW),
    )


def _differs(indexes: Iterable[int]) -> Column:
    """Return the condition that one of these columns changed."""
    condition = F.lit(False)
    for at in indexes:
        condition |= F.col(_OLD)[at] != F.col(_NEW)[at]
    return condition


def _make_examples(
    before: CheckedVersion, after: CheckedVersion, rows: Sequence[Row], shown: Sequence[int]
) -> list[ChangedRow]:
    keys = [row[KEY] for row in rows]
    old, new = _read_values(before, after, keys, shown), _read_values(after, before, keys, shown)
    names = [field.name for field in select_common_columns(after, before)]
    scenario = after.scenario
    parts = len(scenario.table.key)
    return [
        ChangedRow(
            key=hide_value(row[KEY]) if scenario.has_sensitive_key else show_key(row[KEY], parts),
            values={
                names[at]: (old[row[KEY]][index], new[row[KEY]][index])
                for index, at in enumerate(shown)
                if row[_OLD][at] != row[_NEW][at]
            },
        )
        for row in rows
    ]


def _read_values(
    version: CheckedVersion, other: CheckedVersion, keys: Sequence[str], shown: Sequence[int]
) -> dict[str, list[str | None]]:
    """Return the values of some rows as text, by key, in the order of ``shown``."""
    fields = select_common_columns(version, other)
    texts = [_to_text(fields[at]).substr(1, _MAX_TEXT) for at in shown]
    rows = version.table.select(format_key(version.scenario).alias(KEY), F.array(*texts).alias(_VALUES))
    return {row[KEY]: row[_VALUES] for row in rows.where(F.col(KEY).isin(list(keys))).collect()}


def _to_text(field: T.StructField) -> Column:
    value = column(field.name)
    return F.hex(value) if isinstance(field.dataType, T.BinaryType) else value.cast("string")
