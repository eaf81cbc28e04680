"""Changes of the data by version: rows added and removed, nulls, and the drift of each feature."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from harness.results import Bin, Measured, VersionResult
from harness.views import formatting
from harness.views.tables import Cell, Line, Table

MAX_DRAWN = 12
"""Number of features whose distributions are drawn; the table has the drift of all."""
_LARGE_DRIFT = 0.25
"""By convention, a population stability index above it is a large shift, and one below 0.1 no shift."""


@dataclass(frozen=True)
class DistributionPanel:
    """The distribution of a feature at the first version that has it and at the latest one."""

    feature: str
    bins: tuple[str, ...]
    """The lower limit of each bin, or its value."""
    names: tuple[str, str]
    shares: tuple[tuple[float, ...], tuple[float, ...]]
    """Shares of the rows with a value by bin, in the order of ``names``."""
    drift: float

    @property
    def alternative(self) -> str:
        """The text alternative of the plot."""
        shares = "; ".join(
            f"{start} {100 * before:.0f} % to {100 * after:.0f} %"
            for start, before, after in zip(self.bins, *self.shares, strict=True)
        )
        return f"Distribution of {self.feature}, {self.names[0]} and {self.names[1]}, per bin: {shares}."


def stability_index(first: tuple[Bin, ...], later: tuple[Bin, ...]) -> Measured:
    """Return the population stability index of two distributions over the same bins.

    It is the sum of ``(p - q) * ln(p / q)`` over the bins, where ``q`` and ``p`` are the bin's shares of the
    first and of the later version's rows. Half a row is added to each bin, so that empty bins have a
    logarithm. The index is 0 for equal shares and ``None`` if a version has no row with a value.
    """
    if not _total(first) or not _total(later):
        return None
    before, after = _shares(first, 0.5), _shares(later, 0.5)
    return sum((p - q) * log(p / q) for q, p in zip(before, after, strict=True))


def data_table(versions: tuple[VersionResult, ...]) -> Table:
    """Return the changes of rows, keys, columns and nulls at each version; empty if there is none."""
    before = (None, *versions)
    pairs = tuple(zip(before, versions, strict=False))
    lines = [
        Line("rows", tuple(Cell(formatting.number(version.rows)) for _, version in pairs)),
        Line("rows added", _count_changes(versions, "added"), "keys that the previous version lacks"),
        Line("rows removed", _count_changes(versions, "removed"), "keys that only the previous version has"),
        Line("rows changed", _count_changes(versions, "changed"), "same key, different values"),
        Line("columns added", tuple(_columns(before, version) for before, version in pairs)),
        Line("columns removed", tuple(_columns(version, before) for before, version in pairs)),
    ]
    lines += _doubtful_keys(versions)
    with_nulls = dict.fromkeys(name for version in versions for name, share in version.nulls.items() if share)
    lines += [Line(f"nulls({name})", tuple(_nulls(name, v) for v in versions)) for name in with_nulls]
    return Table("data", tuple(version.name for version in versions), tuple(lines))


def drift_table(versions: tuple[VersionResult, ...]) -> Table:
    """Return each feature's drift since the first version that has it, the largest first."""
    indexes = {feature: _indexes(feature, versions) for feature in _features(versions)}
    ranked = sorted(indexes, key=lambda name: -_largest(indexes[name]))
    lines = tuple(Line(name, tuple(_drift_cell(index) for index in indexes[name])) for name in ranked)
    return Table("feature", tuple(version.name for version in versions), lines)


def distribution_panels(versions: tuple[VersionResult, ...]) -> tuple[DistributionPanel, ...]:
    """Return a panel for each of the features with the largest drift between first and latest version."""
    panels = [panel for name in _features(versions) if (panel := _panel(name, versions)) is not None]
    return tuple(sorted(panels, key=lambda panel: -panel.drift)[:MAX_DRAWN])


def _count_changes(versions: tuple[VersionResult, ...], kind: str) -> tuple[Cell, ...]:
    counts = [getattr(version.changes, kind) if version.changes else None for version in versions]
    return tuple(Cell(formatting.ABSENT if each is None else formatting.number(each)) for each in counts)


def _columns(one: VersionResult | None, other: VersionResult | None) -> Cell:
    """Count the columns that the other version has and the one lacks."""
    if one is None or other is None:
        return Cell(formatting.ABSENT)
    extra = [name for name in other.data_schema if name not in one.data_schema]
    return Cell(str(len(extra)), note=", ".join(extra))


def _doubtful_keys(versions: tuple[VersionResult, ...]) -> list[Line]:
    lines = [
        ("null keys", [version.null_keys for version in versions]),
        ("duplicate keys", [version.duplicate_keys for version in versions]),
    ]
    return [
        Line(name, tuple(Cell(formatting.number(count)) for count in counts))
        for name, counts in lines
        if any(counts)
    ]


def _nulls(column: str, version: VersionResult) -> Cell:
    share = version.nulls.get(column)
    return Cell(formatting.ABSENT if share is None else f"{100 * share:.1f} %", share=share or None)


def _features(versions: tuple[VersionResult, ...]) -> list[str]:
    return list(dict.fromkeys(name for version in versions for name in version.distributions))


def _indexes(feature: str, versions: tuple[VersionResult, ...]) -> list[Measured]:
    """Return the index at each version; ``None`` up to the first version that has the feature."""
    distributions = [version.distributions.get(feature) for version in versions]
    first = next(at for at, bins in enumerate(distributions) if bins is not None)
    origin = distributions[first]
    return [
        None if bins is None or origin is None or at == first else stability_index(origin, bins)
        for at, bins in enumerate(distributions)
    ]


def _largest(indexes: list[Measured]) -> float:
    return max((index for index in indexes if index is not None), default=0.0)


def _drift_cell(index: Measured) -> Cell:
    if index is None:
        return Cell(formatting.ABSENT)
    return Cell(f"{index:.3f}", share=min(1.0, index), strong=index > _LARGE_DRIFT)


def _panel(feature: str, versions: tuple[VersionResult, ...]) -> DistributionPanel | None:
    having = [
        (version.name, version.distributions[feature])
        for version in versions
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


def _shares(bins: tuple[Bin, ...], added: float = 0.0) -> tuple[float, ...]:
    total = _total(bins) + added * len(bins)
    return tuple((each.rows + added) / total for each in bins)
