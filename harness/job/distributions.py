"""How the values of each feature are distributed at a version, in bins that are the same at every version."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, functions as F

from harness.errors import ScenarioError
from harness.job.check_version import CheckedVersion
from harness.job.prepare import EQUALS, category_columns, number_columns, with_columns
from harness.job.spark_errors import blamed_on
from harness.results import Bin
from harness.scenario.pipeline import Pipeline

BINS = 12
OTHER = "other"
"""The last bin of a categorical feature: every value that has none of its own."""

_GREATEST = sys.float_info.max

Distributions = dict[str, tuple[Bin, ...]]


@dataclass(frozen=True)
class Bins:
    """The bins of every feature, as they are at the first version that is trained and has the feature."""

    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Numeric feature to the starts of its bins, rising; the first and the last bin are open."""
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Categorical feature to the values that have a bin, the most frequent first."""


@dataclass(frozen=True)
class _Binned:
    """One feature of a version, with its bins."""

    name: str
    starts: Sequence[float | str]
    bin: Column
    """The place of a row's bin; null where the value is missing."""


def choose_bins(versions: Sequence[CheckedVersion]) -> Bins:
    """The bins of every feature.

    A numeric feature has ``BINS`` of the same width between its least and its greatest value, infinities
    apart; a categorical one has one for each of its ``BINS`` most frequent values, and one for all others.

    Args:
        versions: Those that a model is trained at, in order.
    """
    numbers: dict[str, tuple[float, ...]] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for version in versions:
        pipeline = version.scenario.pipeline
        for name, (least, greatest) in version.ranges.items():
            numbers.setdefault(name, starts(least, greatest))
        columns = zip(category_columns(pipeline), pipeline.categorical, strict=True)
        new = {column: name for column, name in columns if name not in categories}
        categories |= _frequent(version.frame, new) if new else {}
    return Bins(numbers, categories)


def distributions(versions: Sequence[CheckedVersion], bins: Bins) -> list[Distributions]:
    """Of each version: the number of rows in each bin of each feature that it has; all in one Spark job.

    All rows of a version count. Nulls and NaN are in no bin. Where no model is trained, a version may
    lack what the features are made of: then there is nothing to count.
    """
    binned = [_binned(version.scenario.pipeline, bins) for version in versions]
    found = [_places(version, each) for version, each in zip(versions, binned, strict=True)]
    there = [
        rows.select(F.lit(place).alias("version"), "*")
        for place, rows in enumerate(found)
        if rows is not None
    ]
    if not there:
        return [{} for _ in versions]
    rows = reduce(DataFrame.unionByName, there).where("bin IS NOT NULL")
    counted = rows.groupBy("version", "feature", "bin").count().collect()
    counts = {(row["version"], row["feature"], row["bin"]): row["count"] for row in counted}
    return [
        {
            each.name: tuple(
                Bin(start=start, rows=counts.get((place, feature, index), 0))
                for index, start in enumerate(each.starts)
            )
            for feature, each in enumerate(features)
        }
        if found[place] is not None
        else {}
        for place, features in enumerate(binned)
    ]


def _places(version: CheckedVersion, binned: Sequence[_Binned]) -> DataFrame | None:
    """For each row the place of every feature and of its bin; none where they can't be told."""
    if not binned:
        return None
    try:
        frame = (
            version.frame if version.is_trained else with_columns(version.table, version.scenario.pipeline)
        )
        with blamed_on("the features can't be counted", ("pipeline", "features")):
            return frame.select(F.posexplode(F.array(*(each.bin for each in binned))).alias("feature", "bin"))
    except ScenarioError:
        if version.is_trained:
            raise
        return None


def _binned(pipeline: Pipeline, bins: Bins) -> list[_Binned]:
    """Every feature that the version has and that has bins, numeric ones first."""
    numbers = zip(pipeline.features, number_columns(pipeline), strict=True)
    categories = zip(pipeline.categorical, category_columns(pipeline), strict=True)
    return [
        *(
            _Binned(name, bins.numbers[name], _bin_of_number(column, bins.numbers[name]))
            for name, column in numbers
            if name in bins.numbers
        ),
        *(
            _Binned(name, (*values, OTHER), _bin_of_category(column, values))
            for name, column in categories
            if (values := bins.categories.get(name)) is not None
        ),
    ]


def _bin_of_number(column: str, starts: Sequence[float]) -> Column:
    below = " ".join(f"WHEN {column} < {start!r}D THEN {place}" for place, start in enumerate(starts[1:]))
    # Spark takes NaN for greater than any number.
    missing = f"WHEN {column} IS NULL OR isnan({column}) THEN NULL"
    return F.expr(f"CASE {missing} {below} ELSE {len(starts) - 1} END")


def _bin_of_category(column: str, values: Sequence[str]) -> Column:
    place = F.lit(len(values))
    for index, value in reversed(list(enumerate(values))):
        place = F.when(F.col(column) == EQUALS + value, index).otherwise(place)
    return F.when(F.col(column).isNotNull(), place)


def starts(least: float, greatest: float) -> tuple[float, ...]:
    """The starts of ``BINS`` bins of the same width, rising; where there is one value, around it."""
    if least == greatest:
        around = max(abs(least), 1.0) / 2
        least, greatest = max(least - around, -_GREATEST), min(greatest + around, _GREATEST)
    # In halves: the difference of two great numbers would be infinite.
    half = (greatest / 2 - least / 2) / BINS
    # Numbers that lie close together have no room for so many.
    return tuple(sorted({least + half * index + half * index for index in range(BINS)}))


def _frequent(frame: DataFrame, columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Feature to its most frequent values, the most frequent first, by alphabet where two are as frequent."""
    values = F.posexplode(F.array(*columns)).alias("feature", "value")
    counted = frame.select(values).where("value IS NOT NULL").groupBy("feature", "value").count()
    by_count = Window.partitionBy("feature").orderBy(F.desc("count"), "value")
    top = counted.withColumn("place", F.row_number().over(by_count)).where(F.col("place") <= BINS)
    found: dict[str, list[str]] = {feature: [] for feature in columns.values()}
    features = list(columns.values())
    for row in top.orderBy("feature", "place").collect():
        found[features[row["feature"]]].append(row["value"].removeprefix(EQUALS))
    return {feature: tuple(values) for feature, values in found.items()}
