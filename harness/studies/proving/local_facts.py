"""Facts about a version's rows, counted on this machine: the same numbers that the job counts with Spark.

A test checks that both agree. Only what needs a trained model is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.bounds.added_rows import (
    MAX_NEW_VALUES,
    MAX_RELATIONS,
    OTHER_VALUES,
    QUANTILES,
    choose_edges,
    correlate,
    rank_relations,
)
from harness.results import AddedRows, Bin, MeasuredValue, Relation, RowChanges, RowGroup, VersionResult
from harness.studies.proving.local_engine import (
    DAY,
    IGNORED,
    KEY_TEXT,
    LABEL,
    MEETS_FILTER,
    NUMBER,
    OTHER,
    TEXT,
    VALUE,
    LocalEngine,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_LABELS = 10


@dataclass(frozen=True)
class _Group:
    """One group of rows, counted."""

    facts: RowGroup
    nulls: dict[str, int]
    positions: NDArray[np.int64]
    """Bin of each row and binned column; -1 without a value."""
    contents: Mapping[Any, int]
    """Features and label of rows to the number of such rows."""
    texts: dict[str, dict[str, int]]
    """Categorical feature to its values with their numbers of rows."""
    numbers: Mapping[str, NDArray[np.float64]]
    keys: pd.Series
    unlabelled: dict[str, int]
    counts: Mapping[str, int]


class LocalFacts:
    """A version whose facts are counted again for each state of its added rows."""

    def __init__(self, engine: LocalEngine, clean: VersionResult) -> None:
        """Count the earlier rows.

        Args:
            engine: The rows.
            clean: The version as the job has measured it.
        """
        self._engine, self._clean = engine, clean
        self._pipeline = engine.scenario.pipeline
        frame = engine.read_before()
        self._columns = self._choose_columns(frame)
        self._before = self._count(frame)

    def measure(self, added: pd.DataFrame) -> VersionResult:
        """Return the version with these added rows; its metrics are those that need no model."""
        group = self._count(added)
        clean, before = self._clean, self._before
        rows = before.facts.rows + group.facts.rows
        null_keys = int(before.keys.isna().sum() + group.keys.isna().sum())
        keys = pd.concat([before.keys, group.keys]).dropna().nunique()
        changes = clean.changes or RowChanges(added=0, removed=0, changed=0)
        counts = {name: float(before.counts[name] + group.counts[name]) for name in group.counts}
        metrics: dict[str, MeasuredValue] = dict(counts)
        return clean.model_copy(
            update={
                "rows": rows,
                "fingerprint": clean.fingerprint if rows == clean.rows else "",
                "nulls": {
                    name: (before.nulls[name] + group.nulls[name]) / rows for name in group.nulls if rows
                },
                "null_keys": null_keys,
                "duplicate_keys": rows - null_keys - int(keys),
                "unlabelled": _add_counts(before.unlabelled, group.unlabelled),
                "changes": changes.model_copy(update={"added": group.facts.rows}),
                "added": self._compare(group),
                "distributions": self._count_distributions(group),
                "metrics": metrics,
                "bounds": (),
            }
        )

    def _choose_columns(self, before: pd.DataFrame) -> list[tuple[str, str, Sequence[Any], bool]]:
        """Return each binned column: name, column, edges or values, and whether it is a feature."""
        pipeline, selection = self._pipeline, self._engine.selection
        numbers = [
            *((name, NUMBER.format(at), True) for at, name in enumerate(pipeline.features)),
            *((name, OTHER.format(at), False) for at, name in enumerate(selection.others)),
        ]
        chosen: list[tuple[str, str, Sequence[Any], bool]] = []
        for name, column, is_feature in numbers:
            values = before[column].to_numpy(dtype=float)
            values = values[~np.isnan(values)]
            edges = np.quantile(values, QUANTILES).tolist() if len(values) else []
            chosen.append((name, column, choose_edges(edges), is_feature))
        for at, name in enumerate(pipeline.categorical):
            bins = self._clean.distributions.get(name, ())
            chosen.append((name, TEXT.format(at), [str(each.start) for each in bins[:-1]], True))
        for at, value in enumerate(selection.label_values):
            chosen.append((f"{pipeline.label.column}={value}", VALUE.format(at), (), False))
        return chosen

    def _count(self, frame: pd.DataFrame) -> _Group:
        pipeline, selection = self._pipeline, self._engine.selection
        kept = frame[MEETS_FILTER].to_numpy(dtype=bool)
        label = frame[LABEL].to_numpy(dtype=float)
        ignored = frame[IGNORED].to_numpy(dtype=bool)
        has_label = ~np.isnan(label)
        nulls = {name: int(frame[f"null_{at}"].sum()) for at, name in enumerate(selection.columns)}
        positions = self._find_bins(frame)
        unlabelled = kept & ~has_label & ~ignored
        facts = RowGroup(
            rows=len(frame),
            labelled=int((kept & has_label).sum()),
            positives=int((kept & (label == 1)).sum()),
            nulls=nulls,
            bins={
                name: _count_bins(positions[:, at], _size(column, values))
                for at, (name, column, values, is_feature) in enumerate(self._columns)
                if is_feature
            },
            dates={
                name: (_to_time(days.min()), _to_time(days.max()))
                for at, name in enumerate(selection.dates)
                if len(days := frame[DAY.format(at)].dropna())
            },
        )
        texts = {
            name: {str(value): int(rows) for value, rows in frame[TEXT.format(at)].value_counts().items()}
            for at, name in enumerate(pipeline.categorical)
        }
        names = [LABEL, *(NUMBER.format(at) for at in range(len(pipeline.features)))]
        names += [TEXT.format(at) for at in range(len(pipeline.categorical))]
        contents = pd.util.hash_pandas_object(frame[names], index=False).value_counts().to_dict()
        return _Group(
            facts=facts,
            nulls=nulls,
            positions=positions,
            contents=contents,
            texts=texts,
            numbers={
                name: frame[NUMBER.format(at)].to_numpy(dtype=float)
                for at, name in enumerate(pipeline.features)
            },
            keys=frame[KEY_TEXT],
            unlabelled=_count_labels(frame["harness_label_text"][unlabelled]),
            counts={
                "filtered_rows": int((~kept).sum()),
                "unlabelled_rows": int(unlabelled.sum()),
                "ignored_rows": int((kept & ~has_label & ignored).sum()),
            },
        )

    def _find_bins(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        columns = []
        for _, column, values, _ in self._columns:
            series = frame[column]
            if _is_text(column):
                places = {value: at for at, value in enumerate(values)}
                bins = series.map(places).fillna(len(values)).to_numpy(dtype=np.int64)
                bins[series.isna().to_numpy()] = -1
            elif column.startswith(VALUE.format("")):
                bins = series.to_numpy(dtype=np.int64)
            else:
                numbers = series.to_numpy(dtype=float)
                bins = np.searchsorted(np.array(values, dtype=float), numbers, side="right")
                bins[np.isnan(numbers)] = -1
            columns.append(bins.astype(np.int64))
        return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0), dtype=np.int64)

    def _compare(self, group: _Group) -> AddedRows:
        relations = self._compare_relations(group)
        repeated_before = sum(count - 1 for count in self._before.contents.values())
        repeated = sum(
            count if content in self._before.contents else count - 1
            for content, count in group.contents.items()
        )
        return AddedRows(
            before=self._before.facts.model_copy(update={"repeated": repeated_before}),
            added=group.facts.model_copy(update={"repeated": repeated}),
            new_values=self._find_new_values(group),
            relations=tuple(relations[:MAX_RELATIONS]),
            relations_compared=len(relations),
        )

    def _compare_relations(self, group: _Group) -> list[Relation]:
        if min(self._before.facts.rows, group.facts.rows) < 2:  # noqa: PLR2004 - no correlation
            return []
        names = [name for name, *_ in self._columns]
        return rank_relations(names, self._correlations_before, self._correlate(group))

    @cached_property
    def _correlations_before(self) -> Any:
        return self._correlate(self._before)

    def _correlate(self, group: _Group) -> Any:
        middles = np.array([_size(column, values) // 2 for _, column, values, _ in self._columns])
        # As floating-point numbers, whose products are much faster, and exact up to 2**53.
        values = np.where(group.positions < 0, middles, group.positions).astype(float)
        return correlate(len(values), values.sum(axis=0), values.T @ values)

    def _find_new_values(self, group: _Group) -> dict[str, dict[str, int]]:
        found = {}
        for name, counts in group.texts.items():
            new = {value: rows for value, rows in counts.items() if value not in self._before.texts[name]}
            if not new:
                continue
            ranked = sorted(new.items(), key=lambda item: (-item[1], item[0]))
            shown = dict(ranked[:MAX_NEW_VALUES])
            if others := sum(new.values()) - sum(shown.values()):
                shown[OTHER_VALUES] = others
            found[name] = shown
        return found

    def _count_distributions(self, group: _Group) -> dict[str, tuple[Bin, ...]]:
        distributions = {}
        for name, bins in self._clean.distributions.items():
            if name in group.numbers:
                starts = np.array([each.start for each in bins[1:]], dtype=float)
                values = np.concatenate([self._before.numbers[name], group.numbers[name]])
                places = np.searchsorted(starts, values[~np.isnan(values)], side="right")
                rows = np.bincount(places, minlength=len(bins)).tolist()
            else:
                counts = [0] * len(bins)
                places_of = {str(each.start): at for at, each in enumerate(bins[:-1])}
                for part in (self._before, group):
                    for value, count in part.texts.get(name, {}).items():
                        counts[places_of.get(value, len(bins) - 1)] += count
                rows = counts
            distributions[name] = tuple(
                each.model_copy(update={"rows": count}) for each, count in zip(bins, rows, strict=True)
            )
        return distributions


def _is_text(column: str) -> bool:
    return column.startswith(TEXT.format(""))


def _size(column: str, values: Sequence[Any]) -> int:
    """Return the number of bins, without the one of missing values."""
    return 2 if column.startswith(VALUE.format("")) else len(values) + 1


def _count_bins(positions: NDArray[np.int64], size: int) -> tuple[int, ...]:
    """Return the rows by bin; the last one has the rows without a value."""
    counts = np.bincount(np.where(positions < 0, size, positions), minlength=size + 1)
    return tuple(int(each) for each in counts)


def _to_time(value: Any) -> datetime:
    time: datetime = pd.Timestamp(value).to_pydatetime(warn=False)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _count_labels(values: pd.Series) -> dict[str, int]:
    counts = values.map(repr, na_action="ignore").fillna("null").value_counts()
    ranked = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return {str(value): int(count) for value, count in ranked[:_MAX_LABELS]}


def _add_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    names = dict.fromkeys((*one, *other))
    return {name: one.get(name, 0) + other.get(name, 0) for name in names}
