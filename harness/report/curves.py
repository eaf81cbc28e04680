"""ROC and calibration curves of the trained versions, and distributions of their features, as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import matplotlib as mpl
from matplotlib.axes import Axes

from harness.report.data import DistributionPanel
from harness.report.svg import DOWN, INK, LIMIT, MUTED, RULE, STYLE, UP, canvas, clip, to_svg
from harness.results import Result

_CURVE_SIZE_IN = (4.4, 3.6)
_DISTRIBUTION_SIZE_IN = (3.1, 1.7)
# Colour and dashes differ, so that printed in grey each version still has a line of its own.
_LINES = [(colour, dashes) for dashes, colour in product(("-", "--", ":", "-."), (INK, UP, DOWN, LIMIT))]
_MAX_TICKS = 5

Points = Sequence[tuple[float, float]]


def roc_svg(result: Result) -> str | None:
    """The ROC curves on the held-out rows; none where no version has one."""
    curves = {
        version.name: [(point.false_positive_rate, point.true_positive_rate) for point in version.roc]
        for version in result.versions
        if version.roc
    }
    alternative = f"ROC curves of {', '.join(curves)}; the areas below them are in the table of metrics."
    return _curves(curves, ("false positive rate", "true positive rate"), alternative)


def calibration_svg(result: Result) -> str | None:
    """Share of positives over the mean predicted probability, per tenth; none where no version has one."""
    curves = {
        version.name: [(each.predicted, each.observed) for each in version.calibration]
        for version in result.versions
        if version.calibration
    }
    told = "; ".join(
        f"{name}: " + ", ".join(f"{100 * x:.1f} % predicted, {100 * y:.1f} % observed" for x, y in points)
        for name, points in curves.items()
    )
    return _curves(curves, ("predicted probability", "share of positives"), f"Calibration. {told}.")


def distribution_svg(panel: DistributionPanel) -> str:
    """The shares of a feature's bins: the first version's as bars, the latest one's as marks."""
    with mpl.rc_context(STYLE | {"font.size": 12}):
        figure, axes = canvas(_DISTRIBUTION_SIZE_IN)
        places = range(len(panel.bins))
        axes.bar(places, panel.shares[0], width=0.9, color=RULE)
        axes.plot(places, panel.shares[1], "o-", color=UP, linewidth=1, markersize=4, drawstyle="steps-mid")
        step = -(-len(panel.bins) // _MAX_TICKS)
        axes.set_xticks(list(places)[::step], [clip(each, 8) for each in panel.bins[::step]])
        axes.yaxis.set_major_formatter(lambda share, _at: f"{100 * share:.0f} %")
        axes.locator_params(axis="y", nbins=3)
        return to_svg(figure, panel.alternative)


def _curves(curves: dict[str, list[tuple[float, float]]], titles: tuple[str, str], told: str) -> str | None:
    if not curves:
        return None
    with mpl.rc_context(STYLE):
        figure, axes = canvas(_CURVE_SIZE_IN)
        end = max(1e-9, *(max(point) for points in curves.values() for point in points))
        axes.plot([0, end], [0, end], color=RULE, linewidth=1)
        for at, (name, points) in enumerate(curves.items()):
            _draw_curve(axes, at, name, points)
        axes.set_xlabel(titles[0], color=MUTED)
        axes.set_ylabel(titles[1], color=MUTED)
        axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        return to_svg(figure, told)


def _draw_curve(axes: Axes, at: int, name: str, points: Points) -> None:
    colour, dashes = _LINES[at % len(_LINES)]
    axes.plot(
        [x for x, _ in points],
        [y for _, y in points],
        dashes,
        color=colour,
        linewidth=1.4,
        label=clip(name, 11),
    )
