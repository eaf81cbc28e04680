"""The rows that a version added, compared with the rows that it has in common with the version before.

Everything is counted in whole numbers, so that no result depends on the order of rows or partitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window, functions as F, types as T

from harness.bounds.added_rows import (
    MAX_LABEL_VALUES,
    MAX_NEW_VALUES,
    MAX_OTHER_NUMBERS,
    MAX_RELATIONS,
    OTHER_VALUES,
    QUANTILES,
    choose_edges,
    correlate,
    rank_relations,
)
from harness.job.check_version import CheckedVersion
from harness.job.distributions import bin_of_category, bin_of_number
from harness.job.fingerprint import row_digest
from harness.job.prepare import (
    EQUALS,
    LABEL_VALUE,
    category_columns,
    hash_to_unit_interval,
    meets_filter,
    number_columns,
)
from harness.job.row_diff import KNOWN, mark_known
from harness.job.table_io import column
from harness.pipelines import KEY
from harness.reading.column_naming import quote_name
from harness.results import AddedRows, Relation, RowGroup
from harness.scenario.sensitive import hide_value

_SAMPLED_ROWS = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_IS_ADDED, _DIGEST = "harness_is_added", "harness_content"
_SUMS = "group int, rows bigint, sums array<bigint>, products array<bigint>, counts array<bigint>"


def describe_added_rows(
    version: CheckedVersion, categories: Mapping[str, tuple[str, ...]]
) -> AddedRows | None:
    """Return facts about the rows that a version added.

    Args:
        version: A version to be trained, whose keys are unique.
        categories: Categorical feature to the values with their own bin.

    Returns:
        The facts; ``None`` if there is no previous version, or it has no keys.
    """
    if version.previous_keys is None or not version.is_trained:
        return None
    joined = mark_known(version.frame, version.previous_keys)
    rows = joined.withColumn(_IS_ADDED, F.col(KNOWN).isNull().cast("int")).persist()
    features = _choose_bins(rows, version, categories)
    groups = _count_groups(rows, version)
    grams = _count_bins(rows, features)
    repeated = _count_repeated(rows, version)
    before, added = (
        groups.get(group, RowGroup(rows=0, labelled=0, positives=0)).model_copy(
            update={"bins": grams.bins(group), "repeated": repeated[group]}
        )
        for group in (0, 1)
    )
    new_values = _find_new_values(rows, version)
    rows.unpersist()
    relations = grams.relations()
    return AddedRows(
        before=before,
        added=added,
        new_values=new_values,
        relations=tuple(relations[:MAX_RELATIONS]),
        relations_compared=len(relations),
    )


@dataclass(frozen=True)
class _Binned:
    """A column or a value of the label, with the column of its bin; -1 stands for no value."""

    name: str
    size: int
    bin: Column
    is_feature: bool = False


def _choose_bins(
    rows: DataFrame, version: CheckedVersion, categories: Mapping[str, tuple[str, ...]]
) -> list[_Binned]:
    """Return the features, the other numeric columns of the table, and the values of the label."""
    pipeline = version.scenario.pipeline
    features = dict(zip(pipeline.features, number_columns(pipeline), strict=True))
    texts = dict(zip(pipeline.categorical, category_columns(pipeline), strict=True))
    others = _list_other_numbers(version)
    numbers = {**features, **{name: f"CAST({quote_name(name)} AS DOUBLE)" for name in others}}
    edges = _find_quantiles(rows, version, numbers)
    binned = []
    for name, number in numbers.items():
        starts = (-math.inf, *edges[name])
        binned.append(_Binned(name, len(starts), bin_of_number(number, starts), name in features))
    for name, text in texts.items():
        values = categories.get(name, ())
        binned.append(_Binned(name, len(values) + 1, bin_of_category(text, values), is_feature=True))
    label = pipeline.label
    for value in (*label.positive, *label.negative)[:MAX_LABEL_VALUES]:
        is_value = F.coalesce(column(label.column) == F.lit(value), F.lit(False)).cast("int")
        binned.append(_Binned(f"{label.column}={value}", 2, is_value))
    return [replace(each, bin=F.coalesce(each.bin, F.lit(-1))) for each in binned]


def _list_other_numbers(version: CheckedVersion) -> list[str]:
    """Return the numeric columns of the table besides the features, the key and the label."""
    scenario = version.scenario
    used = {*scenario.pipeline.features, *scenario.pipeline.categorical, scenario.pipeline.label.column}
    known = {name.lower() for name in (*used, *scenario.table.key)}
    return [
        field.name
        for field in version.table.schema
        if isinstance(field.dataType, T.NumericType | T.BooleanType) and field.name.lower() not in known
    ][:MAX_OTHER_NUMBERS]


def _find_quantiles(
    rows: DataFrame, version: CheckedVersion, numbers: Mapping[str, str]
) -> dict[str, list[float]]:
    """Return the limits between the bins of each numeric column: quantiles of the earlier rows.

    Args:
        rows: The rows of both groups.
        version: The version, whose size decides how many rows are sampled.
        numbers: Column to its value as SQL.
    """
    if not numbers:
        return {}
    share = min(1.0, _SAMPLED_ROWS / max(version.rows, 1))
    sample = rows.where((F.col(_IS_ADDED) == 0) & (hash_to_unit_interval(F.col(KEY), "bins", 0) < share))
    at = ", ".join(map(str, QUANTILES))
    found = sample.agg(
        *(
            F.expr(f"percentile(IF(isnan({number}), NULL, {number}), array({at})) AS quantiles_{index}")
            for index, number in enumerate(numbers.values())
        )
    ).first()
    return {
        name: choose_edges(found[index] or ()) if found is not None else []
        for index, name in enumerate(numbers)
    }


def _count_groups(rows: DataFrame, version: CheckedVersion) -> dict[int, RowGroup]:
    """Count rows, labels and nulls, and find the range of dates, by group."""
    fields = version.table.schema.fields
    kinds = T.DateType | T.TimestampType | T.TimestampNTZType
    sensitive = version.scenario.sensitive_columns
    dates = [
        field.name
        for field in fields
        if isinstance(field.dataType, kinds) and field.name.lower() not in sensitive
    ]
    counted = meets_filter(version.scenario) & F.col(LABEL_VALUE).isNotNull()
    # As numbers: Python receives timestamps in the time zone of its own machine, and has no year 10000.
    micros = [F.unix_micros(column(name).cast("timestamp")) for name in dates]
    found = (
        rows.groupBy(_IS_ADDED)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(counted).alias("labelled"),
            F.count_if(counted & (F.col(LABEL_VALUE) == 1)).alias("positives"),
            *(F.count_if(column(field.name).isNull()).alias(f"null_{at}") for at, field in enumerate(fields)),
            *(F.min(each).alias(f"earliest_{at}") for at, each in enumerate(micros)),
            *(F.max(each).alias(f"latest_{at}") for at, each in enumerate(micros)),
        )
        .collect()
    )
    return {
        row[_IS_ADDED]: RowGroup(
            rows=row["rows"],
            labelled=row["labelled"],
            positives=row["positives"],
            nulls={field.name: row[f"null_{at}"] for at, field in enumerate(fields)},
            dates={
                name: (_to_time(row[f"earliest_{at}"]), _to_time(row[f"latest_{at}"]))
                for at, name in enumerate(dates)
                if row[f"latest_{at}"] is not None
            },
        )
        for row in found
    }


def _to_time(micros: int) -> datetime:
    first, last = ((limit - _EPOCH) // timedelta(microseconds=1) for limit in (_FIRST, _LAST))
    return _EPOCH + timedelta(microseconds=max(first, min(last, micros)))


def _count_repeated(rows: DataFrame, version: CheckedVersion) -> tuple[int, int]:
    """Count the rows, before and added, that have the same features and label as another one."""
    pipeline = version.scenario.pipeline
    names = [LABEL_VALUE, *number_columns(pipeline), *category_columns(pipeline)]
    content = T.StructType([rows.schema[name] for name in names])
    by_content = (
        rows.select(row_digest(content).alias(_DIGEST), _IS_ADDED)
        .groupBy(_DIGEST)
        .agg(
            F.count_if(F.col(_IS_ADDED) == 0).alias("before"),
            F.count_if(F.col(_IS_ADDED) == 1).alias("added"),
        )
    )
    found = by_content.agg(
        F.sum(F.greatest(F.col("before") - 1, F.lit(0))),
        F.sum(
            F.when(F.col("before") > 0, F.col("added")).otherwise(F.greatest(F.col("added") - 1, F.lit(0)))
        ),
    ).first()
    counts: Sequence[Any] = (0, 0) if found is None else found
    return int(counts[0] or 0), int(counts[1] or 0)


def _find_new_values(rows: DataFrame, version: CheckedVersion) -> dict[str, dict[str, int]]:
    """Find the values of categorical features that no earlier row has; the rarest are counted together."""
    pipeline = version.scenario.pipeline
    if not pipeline.categorical:
        return {}
    values = F.posexplode(F.array(*category_columns(pipeline))).alias("feature", "value")
    counted = rows.select(_IS_ADDED, values).where("value IS NOT NULL").groupBy("feature", "value")
    new = counted.agg(
        F.count_if(F.col(_IS_ADDED) == 0).alias("before"), F.count(F.lit(1)).alias("rows")
    ).where("before = 0")
    of_feature = Window.partitionBy("feature")
    ranked = new.withColumns(
        {
            "all_rows": F.sum("rows").over(of_feature),
            "rank": F.row_number().over(of_feature.orderBy(F.desc("rows"), "value")),
        }
    )
    found: dict[str, dict[str, int]] = {}
    all_rows: dict[str, int] = {}
    for row in ranked.where(F.col("rank") <= MAX_NEW_VALUES).orderBy("feature", "rank").collect():
        name = pipeline.categorical[row["feature"]]
        value = row["value"].removeprefix(EQUALS)
        shown = hide_value(value) if name.lower() in version.scenario.sensitive_columns else value
        found.setdefault(name, {})[shown] = row["rows"]
        all_rows[name] = row["all_rows"]
    for name, counts in found.items():
        if others := all_rows[name] - sum(counts.values()):
            counts[OTHER_VALUES] = others
    return found


@dataclass(frozen=True)
class _Grams:
    """Sums over the bins of two groups of rows, from which distributions and correlations follow."""

    names: tuple[str, ...]
    features: frozenset[str]
    sizes: tuple[int, ...]
    rows: Mapping[int, int]
    sums: Mapping[int, Any]
    """Group to the sum of the bins of each feature."""
    products: Mapping[int, Any]
    """Group to the sums of products of two features' bins."""
    counts: Mapping[int, Any]
    """Group to the rows by bin of all features, one after the other; those without a value come last."""

    def bins(self, group: int) -> dict[str, tuple[int, ...]]:
        """Return the rows by bin of each feature."""
        starts = np.cumsum([0, *(size + 1 for size in self.sizes)])
        return {
            name: tuple(int(count) for count in self.counts[group][start : start + size + 1])
            for name, size, start in zip(self.names, self.sizes, starts, strict=False)
            if name in self.features
        }

    def relations(self) -> list[Relation]:
        """Return the correlations of all pairs of columns, the largest differences first."""
        if min(self.rows.values()) < 2:  # noqa: PLR2004 - no correlation
            return []
        return rank_relations(self.names, *(self._correlate(group) for group in (0, 1)))

    def _correlate(self, group: int) -> Any:
        return correlate(self.rows[group], self.sums[group], self.products[group])


