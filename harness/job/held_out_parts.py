"""Parts of the held-out rows that are measured separately: added rows, segments, ranges of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, functions as F

from harness.job.check_version import CheckedVersion
from harness.job.prepare import EQUALS, HELD_OUT, category_columns, hash_to_unit_interval, number_columns
from harness.job.row_diff import KNOWN
from harness.pipelines import KEY, SCORE
from harness.results import WeakSegment

if TYPE_CHECKING:
    from harness.job.evaluate import Scores

SEGMENT = "segment:"
"""Start of the name of a part that is one of the scenario's segments."""
_PART = "part:"
_SAMPLED_ROWS = 100_000
"""Rows from which quarters are computed, and held-out rows in parts that aren't segments."""
_QUARTERS = (0.25, 0.5, 0.75)
_EPSILON = 2.0**-52
SCORE_BINS = 64
SCORE_SPAN = 8.0
"""The bins of the scores have equal widths in log odds, from minus to plus this value."""


@dataclass(frozen=True)
class Parts:
    """Parts of the held-out rows that are also measured separately."""

    before: DataFrame | None = None
    """Keys of the version before this one, by which added rows are recognized; ``None`` if there is no
    earlier version, or it has no keys."""
    segments: tuple[str, ...] = ()
    """The scenario's segments."""
    named: DataFrame | None = None
    """Key of each row to ``parts``, the names of the segments and other parts that it belongs to."""
    min_class_rows: int = 1
    """Rows of the smaller class that a part needs to be ranked."""


def choose_parts(version: CheckedVersion) -> Parts:
    """Return the parts of a version's held-out rows: its segments, and quarters or values of each feature.

    The latter have about 100,000 of the rows if there are more, chosen by their keys.
    """
    scenario = version.scenario
    rows = version.frame.where(F.col(HELD_OUT))
    # To order the scores of a row's every part takes longer than all that is measured of whole versions.
    share = _SAMPLED_ROWS / max(version.rows * scenario.pipeline.split.test, 1)
    is_sampled = hash_to_unit_interval(F.col(KEY), "parts", 0) < share
    parts = [
        *(F.when(F.expr(condition), f"{SEGMENT}{name}") for name, condition in scenario.segments.items()),
        *(F.when(is_sampled, F.concat(F.lit(_PART), part)) for part in _divide_by_features(version, rows)),
    ]
    belongs_to = F.filter(F.array(*parts), lambda part: part.isNotNull())
    return Parts(
        before=version.previous_keys,
        segments=tuple(scenario.segments),
        named=rows.select(KEY, belongs_to.alias("parts")) if parts else None,
        min_class_rows=scenario.proof.min_class_rows,
    )


def _divide_by_features(version: CheckedVersion, rows: DataFrame) -> Iterator[Column]:
    """Yield, for each feature that isn't sensitive, the name of the part that a row belongs to by it."""
    pipeline, sensitive = version.scenario.pipeline, version.scenario.sensitive_columns
    columns = zip(pipeline.features, number_columns(pipeline), strict=True)
    numbers = {name: column for name, column in columns if name.lower() not in sensitive}
    for name, limits in _find_quarters(rows, version.rows, numbers).items():
        number, part = F.col(numbers[name]), F.lit(None).cast("string")
        for start, end in reversed(list(zip([None, *limits], [*limits, None], strict=True))):
            label = _describe_range(name, start, end)
            part = F.lit(label) if end is None else F.when(number <= end, label).otherwise(part)
        yield F.when(number.isNotNull() & ~F.isnan(number), part)
    for name, text in zip(pipeline.categorical, category_columns(pipeline), strict=True):
        if name.lower() in sensitive:
            continue
        value = F.substring(F.col(text), len(EQUALS) + 1, 1 << 30)
        yield F.concat(F.lit(f"{name} = "), value)


def _find_quarters(rows: DataFrame, count: int, numbers: Mapping[str, str]) -> dict[str, list[float]]:
    """Return the limits between the quarters of each number, without repetitions."""
    if not numbers:
        return {}
    share = min(1.0, _SAMPLED_ROWS / max(count, 1))
    sample = rows.where(hash_to_unit_interval(F.col(KEY), "quarters", 0) < share)
    at = ", ".join(map(str, _QUARTERS))
    found = sample.agg(
        *(
            F.expr(f"percentile(IF(isnan({number}), NULL, {number}), array({at}))").alias(f"at_{index}")
            for index, number in enumerate(numbers.values())
        )
    ).first()
    quarters = {} if found is None else {name: found[index] or () for index, name in enumerate(numbers)}
    return {name: sorted(set(limits)) for name, limits in quarters.items() if limits}


def _describe_range(name: str, start: float | None, end: float | None) -> str:
    if start is None:
        return f"{name} <= {end:g}"
    return f"{name} > {start:g}" if end is None else f"{start:g} < {name} <= {end:g}"


def find_weakest(scores: Mapping[tuple[object, ...], Scores], min_class_rows: int) -> WeakSegment | None:
    """Return the part with the lowest ROC AUC, of those with enough rows of both classes."""
    found = [
        WeakSegment(
            name=str(group).removeprefix(_PART),
            rows=each.rows,
            positives=each.positives,
            roc_auc=each.roc_auc,
            roc_auc_se=each.roc_auc_se,
        )
        for (group,), each in scores.items()
        if str(group).startswith(_PART)
        and min(each.positives, each.negatives) >= min_class_rows
        and each.roc_auc is not None
        and each.roc_auc_se is not None
    ]
    return min(found, key=lambda each: (each.roc_auc, each.name), default=None)


def count_scores(rows: DataFrame) -> dict[str, tuple[int, ...]]:
    """Count the rows from before, and the added ones, by bin of the log odds of their score.

    Args:
        rows: The score of each held-out row, and whether it is ``KNOWN`` from before.
    """
    clipped = F.least(F.greatest(F.col(SCORE), F.lit(_EPSILON)), F.lit(1 - _EPSILON))
    place = F.floor((F.log(clipped / (1 - clipped)) + SCORE_SPAN) / (2 * SCORE_SPAN) * SCORE_BINS)
    index = F.least(F.greatest(place, F.lit(0)), F.lit(SCORE_BINS - 1)).cast("int")
    counted = rows.where(~F.isnan(SCORE)).groupBy(F.col(KNOWN).isNull().alias("is_added"), index.alias("bin"))
    counts = {False: [0] * SCORE_BINS, True: [0] * SCORE_BINS}
    for row in counted.count().collect():
        counts[row["is_added"]][row["bin"]] = row["count"]
    return {"before": tuple(counts[False]), "added": tuple(counts[True])}
