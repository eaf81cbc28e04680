"""The report as one self-contained HTML page, without network access or scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.parity.compare import Parity
from harness.plan import Plan
from harness.report import parity_table
from harness.results import Result, Verdict
from harness.storage.uris import remove_password
from harness.views import bound_table, drift, formatting, moved_rows, plot_data, tables
from harness.views.drawings import Drawings
from harness.views.lineage_diagram import draw_lineage_diagram, make_lineage_rows
from harness.views.run_info import list_facts, list_missing_versions

_COLUMNS_PER_TABLE = 6
"""Number of columns that fit on a printed page."""
_BREAK_POINTS = re.compile(r"(?<=[_/.,:-])(?=.)")


def render_html(
    plan: Plan, result: Result, parity: Parity | None = None, drawings: Drawings | None = None
) -> str:
    """Render the whole report, with all names and messages escaped.

    Args:
        plan: The run's plan.
        result: The run's result.
        parity: The comparison of another run with this one.
        drawings: Those that are known; it then has all that the report uses.
    """
    context = _make_context(plan, result, parity, drawings or Drawings())
    return make_template_environment().get_template("report.html.j2").render(context)


def render_result(result: Result, drawings: Drawings | None = None) -> str:
    """Render the verdict, the bounds and the most important plots as a part of a page, such as a notebook.

    It has its own background, so that it is readable on light and dark pages, and leaves the rest as it is.

    Args:
        result: The run's result.
        drawings: Those that are known.
    """
    pages = make_template_environment()
    style = pages.get_template("result.css.j2").render()
    context = _make_result_context(result, None, drawings or Drawings()) | {
        "result_style": Markup(style),  # noqa: S704 - our own style sheet
        "anchor": f"{result.run_id}-",
        "missing": (),
        "metrics": _build_tables(result)["metrics"],
    }
    return pages.get_template("result.html.j2").render(context)


def make_template_environment(script: str = "") -> Environment:
    """Return the template environment of the pages, which escapes every value.

    Args:
        script: Name of the script that a page may run (default: none).
    """
    pages = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        finalize=_show_control_characters,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(_list_filters())
    style = pages.get_template("report.css.j2").render()
    code = pages.get_template(script).render() if script else ""
    pages.globals |= {
        "style": Markup(style),  # noqa: S704 - ours
        "script": Markup(code),  # noqa: S704 - ours
        "content_policy": _make_content_policy(style, code),
    }
    return pages


def _make_content_policy(style: str, script: str) -> str:
    """Return the policy that lets a page use its own style sheet and script, and the styles of its drawings.

    Args:
        style: The style sheet; the hash of exactly this text is allowed.
        script: The script, of which the same is true; empty for none.
    """
    scripts = f"script-src-elem {_digest_inline(script)}; " if script else ""
    return (
        f"default-src 'none'; style-src-elem {_digest_inline(style)}; style-src-attr 'unsafe-inline'; "
        f"{scripts}img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest_inline(text: str) -> str:
    """Return the digest of a text in a page, as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _show_control_characters(value: object) -> object:
    if not isinstance(value, str):
        return value
    shown = formatting.show_control_characters(value)
    return Markup(shown) if isinstance(value, Markup) else shown  # noqa: S704 - it was safe before


def _list_filters() -> dict[str, Callable[..., object]]:
    return {
        "typeset": formatting.typeset,
        "number": formatting.format_number,
        "seconds": formatting.format_seconds,
        "mark": formatting.verdict_mark,
        "slug": lambda verdict: verdict.value.replace(" ", "-"),
        "public": remove_password,
        "count": formatting.format_count,
        "absent": lambda value: value or formatting.ABSENT,
        "breakable": allow_line_breaks,
    }


def allow_line_breaks(text: str) -> Markup:
    """Allow line breaks after punctuation, so that long names fit narrow screens."""
    return Markup("<wbr>").join(re.split(_BREAK_POINTS, text))


