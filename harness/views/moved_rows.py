"""Single rows in reports: those whose score moved most, and those whose values changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.results import ChangedColumns, MovedRow, MovedRows, Result, RowWeight, VersionResult
from harness.views import formatting

NULL = "null"
_VALUES_PER_ROW = 8
_COLUMNS_NAMED = 12
_LABELS = {1.0: "positive", 0.0: "negative", None: "hidden"}
MOVED_TITLES = ("row", "label", "before", "after", "change", "largest weights")
CHANGED_TITLES = ("row", "column", "before", "after")


@dataclass(frozen=True)
class RowTable:
    """A table about single rows, all of whose cells are text."""

    title: str
    note: str
    titles: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()
    """Indexes of the columns with numbers."""


def build_moved_tables(versions: Iterable[VersionResult]) -> tuple[RowTable, ...]:
    """Return a table per trained version: the rows whose score moved most since the one before."""
    return tuple(make_moved_table(version.moved) for version in versions if version.moved is not None)


def make_moved_table(moved: MovedRows) -> RowTable:
    """Return a table of the rows whose score moved most."""
    return RowTable(
        title=_name_step(moved.since, moved.version),
        note=_describe_moved(moved),
        titles=MOVED_TITLES,
        lines=tuple(_make_moved_line(row) for row in moved.rows),
        numbers=(2, 3, 4),
    )


def build_changed_tables(versions: Iterable[VersionResult]) -> tuple[RowTable, ...]:
    """Return a table per version with changed rows: examples, and how many rows changed in which column."""
    return tuple(
        RowTable(
            title=version.name,
            note=_describe_changed(version.changed_columns),
            titles=CHANGED_TITLES,
            lines=tuple(_list_changed_lines(version.changed_columns)),
        )
        for version in versions
        if version.changed_columns is not None
    )


def describe_predictions(result: Result) -> tuple[str, ...]:
    """Return a sentence for each version for which only a part of the held-out rows is kept."""
    return tuple(
        f"{version.name}: {stored.rows:,} of {formatting.format_count(stored.held_out, 'held-out row')} were "
        "compared and kept, chosen by a hash of the key."
        for version in result.versions
        if (stored := version.predictions) is not None and stored.rows < stored.held_out
    )


def _name_step(since: str, version: str) -> str:
    return f"{since} → {version}" if since != version else version


def _describe_moved(moved: MovedRows) -> str:
    if moved.reason:
        return f"Not compared: {moved.reason}."
    rows = formatting.format_count(moved.compared, "held-out row")
    if not moved.rows:
        return f"{rows} with a score in both; no score differs."
    return f"{rows} with a score in both; the largest differences come first."


def _make_moved_line(row: MovedRow) -> tuple[str, ...]:
    return (
        formatting.shorten(row.key),
        _LABELS.get(row.label, ""),
        formatting.format_number(row.before),
        formatting.format_number(row.after),
        formatting.format_signed(row.change),
        "; ".join(map(_format_weight, row.weights)) or "not explained",
    )


def _format_weight(weight: RowWeight) -> str:
    """Format the weight at both versions, or the only one if the other is unknown."""
    values = [each for each in (weight.before, weight.after) if each is not None]
    return f"{weight.feature} {' → '.join(map(formatting.format_signed, values))}"


def _describe_changed(changed: ChangedColumns | None) -> str:
    if changed is None:
        return ""
    counts = [f"{name} in {formatting.format_count(rows, 'row')}" for name, rows in changed.columns.items()]
    parts = counts[:_COLUMNS_NAMED]
    if more := len(counts) - len(parts):
        parts.append(formatting.format_count(more, "more column"))
    if changed.sensitive:
        parts.append(f"sensitive columns in {formatting.format_count(changed.sensitive, 'row')}")
    return f"{', '.join(parts)}."


def _list_changed_lines(changed: ChangedColumns | None) -> Iterable[tuple[str, ...]]:
    for row in changed.examples if changed is not None else ():
        items = list(row.values.items())
        for at, (name, (old, new)) in enumerate(items[:_VALUES_PER_ROW]):
            yield (formatting.shorten(row.key) if not at else "", name, _show(old), _show(new))
        if (more := len(items) - _VALUES_PER_ROW) > 0:
            yield "", f"and {formatting.format_count(more, 'more column')}", "", ""


def _show(value: str | None) -> str:
    return NULL if value is None else formatting.shorten(value)
