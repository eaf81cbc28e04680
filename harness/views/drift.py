"""Changes of the data by version: rows added and removed, nulls, and the drift of each feature."""

from __future__ import annotations

from dataclasses import dataclass

from harness.bounds.drift import compare_bins
from harness.results import Bin, MeasuredValue, VersionResult
from harness.views import formatting
from harness.views.tables import Cell, MeasurementTable, Row

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


def build_data_table(versions: tuple[VersionResult, ...]) -> MeasurementTable:
    """Return the changes of rows, keys, columns and nulls at each version; empty if there is none."""
    before = (None, *versions)
    pairs = tuple(zip(before, versions, strict=False))
    rows = [
        Row("rows", tuple(Cell(formatting.format_number(version.rows)) for _, version in pairs)),
        Row("rows added", _count_changes(versions, "added"), "keys that the previous version lacks"),
        Row("rows removed", _count_changes(versions, "removed"), "keys that only the previous version has"),
        Row("rows changed", _count_changes(versions, "changed"), "same key, different values"),
        Row("columns added", tuple(_count_columns(before, version) for before, version in pairs)),
        Row("columns removed", tuple(_count_columns(version, before) for before, version in pairs)),
    ]
    rows += _build_key_rows(versions)
    with_nulls = dict.fromkeys(name for version in versions for name, share in version.nulls.items() if share)
    rows += [Row(f"nulls({name})", tuple(_make_null_cell(name, v) for v in versions)) for name in with_nulls]
    return MeasurementTable("data", tuple(version.name for version in versions), tuple(rows))


def build_drift_table(versions: tuple[VersionResult, ...]) -> MeasurementTable:
    """Return each feature's drift since the first version that has it, the largest first."""
    indexes = {feature: _compute_indexes(feature, versions) for feature in _list_features(versions)}
    ranked = sorted(indexes, key=lambda name: -_find_largest(indexes[name]))
    rows = tuple(Row(name, tuple(_make_drift_cell(index) for index in indexes[name])) for name in ranked)
    return MeasurementTable("feature", tuple(version.name for version in versions), rows)


def build_distribution_panels(versions: tuple[VersionResult, ...]) -> tuple[DistributionPanel, ...]:
    """Return a panel for each of the features with the largest drift between first and latest version."""
    panels = [
        panel for name in _list_features(versions) if (panel := _build_panel(name, versions)) is not None
    ]
    return tuple(sorted(panels, key=lambda panel: -panel.drift)[:MAX_DRAWN])


def _count_changes(versions: tuple[VersionResult, ...], kind: str) -> tuple[Cell, ...]:
    counts = [getattr(version.changes, kind) if version.changes else None for version in versions]
    return tuple(
        Cell(formatting.ABSENT if each is None else formatting.format_number(each)) for each in counts
    )


def _count_columns(one: VersionResult | None, other: VersionResult | None) -> Cell:
    """Count the columns that the other version has and the one lacks."""
    if one is None or other is None:
        return Cell(formatting.ABSENT)
    extra = [name for name in other.data_schema if name not in one.data_schema]
    return Cell(str(len(extra)), note=", ".join(extra))


def _build_key_rows(versions: tuple[VersionResult, ...]) -> list[Row]:
    rows = [
        ("null keys", [version.null_keys for version in versions]),
        ("duplicate keys", [version.duplicate_keys for version in versions]),
    ]
    return [
        Row(name, tuple(Cell(formatting.format_number(count)) for count in counts))
        for name, counts in rows
        if any(counts)
    ]


def _make_null_cell(column: str, version: VersionResult) -> Cell:
    share = version.nulls.get(column)
    return Cell(formatting.ABSENT if share is None else f"{100 * share:.1f} %", share=share or None)


def _list_features(versions: tuple[VersionResult, ...]) -> list[str]:
    return list(dict.fromkeys(name for version in versions for name in version.distributions))


def _compute_indexes(feature: str, versions: tuple[VersionResult, ...]) -> list[MeasuredValue]:
    """Return the index at each version; ``None`` up to the first version that has the feature."""
    distributions = [version.distributions.get(feature) for version in versions]
    first = next(at for at, bins in enumerate(distributions) if bins is not None)
    origin = distributions[first]
    return [
        None if bins is None or origin is None or at == first else compare_bins(origin, bins)
        for at, bins in enumerate(distributions)
    ]


def _find_largest(indexes: list[MeasuredValue]) -> float:
    return max((index for index in indexes if index is not None), default=0.0)


def _make_drift_cell(index: MeasuredValue) -> Cell:
    if index is None:
        return Cell(formatting.ABSENT)
    return Cell(f"{index:.3f}", share=min(1.0, index), strong=index > _LARGE_DRIFT)


def _build_panel(feature: str, versions: tuple[VersionResult, ...]) -> DistributionPanel | None:
    having = [
        (version.name, version.distributions[feature])
        for version in versions
        if feature in version.distributions
    ]
    (first, before), (latest, after) = having[0], having[-1]
    drift = compare_bins(before, after)
    if first == latest or drift is None:
        return None
    return DistributionPanel(
        feature,
        tuple(_format_start(each) for each in before),
        (first, latest),
        (_compute_shares(before), _compute_shares(after)),
        drift,
    )


def _format_start(each: Bin) -> str:
    return each.start if isinstance(each.start, str) else formatting.format_number(each.start)


def _count_rows(bins: tuple[Bin, ...]) -> int:
    return sum(each.rows for each in bins)


def _compute_shares(bins: tuple[Bin, ...]) -> tuple[float, ...]:
    total = _count_rows(bins)
    return tuple(each.rows / total for each in bins)
