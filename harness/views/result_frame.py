"""A result as a pandas table, for notebooks: every metric and every bound of every version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.results import BoundResult, MeasuredValue, Result, VersionResult

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "version": "string",
    "number": "int64",
    "metric": "string",
    "value": "float64",
    "bound": "string",
    "since": "string",
    "measured": "float64",
    "distance": "float64",
    "verdict": "string",
    "reason": "string",
}
"""Column to its type; a text or number that doesn't apply is null."""


def make_frame(result: Result) -> pd.DataFrame:
    """Return a row for each bound of each version, and one for each metric without bounds."""
    import pandas as pd

    rows = [row for version in result.versions for row in _list_rows(version)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _list_rows(version: VersionResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of a version: its metrics in their order with their bounds, then its other bounds."""
    bounds: dict[str, list[BoundResult]] = {}
    for bound in version.bounds:
        bounds.setdefault(bound.metric, []).append(bound)
    for metric in dict.fromkeys((*version.metrics, *bounds)):
        row = {
            "version": version.name,
            "number": version.version,
            "metric": metric,
            "value": _find_value(version, metric),
        }
        yield from ([row | _describe(bound) for bound in bounds[metric]] if metric in bounds else [row])


def _find_value(version: VersionResult, metric: str) -> MeasuredValue:
    return float(version.rows) if metric == "rows" else version.metrics.get(metric)


def _describe(bound: BoundResult) -> dict[str, Any]:
    return {
        "bound": bound.text,
        "since": bound.since,
        "measured": bound.measured,
        "distance": bound.distance,
        "verdict": bound.outcome.value,
        "reason": bound.reason or None,
    }
