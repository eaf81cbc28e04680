"""Distribution of each feature's values at a version, in bins that are the same at every version."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, Window, functions as F

from harness.errors import ScenarioError
from harness.job.check_version import CheckedVersion
from harness.job.prepare import EQUALS, add_feature_columns, category_columns, number_columns
from harness.job.spark_errors import attribute_error
from harness.job.table_io import unite
from harness.job.version_files import FILE, share_files
from harness.results import Bin
from harness.scenario.model import Scenario
from harness.scenario.pipeline import Pipeline
from harness.scenario.sensitive import hide_value

BINS = 12
OTHER = "other"
"""The last bin of a categorical feature, for every value without its own bin."""

_GREATEST = sys.float_info.max

Distributions = dict[str, tuple[Bin, ...]]


@dataclass(frozen=True)
class Bins:
    """The bins of every feature, chosen at the first trained version that has the feature."""

    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Numeric feature to the starts of its bins, rising; the first and last bins are unbounded."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Categorical feature to the values with their own bin, the most frequent first."""


@dataclass(frozen=True)
class _BinnedFeature:
    """One feature of a version with its bins."""

    name: str
    starts: Sequence[float | str]
    bin: Column
    """The index of a row's bin; null if the value is missing."""


def choose_bins(versions: Sequence[CheckedVersion]) -> Bins:
    """Choose the bins of every feature.

    A numeric feature has ``BINS`` bins of equal width between its smallest and largest finite values; a
    categorical one has a bin for each of its ``BINS`` most frequent values, and one for all others.

    Args:
        versions: The trained versions, in order.
    """
    numbers: dict[str, tuple[float, ...]] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for version in versions:
        pipeline = version.scenario.pipeline
        for name, (least, greatest) in version.ranges.items():
            numbers.setdefault(name, split_range(least, greatest))
        columns = zip(category_columns(pipeline), pipeline.categorical, strict=True)
        new = {column: name for column, name in columns if name not in categories}
        categories |= _find_frequent_values(version.frame, new) if new else {}
    return Bins(numbers, categories)


def count_distributions(versions: Sequence[CheckedVersion], bins: Bins) -> list[Distributions]:
    """Count, for each version, the rows in each bin of each of its features; all in one Spark job.

    All rows of a version count; nulls and NaN are in no bin. A version at which no model is trained may
    lack the columns that the features are derived from; then it has no distributions.
    """
    sources = _find_sources(versions, bins)
    countable = [
        each.rows.select(F.lit(index).alias("source"), "*")
        for index, each in enumerate(sources)
        if each.rows is not None
    ]
    counts: dict[tuple[int, ...], int] = {}
    if countable:
        rows = unite(countable).where("bin IS NOT NULL").groupBy("source", "part", "feature", "bin").count()
        counts = {tuple(found): count for *found, count in rows.collect()}
    distributions: list[Distributions] = [{}] * len(versions)
    for index, source in enumerate(sources):
        for version, parts in source.parts.items() if source.rows is not None else ():
            distributions[version] = {
                each.name: tuple(
                    Bin(start=start, rows=sum(counts.get((index, part, feature, at), 0) for part in parts))
                    for at, start in enumerate(_show_starts(each, versions[version].scenario))
                )
                for feature, each in enumerate(source.features)
            }
    return distributions


@dataclass(frozen=True)
class _Source:
    """Rows of one version, or of several with the same columns."""

    features: Sequence[_BinnedFeature]
    rows: DataFrame | None
    """The part of each row, the index of a feature and that of its bin; ``None`` if columns are missing."""
    parts: Mapping[int, Sequence[int]]
    """Index of a version to the parts that make it up."""


def _find_sources(versions: Sequence[CheckedVersion], bins: Bins) -> list[_Source]:
    """Return where the rows of the versions come from: each file is read once if the files are known."""
    by_files: dict[int, list[int]] = {}
    for index, version in enumerate(versions):
        by_files.setdefault(id(version.files.gathered) if version.files else -1 - index, []).append(index)
    return [_open_source(versions, indexes, bins) for indexes in by_files.values()]


