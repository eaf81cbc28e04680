"""What the versions did to the data: rows in and out, nulls, and how far each feature has moved."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from harness.results import Bin, Measured, Result, VersionResult
from harness.views import formatting
from harness.views.tables import Cell, Line, Table

MAX_DRAWN = 12
"""Features whose distributions are drawn; the drift of all is in the table."""
_LARGE_DRIFT = 0.25
"""By convention a population stability index above it is a large shift, and one below 0.1 is none."""


@dataclass(frozen=True)
class DistributionPanel:
    """A feature's values at the first version that has it, and at the latest one."""

    feature: str
    bins: tuple[str, ...]
    """Where each bin starts, or the value that it holds."""
    names: tuple[str, str]
    shares: tuple[tuple[float, ...], tuple[float, ...]]
    """Of the rows that have a value, per bin; in the order of ``names``."""
    drift: float

    @property
    def alternative(self) -> str:
        """What the plot shows, in words."""
        told = "; ".join(
            f"{start} {100 * before:.0f} % to {100 * after:.0f} %"
            for start, before, after in zip(self.bins, *self.shares, strict=True)
        )
        return f"Distribution of {self.feature}, {self.names[0]} against {self.names[1]}, per bin: {told}."


def stability_index(first: tuple[Bin, ...], later: tuple[Bin, ...]) -> Measured:
    """The population stability index of two distributions over the same bins.

    It is the sum of ``(p - q) * ln(p / q)`` over the bins, where ``q`` and ``p`` are the bin's shares of the
    first and of the later version's rows; each bin counts half a row more, so that an empty one has a
    logarithm. 0 for equal shares; none where a version has no row with a value.
    """
    if not _total(first) or not _total(later):
        return None
    before, after = _shares(first, 0.5), _shares(later, 0.5)
    return sum((p - q) * log(p / q) for q, p in zip(before, after, strict=True))


def data_table(result: Result) -> Table:
    """Rows in and out, keys, columns and nulls of each version; false where there is no version."""
    before = (None, *result.versions)
    pairs = tuple(zip(before, result.versions, strict=False))
    lines = [
        Line("rows", tuple(Cell(formatting.number(version.rows)) for _, version in pairs)),
        Line("rows in", _changed(result, "added"), "keys that the version before lacks"),
        Line("rows out", _changed(result, "removed"), "keys that only the version before has"),
        Line("rows changed", _changed(result, "changed"), "same key, other values"),
        Line("columns in", tuple(_columns(before, version) for before, version in pairs)),
        Line("columns out", tuple(_columns(version, before) for before, version in pairs)),
    ]
    lines += _doubtful_keys(result)
    with_nulls = dict.fromkeys(
        name for version in result.versions for name, share in version.nulls.items() if share
    )
    lines += [Line(f"nulls({name})", tuple(_nulls(name, v) for v in result.versions)) for name in with_nulls]
    return Table("data", tuple(version.name for version in result.versions), tuple(lines))


def drift_table(result: Result) -> Table:
    """How far each feature has moved since the first version that has it, the farthest first."""
    indexes = {feature: _indexes(feature, result) for feature in _features(result)}
    ranked = sorted(indexes, key=lambda name: -_farthest(indexes[name]))
    lines = tuple(Line(name, tuple(_drift_cell(index) for index in indexes[name])) for name in ranked)
    return Table("feature", tuple(version.name for version in result.versions), lines)


def distribution_panels(result: Result) -> tuple[DistributionPanel, ...]:
    """One for each of the features that have moved most between their first and latest version."""
    panels = [panel for name in _features(result) if (panel := _panel(name, result)) is not None]
    return tuple(sorted(panels, key=lambda panel: -panel.drift)[:MAX_DRAWN])


def _changed(result: Result, kind: str) -> tuple[Cell, ...]:
    counts = [getattr(version.changes, kind) if version.changes else None for version in result.versions]
    return tuple(Cell(formatting.ABSENT if each is None else formatting.number(each)) for each in counts)


def _columns(one: VersionResult | None, other: VersionResult | None) -> Cell:
    """The columns that the other version has and the one lacks."""
    if one is None or other is None:
        return Cell(formatting.ABSENT)
    more = [name for name in other.data_schema if name not in one.data_schema]
    return Cell(str(len(more)), note=", ".join(more))


def _doubtful_keys(result: Result) -> list[Line]:
    lines = [
        ("null keys", [version.null_keys for version in result.versions]),
        ("duplicate keys", [version.duplicate_keys for version in result.versions]),
    ]
    return [
        Line(name, tuple(Cell(formatting.number(count)) for count in counts))
        for name, counts in lines
        if any(counts)
    ]


def _nulls(column: str, version: VersionResult) -> Cell:
    share = version.nulls.get(column)
    return Cell(formatting.ABSENT if share is None else f"{100 * share:.1f} %", share=share or None)


def _features(result: Result) -> list[str]:
    return list(dict.fromkeys(name for version in result.versions for name in version.distributions))


def _indexes(feature: str, result: Result) -> list[Measured]:
    """At each version; none at those before it is there, and at the one that it is first there."""
    found = [version.distributions.get(feature) for version in result.versions]
    first = next(at for at, bins in enumerate(found) if bins is not None)
    origin = found[first]
    return [
        None if bins is None or origin is None or at == first else stability_index(origin, bins)
        for at, bins in enumerate(found)
    ]


def _farthest(indexes: list[Measured]) -> float:
    return max((index for index in indexes if index is not None), default=0.0)


def _drift_cell(index: Measured) -> Cell:
    if index is None:
        return Cell(formatting.ABSENT)
    return Cell(f"{index:.3f}", share=min(1.0, index), strong=index > _LARGE_DRIFT)


def _panel(feature: str, result: Result) -> DistributionPanel | None:
    having = [
        (version.name, version.distributions[feature])
        for version in result.versions
        if feature in version.distributions
    ]
    (first, before), (latest, after) = having[0], having[-1]
    drift = stability_index(before, after)
    if first == latest or drift is None:
        return None
    return DistributionPanel(
        feature,
        tuple(_start(each) for each in before),
        (first, latest),
        (_shares(before), _shares(after)),
        drift,
    )


def _start(each: Bin) -> str:
    return each.start if isinstance(each.start, str) else formatting.number(each.start)


def _total(bins: tuple[Bin, ...]) -> int:
    return sum(each.rows for each in bins)


def _shares(bins: tuple[Bin, ...], more: float = 0.0) -> tuple[float, ...]:
    total = _total(bins) + more * len(bins)
    return tuple((each.rows + more) / total for each in bins)