def _count_bins(rows: DataFrame, features: Sequence[_Binned]) -> _Grams:
    """Count the rows by bin, and sum the products of bins, in one pass."""
    sizes = tuple(each.size for each in features)
    binned = rows.select(
        F.col(_IS_ADDED).alias("group"), F.array(*(each.bin.cast("int") for each in features)).alias("bins")
    )
    width, total = len(sizes), sum(sizes) + len(sizes)
    rows_of = dict.fromkeys((0, 1), 0)
    sums = {group: np.zeros(width, dtype=np.int64) for group in (0, 1)}
    products = {group: np.zeros((width, width), dtype=np.int64) for group in (0, 1)}
    counts = {group: np.zeros(total, dtype=np.int64) for group in (0, 1)}
    for row in binned.mapInPandas(_make_summer(sizes), _SUMS).collect():
        group = row["group"]
        rows_of[group] += row["rows"]
        sums[group] += np.array(row["sums"], dtype=np.int64)
        products[group] += np.array(row["products"], dtype=np.int64).reshape(width, width)
        counts[group] += np.array(row["counts"], dtype=np.int64)
    names = tuple(each.name for each in features)
    of_features = frozenset(each.name for each in features if each.is_feature)
    return _Grams(names, of_features, sizes, rows_of, sums, products, counts)


