"""The report as one self-contained HTML page, without network access or scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.parity.compare import Parity
from harness.plan import Plan
from harness.report import parity_table
from harness.results import Result, Verdict
from harness.storage.uris import without_password
from harness.views import bound_table, drift, formatting, plot_data, tables
from harness.views.lineage_diagram import lineage_rows, lineage_svg
from harness.views.plots import (
    calibration_svg,
    distribution_svg,
    metric_svg,
    roc_svg,
    weight_span,
    weight_svg,
)
from harness.views.run_info import facts, missing_versions

_COLUMNS_PER_TABLE = 6
"""Number of columns that fit on a printed page."""
_BREAK_POINTS = re.compile(r"(?<=[_/.,:-])(?=.)")


def render_html(plan: Plan, result: Result, parity: Parity | None = None) -> str:
    """Render the whole report, with all names and messages escaped."""
    return environment().get_template("report.html.j2").render(_context(plan, result, parity))


def environment() -> Environment:
    """Return the template environment of the pages, which escapes every value."""
    pages = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(_filters())
    return pages


def _filters() -> dict[str, Callable[..., object]]:
    return {
        "typeset": formatting.typeset,
        "number": formatting.number,
        "seconds": formatting.seconds,
        "mark": formatting.mark,
        "slug": lambda verdict: verdict.value.replace(" ", "-"),
        "public": without_password,
        "count": formatting.count,
        "absent": lambda value: value or formatting.ABSENT,
        "breakable": breakable,
    }


def breakable(text: str) -> Markup:
    """Allow line breaks after punctuation, so that long names fit narrow screens."""
    return Markup("<wbr>").join(re.split(_BREAK_POINTS, text))


def _context(plan: Plan, result: Result, parity: Parity | None) -> dict[str, Any]:
    rows = bound_table.bound_rows(result.versions)
    weights = plot_data.weight_panels(result.versions)
    span = weight_span(weights)
    return {
        "written_by": plan.harness_version,
        "plan": plan,
        "result": result,
        "headline": bound_table.headline(result, parity),
        "missing": missing_versions(plan, result),
        "matrix": _matrix(rows),
        "matrix_columns": _columns(rows),
        "metric_plots": [
            (panel, _mark_safe(metric_svg(panel))) for panel in plot_data.metric_panels(result.versions)
        ],
        "weight_plots": [(panel, _mark_safe(weight_svg(panel, span))) for panel in weights],
        "changed_most": plot_data.changed_most(result.versions),
        "curves": [
            (title, _mark_safe(svg))
            for title, svg in (
                ("ROC", roc_svg(result.versions)),
                ("Calibration", calibration_svg(result.versions)),
            )
            if svg is not None
        ],
        "distributions": [
            (panel, _mark_safe(distribution_svg(panel)))
            for panel in drift.distribution_panels(result.versions)
        ],
        "features_left_out": max(0, len(tables.ranked_features(result.versions)) - plot_data.MAX_FEATURES),
        "lineage": _mark_safe(lineage_svg(lineage_rows(plan, result.versions))),
        "facts": facts(plan, result),
        "parity": parity,
        **(parity_context(parity) if parity else {}),
    } | _tables(result)


def parity_context(parity: Parity) -> dict[str, Any]:
    """Return the template variables of the parity section."""
    rows = parity_table.difference_rows(parity)
    return {
        "sides": parity_table.sides(parity),
        "agreement": parity_table.agreement(parity),
        "tally": parity_table.tally(parity),
        "tolerances": parity_table.tolerances(parity),
        "disagreeing": [row for row in rows if row.verdict is not Verdict.PASS],
        "within": [row for row in rows if row.verdict is Verdict.PASS],
    }


def _tables(result: Result) -> dict[str, tuple[tables.Table, ...]]:
    """Return each table in parts that fit a page; an empty table has no parts."""
    whole = {
        "data": drift.data_table(result.versions),
        "drift": drift.drift_table(result.versions),
        "metrics": tables.metric_table(result),
        "explanations": tables.explanation_table(result),
        "coefficients": tables.coefficient_table(result),
        "grid": tables.grid_table(result),
        "timings": tables.timing_table(result),
    }
    return {name: table.slices(_COLUMNS_PER_TABLE) if table else () for name, table in whole.items()}


def _matrix(rows: tuple[bound_table.BoundRow, ...]) -> dict[str, dict[str, list[bound_table.BoundRow]]]:
    """Group the bounds by version and column."""
    matrix: dict[str, dict[str, list[bound_table.BoundRow]]] = {}
    for row in rows:
        matrix.setdefault(row.version, {}).setdefault(row.column, []).append(row)
    return matrix


def _columns(rows: tuple[bound_table.BoundRow, ...]) -> tuple[str, ...]:
    """Return the columns by the order of the metrics' first bounds, each change next to its metric."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    columns = {row.column: (metrics.index(row.metric), row.since is not None) for row in rows}
    return tuple(sorted(columns, key=columns.__getitem__))


def _mark_safe(svg: str) -> Markup:
    """Mark a drawing as safe: it is drawn by us, with its text escaped."""
    return Markup(svg)  # noqa: S704
