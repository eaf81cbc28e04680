"""Small plots over the versions: bounded metrics, and the weights of explanations."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes

from harness.report.panels import Limit, MetricPanel, Point, WeightPanel
from harness.report.svg import (
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
    canvas,
    clip,
    to_svg,
)
from harness.report.words import number
from harness.results import Measured, Verdict

_VERDICTS = {Verdict.PASS: ("o", PASS), Verdict.FAIL: ("X", FAIL), Verdict.NOT_PROVEN: ("D", UNPROVEN)}
_METRIC_SIZE_IN = (4.4, 2.4)
_WEIGHT_SIZE_IN = (3.1, 1.45)
_METRIC_TICK_SIGNS, _WEIGHT_TICK_SIGNS = 44, 24
"""Room for the names of versions below a plot."""
_MAX_LABELS = 8


def metric_svg(panel: MetricPanel) -> str:
    """One metric over the versions: its values, their standard errors, and where its bounds lie."""
    with mpl.rc_context(STYLE):
        figure, axes = canvas(_METRIC_SIZE_IN)
        axes.yaxis.grid(visible=True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        _draw_series(axes, [point.value for point in panel.points], MUTED)
        for at, point in enumerate(panel.points):
            _draw_limits(axes, at, point.limits)
            _draw_point(axes, at, point, labelled=len(panel.points) <= _MAX_LABELS)
        _name_versions(axes, [point.version for point in panel.points], _METRIC_TICK_SIGNS)
        axes.margins(y=0.16)
        return to_svg(figure, panel.alternative)


def pair_svg(panels: tuple[MetricPanel, MetricPanel], alternative: str) -> str:
    """One metric of two runs over the versions of both, and where the second run's bounds lie."""
    versions = list(dict.fromkeys(point.version for panel in panels for point in panel.points))
    with mpl.rc_context(STYLE):
        figure, axes = canvas(_METRIC_SIZE_IN)
        axes.yaxis.grid(visible=True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for panel, marker, colour in zip(panels, ("o", "D"), (DOWN, UP), strict=True):
            places = [versions.index(point.version) for point in panel.points if point.value is not None]
            values = [point.value for point in panel.points if point.value is not None]
            axes.plot(places, values, marker, linestyle="-", color=colour, linewidth=1.2, markersize=6)
        for point in panels[1].points:
            _draw_limits(axes, versions.index(point.version), point.limits)
        _name_versions(axes, versions, _METRIC_TICK_SIGNS)
        axes.margins(y=0.16)
        return to_svg(figure, alternative)


def weight_svg(panel: WeightPanel, span: tuple[float, float]) -> str:
    """One feature's weight over the versions, on the scale that all features share."""
    with mpl.rc_context(STYLE | {"font.size": 12}):
        figure, axes = canvas(_WEIGHT_SIZE_IN)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        _draw_series(axes, panel.weights, MUTED)
        for at, weight in enumerate(panel.weights):
            _draw_weight(axes, at, weight)
        _name_versions(axes, panel.versions, _WEIGHT_TICK_SIGNS)
        if len(panel.versions) > _MAX_LABELS:
            _keep_names_inside(axes)
        axes.set_ylim(*span)
        axes.locator_params(axis="y", nbins=3)
        return to_svg(figure, panel.alternative)


def weight_span(panels: Sequence[WeightPanel]) -> tuple[float, float]:
    """The scale that all features share: it holds every weight, and zero."""
    weights = [weight for panel in panels for weight in panel.weights if weight is not None]
    low, high = min([0.0, *weights]), max([0.0, *weights])
    room = 0.12 * (high - low) or 1.0
    return low - room, high + room


def _draw_series(axes: Axes, values: Sequence[Measured], colour: str) -> None:
    found = [(at, value) for at, value in enumerate(values) if value is not None]
    axes.plot([at for at, _ in found], [value for _, value in found], color=colour, linewidth=1)


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


def _draw_point(axes: Axes, at: int, point: Point, *, labelled: bool) -> None:
    if point.value is None:
        axes.annotate(
            "not measured", (at, 0.02), xycoords=("data", "axes fraction"), ha="center", color=MUTED
        )
        return
    marker, colour = ("o", INK) if point.verdict is None else _VERDICTS[point.verdict]
    if point.standard_error is not None:
        axes.errorbar(at, point.value, point.standard_error, color=MUTED, linewidth=1.2, capsize=3)
    face = PAPER if point.verdict in (None, Verdict.NOT_PROVEN) else colour
    axes.plot(at, point.value, marker, color=colour, markerfacecolor=face, markersize=6.5, zorder=4)
    if labelled:
        axes.annotate(number(point.value), (at, point.value), (7, 5), textcoords="offset points", zorder=5)


def _draw_weight(axes: Axes, at: int, weight: Measured) -> None:
    if weight is None:
        return
    colour = UP if weight >= 0 else DOWN
    axes.plot([at, at], [0, weight], color=colour, linewidth=2.4, solid_capstyle="butt")
    axes.plot(at, weight, "o", color=colour, markersize=4.5, zorder=4)


def _name_versions(axes: Axes, names: Sequence[str], room: int) -> None:
    """As many names as there is room for, evenly, the first and the last among them."""
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