def _make_summer(sizes: Sequence[int]) -> Any:
    """Return a function that sums one partition; it has all that it needs, and imports nothing of ours."""
    widths = [size + 1 for size in sizes]
    middles = [size // 2 for size in sizes]

    def sum_partition(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import numpy as np
        import pandas as pd

        offsets = np.cumsum([0, *widths[:-1]])
        found: dict[int, list[Any]] = {}
        for batch in batches:
            for group in (0, 1):
                part = batch[batch["group"] == group]
                if part.empty:
                    continue
                bins = np.stack(part["bins"].to_list()).astype(np.int64)
                positions = np.where(bins < 0, np.array(widths) - 1, bins) + offsets
                # Rows without a value are in the middle, where they change no correlation much.
                values = np.where(bins < 0, np.array(middles), bins)
                sums = [
                    np.int64(len(bins)),
                    values.sum(axis=0),
                    values.T @ values,
                    np.bincount(positions.ravel(), minlength=sum(widths)),
                ]
                before = found.get(group)
                found[group] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
        for group, (count, sums, products, counts) in found.items():
            yield pd.DataFrame(
                {
                    "group": [group],
                    "rows": [count],
                    "sums": [sums],
                    "products": [products.ravel()],
                    "counts": [counts],
                }
            )

    return sum_partition
