"""Small plots as SVG text that takes its colours from the page around it.

Drawn in sentinel colours, which then become CSS variables, so that one drawing serves light and dark.
The same numbers give the same text: identifiers are salted with a constant and no date is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.report.panels import Limit, MetricPanel, Point, WeightPanel
from harness.report.words import number
from harness.results import Measured, Verdict

_INK, _MUTED, _RULE, _LIMIT = "#010101", "#010102", "#010103", "#010104"
_PASS, _FAIL, _UNPROVEN, _PAPER = "#010105", "#010106", "#010107", "#010108"
_UP, _DOWN = "#010109", "#01010a"
_VARIABLES = {
    _INK: "--ink",
    _MUTED: "--muted",
    _RULE: "--rule",
    _LIMIT: "--limit",
    _PASS: "--pass",
    _FAIL: "--fail",
    _UNPROVEN: "--not-proven",
    _PAPER: "--paper",
    _UP: "--up",
    _DOWN: "--down",
}
_VERDICTS = {Verdict.PASS: ("o", _PASS), Verdict.FAIL: ("X", _FAIL), Verdict.NOT_PROVEN: ("D", _UNPROVEN)}
# Any: matplotlib types the keys as a literal of every setting it has.
_STYLE: dict[Any, Any] = {
    # Fonts are the page's: text stays text, and its family is taken out again.
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.edgecolor": _RULE,
    "axes.linewidth": 0.8,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.unicode_minus": True,
    "text.parse_math": False,
}
_METRIC_SIZE_IN = (4.4, 2.4)
_WEIGHT_SIZE_IN = (3.1, 1.45)
_METRIC_TICK_SIGNS, _WEIGHT_TICK_SIGNS = 44, 24
"""Room for the names of versions below a plot."""
_MAX_LABELS = 8
_NAME_LENGTH = 11


def metric_svg(panel: MetricPanel) -> str:
    """One metric over the versions: its values, their standard errors, and where its bounds lie."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(_METRIC_SIZE_IN)
        axes.yaxis.grid(visible=True, color=_RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        _draw_series(axes, [point.value for point in panel.points], _MUTED)
        for at, point in enumerate(panel.points):
            _draw_limits(axes, at, point.limits)
            _draw_point(axes, at, point, labelled=len(panel.points) <= _MAX_LABELS)
        _name_versions(axes, [point.version for point in panel.points], _METRIC_TICK_SIGNS)
        axes.margins(y=0.16)
        return _svg(figure, panel.alternative)


def weight_svg(panel: WeightPanel, span: tuple[float, float]) -> str:
    """One feature's weight over the versions, on the scale that all features share."""
    with mpl.rc_context(_STYLE | {"font.size": 12}):
        figure, axes = _canvas(_WEIGHT_SIZE_IN)
        axes.axhline(0, color=_MUTED, linewidth=0.8)
        _draw_series(axes, panel.weights, _MUTED)
        for at, weight in enumerate(panel.weights):
            _draw_weight(axes, at, weight)
        _name_versions(axes, panel.versions, _WEIGHT_TICK_SIGNS)
        if len(panel.versions) > _MAX_LABELS:
            _keep_names_inside(axes)
        axes.set_ylim(*span)
        axes.locator_params(axis="y", nbins=3)
        return _svg(figure, panel.alternative)


def weight_span(panels: Sequence[WeightPanel]) -> tuple[float, float]:
    """The scale that all features share: it holds every weight, and zero."""
    weights = [weight for panel in panels for weight in panel.weights if weight is not None]
    low, high = min([0.0, *weights]), max([0.0, *weights])
    room = 0.12 * (high - low) or 1.0
    return low - room, high + room


def _canvas(size_in: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_in, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, axes


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
            color=_LIMIT,
            linewidth=1.8,
            solid_capstyle="butt",
        )


def _draw_point(axes: Axes, at: int, point: Point, *, labelled: bool) -> None:
    if point.value is None:
        axes.annotate(
            "not measured", (at, 0.02), xycoords=("data", "axes fraction"), ha="center", color=_MUTED
        )
        return
    marker, colour = ("o", _INK) if point.verdict is None else _VERDICTS[point.verdict]
    if point.standard_error is not None:
        axes.errorbar(at, point.value, point.standard_error, color=_MUTED, linewidth=1.2, capsize=3)
    face = _PAPER if point.verdict in (None, Verdict.NOT_PROVEN) else colour
    axes.plot(at, point.value, marker, color=colour, markerfacecolor=face, markersize=6.5, zorder=4)
    if labelled:
        axes.annotate(number(point.value), (at, point.value), (7, 5), textcoords="offset points", zorder=5)


def _draw_weight(axes: Axes, at: int, weight: Measured) -> None:
    if weight is None:
        return
    colour = _UP if weight >= 0 else _DOWN
    axes.plot([at, at], [0, weight], color=colour, linewidth=2.4, solid_capstyle="butt")
    axes.plot(at, weight, "o", color=colour, markersize=4.5, zorder=4)


def _name_versions(axes: Axes, names: Sequence[str], room: int) -> None:
    """As many names as there is room for, evenly, the first and the last among them."""
    last = len(names) - 1
    names = [_clip(name, room // 2 - 3) for name in names]
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


def _clip(name: str, length: int) -> str:
    length = min(length, _NAME_LENGTH)
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _svg(figure: Figure, alternative: str) -> str:
    file = StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_a_page(file.getvalue(), alternative)


def _for_a_page(svg: str, alternative: str) -> str:
    """Without what only a file of its own needs, in the page's colours and fonts, with a text instead."""
    box = re.search(r'viewBox="[^"]+"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body).replace("xlink:href", "href")
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]+; ", "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    label = escape(alternative, quote=True)
    return f'<svg {box.group() if box else ""} role="img" aria-label="{label}">{body.strip()}'
