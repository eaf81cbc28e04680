"""The predictions and explanations of the held-out rows of a version, and the rows whose score moved."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from harness.results import MovedRow, MovedRows, RowWeight
from harness.scenario.sensitive import hide_value, is_sensitive_slot

MAX_ROWS = 100_000
"""Maximum number of held-out rows that are kept per version: those with the lowest hash of the key."""
MOVED_ROWS = 10
"""Number of moved rows that are reported."""
Split = Literal["test", "added"]

_WEIGHTS_SHOWN = 4
_SAME_SCORE = 1e-9
_PART = re.compile(r"(\d+):")


@dataclass(frozen=True, slots=True)  # There can be many.
class Prediction:
    """One held-out row. Its Parquet file has a column for each field: see ``prediction_files``."""

    key: str
    label: float | None
    score: float
    split: Split
    weights: tuple[float, ...] | None = None
    """One per feature; ``None`` if the row isn't explained."""
    segments: tuple[str, ...] = ()
    """The scenario's segments that it belongs to."""


@dataclass(frozen=True)
class Predictions:
    """The held-out rows of one version."""

    rows: tuple[Prediction, ...]
    """Sorted by key."""
    features: tuple[str, ...] = ()
    """The slots of the feature vector whose weights are kept."""
    scales: tuple[float, ...] = ()
    """Factors that make the weights of different features comparable: standard deviations, or 1."""
    held_out: int = 0
    """Number of held-out rows, of which at most ``MAX_ROWS`` are kept."""
    key_parts: int = 1
    """Number of columns of the key."""
    has_hidden_keys: bool = False
    """Whether the keys are digests."""
    sensitive: tuple[str, ...] = ()
    """The sensitive columns, in lower case, whose weights are left out."""

    @cached_property
    def by_key(self) -> dict[str, Prediction]:
        """The rows by their key."""
        return {row.key: row for row in self.rows}

    def hide_keys(self) -> Predictions:
        """Return the same with a digest in place of each key."""
        if self.has_hidden_keys:
            return self
        rows = (replace(row, key=hide_value(row.key)) for row in self.rows)
        return replace(self, rows=_sort(rows), has_hidden_keys=True)

    def hide_labels(self) -> Predictions:
        """Return the same without labels."""
        return replace(self, rows=tuple(replace(row, label=None) for row in self.rows))

    def hide_segments(self, segments: Collection[str]) -> Predictions:
        """Return the same without some segments."""
        rows = (
            replace(row, segments=tuple(name for name in row.segments if name not in segments))
            for row in self.rows
        )
        return replace(self, rows=tuple(rows))

    def hide_columns(self, columns: Iterable[str]) -> Predictions:
        """Return the same without the weights of the features that belong to sensitive columns."""
        kept = [at for at, name in enumerate(self.features) if not is_sensitive_slot(name, columns)]
        return replace(
            self,
            rows=tuple(_select_weights(row, kept) for row in self.rows),
            features=tuple(self.features[at] for at in kept),
            scales=tuple(self.scales[at] for at in kept),
            sensitive=tuple(sorted({*self.sensitive, *columns})),
        )

    def add_weights(self, weights: Mapping[str, Iterable[float]]) -> Predictions:
        """Return the same with the weights of some rows, by key."""
        rows = (
            replace(row, weights=tuple(weights[row.key])) if row.key in weights else row for row in self.rows
        )
        return replace(self, rows=tuple(rows))

    def list_weights(self, key: str) -> dict[str, float]:
        """Return the comparable weights of a row; empty if it isn't explained."""
        scaled = (
            (name, weight * scale)
            for name, weight, scale in zip(
                self.features, self.by_key[key].weights or (), self.scales, strict=False
            )
        )
        return {name: weight for name, weight in scaled if math.isfinite(weight)}


def _sort(rows: Iterable[Prediction]) -> tuple[Prediction, ...]:
    return tuple(sorted(rows, key=lambda row: row.key))


def _select_weights(row: Prediction, kept: list[int]) -> Prediction:
    weights = row.weights
    return row if weights is None else replace(row, weights=tuple(weights[at] for at in kept))


def show_key(key: str, parts: int) -> str:
    """Return a key as a person reads it: without the lengths in a key of several columns."""
    shown, at = [], 0
    while parts > 1 and (length := _PART.match(key, at)) is not None:
        at = length.end() + int(length[1])
        shown.append(key[length.end() : at])
    return ", ".join(shown) or key


def list_moved_keys(before: Predictions, after: Predictions, count: int = MOVED_ROWS) -> list[str]:
    """Return the keys of the rows whose score moved most, the largest difference first."""
    moved = [each for each in _list_changes(before, after) if abs(each[1]) > _SAME_SCORE]
    return [key for key, _ in sorted(moved, key=lambda each: (-abs(each[1]), each[0]))[:count]]


def find_moved_rows(
    before: Predictions, after: Predictions, since: str, version: str, count: int = MOVED_ROWS
) -> MovedRows:
    """Return the rows whose score moved most, among those with a score in both.

    Args:
        before: The rows of the earlier version, or of one run.
        after: The rows of the later version, or of the other run.
        since: Name of the version of ``before``.
        version: Name of the version of ``after``.
        count: How many rows to return at most.
    """
    if before.has_hidden_keys or after.has_hidden_keys:
        before, after = before.hide_keys(), after.hide_keys()
    # What one side must not show, the other doesn't show either.
    before, after = before.hide_columns(after.sensitive), after.hide_columns(before.sensitive)
    compared = len(_list_changes(before, after))
    return MovedRows(
        version=version,
        since=since,
        compared=compared,
        rows=tuple(_make_moved_row(before, after, key) for key in list_moved_keys(before, after, count)),
        reason="" if compared else "no row has a score in both",
    )


def _list_changes(before: Predictions, after: Predictions) -> list[tuple[str, float]]:
    """Return the rows with a score in both, each with its difference."""
    known = before.by_key
    changes = ((row.key, row.score - known[row.key].score) for row in after.rows if row.key in known)
    return [(key, change) for key, change in changes if math.isfinite(change)]


def _make_moved_row(before: Predictions, after: Predictions, key: str) -> MovedRow:
    old, new = before.list_weights(key), after.list_weights(key)
    names = sorted(
        dict.fromkeys((*new, *old)), key=lambda name: -max(abs(new.get(name, 0.0)), abs(old.get(name, 0.0)))
    )
    hides_label = before.by_key[key].label is None
    return MovedRow(
        key=show_key(key, 1 if after.has_hidden_keys else after.key_parts),
        label=None if hides_label else after.by_key[key].label,
        before=before.by_key[key].score,
        after=after.by_key[key].score,
        weights=tuple(
            RowWeight(feature=name, before=old.get(name), after=new.get(name))
            for name in names[:_WEIGHTS_SHOWN]
        ),
    )