def _make_context(plan: Plan, result: Result, parity: Parity | None, drawings: Drawings) -> dict[str, Any]:
    def draw(name: str, *subject: object) -> Markup | None:
        return _draw(drawings, name, *subject)

    return {
        **_make_result_context(result, parity, drawings),
        "anchor": "",
        "written_by": plan.harness_version,
        "plan": plan,
        "missing": list_missing_versions(plan, result),
        "largest_changes": plot_data.find_largest_changes(result.versions),
        "curves": [
            (title, svg)
            for title, svg in (
                ("ROC", draw("draw_roc", plot_data.list_roc_curves(result.versions))),
                (
                    "Calibration",
                    draw("draw_calibration", plot_data.list_calibrations(result.versions)),
                ),
            )
            if svg is not None
        ],
        "distributions": [
            (panel, draw("draw_distribution", panel))
            for panel in drift.build_distribution_panels(result.versions)
        ],
        "features_left_out": max(0, len(tables.rank_features(result.versions)) - plot_data.MAX_FEATURES),
        "lineage": _mark_safe(draw_lineage_diagram(make_lineage_rows(plan, result.versions))),
        "moved_rows": moved_rows.build_moved_tables(result.versions),
        "changed_rows": moved_rows.build_changed_tables(result.versions),
        "partly_kept": moved_rows.describe_predictions(result),
        "facts": list_facts(plan, result),
        "parity": parity,
        **(make_parity_context(parity) if parity else {}),
    } | _build_tables(result)


def _make_result_context(result: Result, parity: Parity | None, drawings: Drawings) -> dict[str, Any]:
    """Return the template variables of the verdict, the bounds and the explanations."""
    rows = bound_table.make_bound_rows(result.versions)
    metrics = plot_data.build_metric_panels(result.versions)
    weights = plot_data.build_weight_panels(result.versions)
    span = plot_data.find_weight_span(weights)
    return {
        "result": result,
        "headline": bound_table.make_headline(result, parity),
        "matrix": _group_bounds(rows),
        "matrix_columns": _order_columns(rows),
        "metric_plots": [(panel, _draw(drawings, "draw_metric", panel)) for panel in metrics],
        "weight_plots": [(panel, _draw(drawings, "draw_weight", panel, span)) for panel in weights],
    }


def _draw(drawings: Drawings, name: str, *subject: object) -> Markup | None:
    svg = drawings.draw(name, *subject)
    return None if svg is None else _mark_safe(svg)


def make_parity_context(parity: Parity) -> dict[str, Any]:
    """Return the template variables of the parity section."""
    rows = parity_table.make_difference_rows(parity)
    return {
        "sides": parity_table.name_sides(parity),
        "agreement": parity_table.describe_agreement(parity),
        "tally": parity_table.describe_counts(parity),
        "tolerances": parity_table.describe_tolerances(parity),
        "disagreeing": [row for row in rows if row.verdict is not Verdict.PASS],
        "within": [row for row in rows if row.verdict is Verdict.PASS],
    }


def _build_tables(result: Result) -> dict[str, tuple[tables.MeasurementTable, ...]]:
    """Return each table in parts that fit a page; an empty table has no parts."""
    whole = {
        "data": drift.build_data_table(result.versions),
        "drift": drift.build_drift_table(result.versions),
        "metrics": tables.build_metric_table(result),
        "champion": tables.build_champion_table(result),
        "segments": tables.build_segment_table(result),
        "explanations": tables.build_explanation_table(result),
        "coefficients": tables.build_coefficient_table(result),
        "grid": tables.build_grid_table(result),
        "timings": tables.build_timing_table(result),
    }
    return {name: table.slices(_COLUMNS_PER_TABLE) if table else () for name, table in whole.items()}


def _group_bounds(rows: tuple[bound_table.BoundRow, ...]) -> dict[str, dict[str, list[bound_table.BoundRow]]]:
    """Group the bounds by version and column."""
    matrix: dict[str, dict[str, list[bound_table.BoundRow]]] = {}
    for row in rows:
        matrix.setdefault(row.version, {}).setdefault(row.column, []).append(row)
    return matrix


def _order_columns(rows: tuple[bound_table.BoundRow, ...]) -> tuple[str, ...]:
    """Return the columns by the order of the metrics' first bounds, each change next to its metric."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    columns = {row.column: (metrics.index(row.metric), row.since is not None) for row in rows}
    return tuple(sorted(columns, key=columns.__getitem__))


def _mark_safe(svg: str) -> Markup:
    """Mark a drawing as safe: it is drawn by us, with its text escaped."""
    return Markup(svg)  # noqa: S704
