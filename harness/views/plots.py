"""Plots of metrics, explanation weights, curves and distributions by version, in reports and as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import matplotlib as mpl
from matplotlib.axes import Axes

from harness.plan import Plan
from harness.results import CalibrationBin, MeasuredValue, RocPoint, Verdict, VersionResult
from harness.views import drift, plot_data
from harness.views.drift import DistributionPanel
from harness.views.formatting import format_number
from harness.views.lineage_diagram import draw_lineage_diagram, make_lineage_rows
from harness.views.plot_data import Limit, MetricPanel, Point, WeightPanel
from harness.views.svg import (
    DOWN,
    FAIL,
    INK,
    LIMIT,
    MUTED,
    PAPER,
    PASS,
    RULE,
    STYLE,
    UNPROVEN,
    UP,
    clip,
    make_canvas,
    make_standalone_svg,
    render_svg,
)

_VERDICTS = {
    Verdict.PASS: ("o", PASS),
    Verdict.FAIL: ("X", FAIL),
    Verdict.NOT_PROVEN: ("D", UNPROVEN),
    Verdict.OBSERVED: ("o", INK),
}
_METRIC_SIZE_IN = (4.4, 2.4)
_WEIGHT_SIZE_IN = (3.1, 1.45)
_METRIC_TICK_SIGNS, _WEIGHT_TICK_SIGNS = 44, 24
"""Number of characters available for version names below a plot."""
_MAX_LABELS = 8


def draw_metric(panel: MetricPanel) -> str:
    """Draw one metric by version: its values, standard errors and bounds."""
    with mpl.rc_context(STYLE):
        figure, axes = make_canvas(_METRIC_SIZE_IN)
        axes.yaxis.grid(visible=True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        _draw_series(axes, [point.value for point in panel.points], MUTED)
        for at, point in enumerate(panel.points):
            _draw_limits(axes, at, point.limits)
            _draw_point(axes, at, point, labeled=len(panel.points) <= _MAX_LABELS)
        _name_versions(axes, [point.version for point in panel.points], _METRIC_TICK_SIGNS)
        axes.margins(y=0.16)
        return render_svg(figure, panel.alternative)


def draw_pair(panels: tuple[MetricPanel, MetricPanel], alternative: str) -> str:
    """Draw one metric of two runs by version, with the second run's bounds."""
    versions = list(dict.fromkeys(point.version for panel in panels for point in panel.points))
    with mpl.rc_context(STYLE):
        figure, axes = make_canvas(_METRIC_SIZE_IN)
        axes.yaxis.grid(visible=True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for panel, marker, color in zip(panels, ("o", "D"), (DOWN, UP), strict=True):
            positions = [versions.index(point.version) for point in panel.points if point.value is not None]
            values = [point.value for point in panel.points if point.value is not None]
            axes.plot(positions, values, marker, linestyle="-", color=color, linewidth=1.2, markersize=6)
        for point in panels[1].points:
            _draw_limits(axes, versions.index(point.version), point.limits)
        _name_versions(axes, versions, _METRIC_TICK_SIGNS)
        axes.margins(y=0.16)
        return render_svg(figure, alternative)


def draw_weight(panel: WeightPanel, span: tuple[float, float]) -> str:
    """Draw one feature's weight by version, on the scale that all features share."""
    with mpl.rc_context(STYLE | {"font.size": 12}):
        figure, axes = make_canvas(_WEIGHT_SIZE_IN)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        _draw_series(axes, panel.weights, MUTED)
        for at, weight in enumerate(panel.weights):
            _draw_weight_line(axes, at, weight)
        _name_versions(axes, panel.versions, _WEIGHT_TICK_SIGNS)
        if len(panel.versions) > _MAX_LABELS:
            _keep_names_inside(axes)
        axes.set_ylim(*span)
        axes.locator_params(axis="y", nbins=3)
        return render_svg(figure, panel.alternative)


def _draw_series(axes: Axes, values: Sequence[MeasuredValue], color: str) -> None:
    measured = [(at, value) for at, value in enumerate(values) if value is not None]
    axes.plot([at for at, _ in measured], [value for _, value in measured], color=color, linewidth=1)


def _draw_limits(axes: Axes, at: int, limits: Sequence[Limit]) -> None:
    for limit in limits:
        dashes = "--" if limit.relative else "-"
        axes.plot(
            [at - 0.5, at + 0.5],
            [limit.value] * 2,
            dashes,
            color=LIMIT,
            linewidth=1.8,
            solid_capstyle="butt",
        )


def _draw_point(axes: Axes, at: int, point: Point, *, labeled: bool) -> None:
    if point.value is None:
        axes.annotate(
            "not measured", (at, 0.02), xycoords=("data", "axes fraction"), ha="center", color=MUTED
        )
        return
    marker, color = ("o", INK) if point.verdict is None else _VERDICTS[point.verdict]
    if point.standard_error is not None:
        axes.errorbar(at, point.value, point.standard_error, color=MUTED, linewidth=1.2, capsize=3)
    face = PAPER if point.verdict in (None, Verdict.NOT_PROVEN) else color
    axes.plot(at, point.value, marker, color=color, markerfacecolor=face, markersize=6.5, zorder=4)
    if labeled:
        axes.annotate(
            format_number(point.value), (at, point.value), (7, 5), textcoords="offset points", zorder=5
        )


def _draw_weight_line(axes: Axes, at: int, weight: MeasuredValue) -> None:
    if weight is None:
        return
    color = UP if weight >= 0 else DOWN
    axes.plot([at, at], [0, weight], color=color, linewidth=2.4, solid_capstyle="butt")
    axes.plot(at, weight, "o", color=color, markersize=4.5, zorder=4)


def _name_versions(axes: Axes, names: Sequence[str], room: int) -> None:
    """Label as many versions as fit, evenly spaced, always including the first and the last."""
    last = len(names) - 1
    names = [clip(name, room // 2 - 3) for name in names]
    longest = max(map(len, names))
    step = max(1, -(-last // max(1, room // (longest + 2) - 1)))
    ticks = sorted({*range(0, last, step)} - {*range(last - step + 1, last)} | {last})
    axes.set_xlim(-0.6, last + 0.6)
    axes.set_xticks(ticks, [names[at] for at in ticks])


def _keep_names_inside(axes: Axes) -> None:
    labels = axes.get_xticklabels()
    if len(labels) > 1:
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")


_CURVE_SIZE_IN = (4.4, 3.6)
_DISTRIBUTION_SIZE_IN = (3.1, 1.7)
# Colors and dashes both vary, so that versions can be distinguished when printed in gray.
_LINES = [(color, dashes) for dashes, color in product(("-", "--", ":", "-."), (INK, UP, DOWN, LIMIT))]
_MAX_TICKS = 5

Points = Sequence[tuple[float, float]]


def draw_roc(roc: Mapping[str, Sequence[RocPoint]]) -> str | None:
    """Draw the ROC curve of each version on the held-out rows; return ``None`` if there are none."""
    curves = {
        name: [(point.false_positive_rate, point.true_positive_rate) for point in points]
        for name, points in roc.items()
        if points
    }
    alternative = f"ROC curves of {', '.join(curves)}; the areas below them are in the table of metrics."
    return _draw_curves(curves, ("false positive rate", "true positive rate"), alternative)


def draw_calibration(calibration: Mapping[str, Sequence[CalibrationBin]]) -> str | None:
    """Draw each version's share of positives by predicted probability; ``None`` if no version has it."""
    curves = {
        name: [(each.predicted, each.observed) for each in bins] for name, bins in calibration.items() if bins
    }
    values = "; ".join(
        f"{name}: " + ", ".join(f"{100 * x:.1f} % predicted, {100 * y:.1f} % observed" for x, y in points)
        for name, points in curves.items()
    )
    return _draw_curves(curves, ("predicted probability", "share of positives"), f"Calibration. {values}.")


def draw_distribution(panel: DistributionPanel) -> str:
    """Draw the shares of a feature's bins: the first version as bars, the latest as markers."""
    with mpl.rc_context(STYLE | {"font.size": 12}):
        figure, axes = make_canvas(_DISTRIBUTION_SIZE_IN)
        bins = range(len(panel.bins))
        axes.bar(bins, panel.shares[0], width=0.9, color=RULE)
        axes.plot(bins, panel.shares[1], "o-", color=UP, linewidth=1, markersize=4, drawstyle="steps-mid")
        step = -(-len(panel.bins) // _MAX_TICKS)
        axes.set_xticks(list(bins)[::step], [clip(each, 8) for each in panel.bins[::step]])
        axes.yaxis.set_major_formatter(lambda share, _at: f"{100 * share:.0f} %")
        axes.locator_params(axis="y", nbins=3)
        return render_svg(figure, panel.alternative)


def _draw_curves(
    curves: dict[str, list[tuple[float, float]]], titles: tuple[str, str], alternative: str
) -> str | None:
    if not curves:
        return None
    with mpl.rc_context(STYLE):
        figure, axes = make_canvas(_CURVE_SIZE_IN)
        end = max(1e-9, *(max(point) for points in curves.values() for point in points))
        axes.plot([0, end], [0, end], color=RULE, linewidth=1)
        for at, (name, points) in enumerate(curves.items()):
            _draw_curve(axes, at, name, points)
        axes.set_xlabel(titles[0], color=MUTED)
        axes.set_ylabel(titles[1], color=MUTED)
        axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        return render_svg(figure, alternative)


def _draw_curve(axes: Axes, at: int, name: str, points: Points) -> None:
    color, dashes = _LINES[at % len(_LINES)]
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        dashes,
        color=color,
        linewidth=1.4,
        label=clip(name, 11),
    )


_NOT_IN_NAME = re.compile(r"\W+")


def draw_pictures(versions: tuple[VersionResult, ...]) -> dict[str, str]:
    """Draw the measurements; return file names with their SVG in the light colors."""
    return {name: make_standalone_svg(svg) for name, svg in _draw_all(versions)}


def draw_lineage(plan: Plan, versions: tuple[VersionResult, ...]) -> dict[str, str]:
    """Draw the lineage diagram from steps to bundles; return no file if there are no versions."""
    diagram = draw_lineage_diagram(make_lineage_rows(plan, versions))
    return {"lineage.svg": make_standalone_svg(diagram)} if diagram else {}


def _draw_all(versions: tuple[VersionResult, ...]) -> Iterator[tuple[str, str]]:
    for at, metric in enumerate(plot_data.build_metric_panels(versions)):
        yield _make_file_name("metrics", at, metric.metric), draw_metric(metric)
    weights = plot_data.build_weight_panels(versions)
    span = plot_data.find_weight_span(weights)
    for at, weight in enumerate(weights):
        yield _make_file_name("explanations", at, weight.feature), draw_weight(weight, span)
    for at, panel in enumerate(drift.build_distribution_panels(versions)):
        yield _make_file_name("data", at, panel.feature), draw_distribution(panel)
    for name, svg in (
        ("roc", draw_roc(plot_data.list_roc_curves(versions))),
        ("calibration", draw_calibration(plot_data.list_calibrations(versions))),
    ):
        if svg is not None:
            yield f"curves/{name}.svg", svg


def _make_file_name(folder: str, at: int, name: str) -> str:
    """Return a file name that keeps the report's order and is safe for any feature name."""
    return f"{folder}/{at:02d}_{_NOT_IN_NAME.sub('_', name).strip('_')[:40]}.svg"