def _open_source(versions: Sequence[CheckedVersion], indexes: Sequence[int], bins: Bins) -> _Source:
    members = [versions[index] for index in indexes]
    first = next((version for version in members if version.is_trained), members[0])
    features = _define_bins(first.scenario.pipeline, bins)
    if first.files is None:
        return _Source(features, _select_bins(first.table, first, features, F.lit(0)), {indexes[0]: (0,)})
    shared = share_files([version.files.files for version in members if version.files])
    table = first.files.gathered.table.where(F.col(FILE).isin(shared.files))
    parts = dict(zip(indexes, shared.versions, strict=True))
    return _Source(features, _select_bins(table, first, features, shared.index()), parts)


def _select_bins(
    table: DataFrame, version: CheckedVersion, features: Sequence[_BinnedFeature], part: Column
) -> DataFrame | None:
    """Return each row's bin for each feature; ``None`` if an untrained version lacks what they need."""
    if not features:
        return None
    try:
        frame = add_feature_columns(table, version.scenario.pipeline)
        with attribute_error("the features can't be counted", ("pipeline", "features")):
            return frame.select(
                part.alias("part"), F.posexplode(F.array(*(each.bin for each in features)))
            ).toDF("part", "feature", "bin")
    except ScenarioError:
        if version.is_trained:
            raise
        return None


def _show_starts(feature: _BinnedFeature, scenario: Scenario) -> Sequence[float | str]:
    """Return the starts of a feature's bins as results show them: sensitive values are hidden."""
    if feature.name.lower() not in scenario.sensitive_columns:
        return feature.starts
    return [
        float(index) if isinstance(start, float) else start if start == OTHER else hide_value(start)
        for index, start in enumerate(feature.starts)
    ]


def _define_bins(pipeline: Pipeline, bins: Bins) -> list[_BinnedFeature]:
    """Return the version's features that have bins, numeric ones first."""
    numbers = zip(pipeline.features, number_columns(pipeline), strict=True)
    categories = zip(pipeline.categorical, category_columns(pipeline), strict=True)
    return [
        *(
            _BinnedFeature(name, bins.numbers[name], bin_of_number(column, bins.numbers[name]))
            for name, column in numbers
            if name in bins.numbers
        ),
        *(
            _BinnedFeature(name, (*values, OTHER), bin_of_category(column, values))
            for name, column in categories
            if (values := bins.categories.get(name)) is not None
        ),
    ]


def bin_of_number(column: str, starts: Sequence[float]) -> Column:
    """Return the index of the bin of a number; null if it is missing."""
    below = " ".join(f"WHEN {column} < {start!r}D THEN {index}" for index, start in enumerate(starts[1:]))
    # To Spark, NaN is greater than any number.
    missing = f"WHEN {column} IS NULL OR isnan({column}) THEN NULL"
    return F.expr(f"CASE {missing} {below} ELSE {len(starts) - 1} END")


def bin_of_category(column: str, values: Sequence[str]) -> Column:
    """Return the index of the bin of a categorical value; null if it is missing."""
    bin_index = F.lit(len(values))
    for index, value in reversed(list(enumerate(values))):
        bin_index = F.when(F.col(column) == EQUALS + value, index).otherwise(bin_index)
    return F.when(F.col(column).isNotNull(), bin_index)


def split_range(least: float, greatest: float) -> tuple[float, ...]:
    """Return the starts of ``BINS`` bins of equal width over a range, or around a single value."""
    if least == greatest:
        margin = max(abs(least), 1.0) / 2
        least, greatest = max(least - margin, -_GREATEST), min(greatest + margin, _GREATEST)
    # By halves: the difference of two very large numbers would be infinite.
    half = (greatest / 2 - least / 2) / BINS
    # Numbers that are close together have fewer distinct starts between them.
    return tuple(sorted({least + half * index + half * index for index in range(BINS)}))


def _find_frequent_values(frame: DataFrame, columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return each feature's most frequent values, the most frequent first, alphabetically among equals."""
    values = F.posexplode(F.array(*columns)).alias("feature", "value")
    counted = frame.select(values).where("value IS NOT NULL").groupBy("feature", "value").count()
    by_count = Window.partitionBy("feature").orderBy(F.desc("count"), "value")
    top = counted.withColumn("rank", F.row_number().over(by_count)).where(F.col("rank") <= BINS)
    frequent: dict[str, list[str]] = {feature: [] for feature in columns.values()}
    features = list(columns.values())
    for row in top.orderBy("feature", "rank").collect():
        frequent[features[row["feature"]]].append(row["value"].removeprefix(EQUALS))
    return {feature: tuple(values) for feature, values in frequent.items()}
