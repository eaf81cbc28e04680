"""The report's pictures as files of their own, for those who look at a run in MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.plan import Plan
from harness.results import Result
from harness.views import drift, plot_data
from harness.views.lineage_diagram import lineage_svg, ways
from harness.views.plots import (
    calibration_svg,
    distribution_svg,
    metric_svg,
    roc_svg,
    weight_span,
    weight_svg,
)
from harness.views.svg import alone

_NOT_IN_NAME = re.compile(r"\W+")


def draw_pictures(result: Result) -> dict[str, str]:
    """What was measured: name of a file, below folders of their own kind, to its SVG in the light colours."""
    return {name: alone(svg) for name, svg in _drawn(result)}


def draw_lineage(plan: Plan, result: Result) -> dict[str, str]:
    """The way from the steps to the bundles, once it is known what was published; none without versions."""
    drawn = lineage_svg(ways(plan, result))
    return {"lineage.svg": alone(drawn)} if drawn else {}


def _drawn(result: Result) -> Iterator[tuple[str, str]]:
    for at, metric in enumerate(plot_data.metric_panels(result)):
        yield _file("metrics", at, metric.metric), metric_svg(metric)
    weights = plot_data.weight_panels(result)
    span = weight_span(weights)
    for at, weight in enumerate(weights):
        yield _file("explanations", at, weight.feature), weight_svg(weight, span)
    for at, moved in enumerate(drift.distribution_panels(result)):
        yield _file("data", at, moved.feature), distribution_svg(moved)
    for name, svg in (("roc", roc_svg(result)), ("calibration", calibration_svg(result))):
        if svg is not None:
            yield f"curves/{name}.svg", svg


def _file(folder: str, at: int, name: str) -> str:
    """In the report's order; a name may have any signs."""
    return f"{folder}/{at:02d}_{_NOT_IN_NAME.sub('_', name).strip('_')[:40]}.svg"
