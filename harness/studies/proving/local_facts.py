"""Facts about a version's rows, counted on this machine: the same numbers that the job counts with Spark.

A test checks that both agree. Only what needs a trained model is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

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
class _Binned:
    """A number, a text, or a value of the label, and the bins that its values are in."""

    name: str
    column: str
    """The column of the engine's rows."""
    kind: Literal["number", "text", "flag"]
    limits: Sequence[Any] = ()
    """The edges between a number's bins, or the texts that have a bin of their own."""
    is_feature: bool = False

    @property
    def size(self) -> int:
        """Number of bins, without the one of missing values."""
        return 2 if self.kind == "flag" else len(self.limits) + 1

    def find_bins(self, values: pd.Series) -> NDArray[np.int64]:
        """Return the bin of each value; -1 if it is missing."""
        if self.kind == "flag":
            return values.to_numpy(dtype=np.int64)
        if self.kind == "number":
            numbers = values.to_numpy(dtype=float)
            bins = np.searchsorted(np.array(self.limits, dtype=float), numbers, side="right")
        else:
            places = {value: at for at, value in enumerate(self.limits)}
            bins = values.map(places).fillna(len(places)).to_numpy(dtype=np.int64)
        return np.where(values.isna().to_numpy(), -1, bins)


@dataclass(frozen=True)
class _Group:
    """One group of rows, counted."""

    facts: RowGroup
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
        metrics: dict[str, MeasuredValue] = {
            name: float(before.counts[name] + group.counts[name]) for name in group.counts
        }
        nulls = _add_counts(before.facts.nulls, group.facts.nulls)
        return clean.model_copy(
            update={
                "rows": rows,
                "fingerprint": clean.fingerprint if rows == clean.rows else "",
                "nulls": {name: count / rows for name, count in nulls.items() if rows},
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

    def _choose_columns(self, before: pd.DataFrame) -> list[_Binned]:
        """Return the features, the other numeric columns of the table, and the values of the label."""
        pipeline, selection = self._pipeline, self._engine.selection
        numbers = [
            *((name, NUMBER.format(at), True) for at, name in enumerate(pipeline.features)),
            *((name, OTHER.format(at), False) for at, name in enumerate(selection.others)),
        ]
        chosen = []
        for name, column, is_feature in numbers:
            values = before[column].dropna().to_numpy(dtype=float)
            edges = choose_edges(np.quantile(values, QUANTILES).tolist() if len(values) else [])
            chosen.append(_Binned(name, column, "number", edges, is_feature))
        for at, name in enumerate(pipeline.categorical):
            own = [str(each.start) for each in self._clean.distributions.get(name, ())[:-1]]
            chosen.append(_Binned(name, TEXT.format(at), "text", own, is_feature=True))
        for at, value in enumerate(selection.label_values):
            chosen.append(_Binned(f"{pipeline.label.column}={value}", VALUE.format(at), "flag"))
        return chosen

    def _count(self, frame: pd.DataFrame) -> _Group:
        pipeline, selection = self._pipeline, self._engine.selection
        kept = frame[MEETS_FILTER].to_numpy(dtype=bool)
        label = frame[LABEL].to_numpy(dtype=float)
        ignored = frame[IGNORED].to_numpy(dtype=bool)
        has_label = ~np.isnan(label)
        bins = [each.find_bins(frame[each.column]) for each in self._columns]
        unlabelled = kept & ~has_label & ~ignored
        facts = RowGroup(
            rows=len(frame),
            labelled=int((kept & has_label).sum()),
            positives=int((kept & (label == 1)).sum()),
            nulls={name: int(frame[f"null_{at}"].sum()) for at, name in enumerate(selection.columns)},
            bins={
                each.name: _count_bins(of_column, each.size)
                for each, of_column in zip(self._columns, bins, strict=True)
                if each.is_feature
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
            positions=np.stack(bins, axis=1),
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
        names = [each.name for each in self._columns]
        return rank_relations(names, self._correlations_before, self._correlate(group))

    @cached_property
    def _correlations_before(self) -> Any:
        return self._correlate(self._before)

    def _correlate(self, group: _Group) -> Any:
        middles = np.array([each.size // 2 for each in self._columns])
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
