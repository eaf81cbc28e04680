"""The report's pictures as files of their own, for those who look at a run in MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.report import data, panels
from harness.report.curves import calibration_svg, distribution_svg, roc_svg
from harness.report.plots import metric_svg, weight_span, weight_svg
from harness.report.svg import alone
from harness.results import Result

_NOT_IN_NAME = re.compile(r"\W+")


def draw_pictures(result: Result) -> dict[str, str]:
    """Name of a file, below folders of their own kind, to its SVG: in the report's light colours."""
    return {name: alone(svg) for name, svg in _drawn(result)}


def _drawn(result: Result) -> Iterator[tuple[str, str]]:
    for at, metric in enumerate(panels.metric_panels(result)):
        yield _file("metrics", at, metric.metric), metric_svg(metric)
    weights = panels.weight_panels(result)
    span = weight_span(weights)
    for at, weight in enumerate(weights):
        yield _file("explanations", at, weight.feature), weight_svg(weight, span)
    for at, moved in enumerate(data.distribution_panels(result)):
        yield _file("data", at, moved.feature), distribution_svg(moved)
    for name, svg in (("roc", roc_svg(result)), ("calibration", calibration_svg(result))):
        if svg is not None:
            yield f"curves/{name}.svg", svg


def _file(folder: str, at: int, name: str) -> str:
    """In the report's order; a name may have any signs."""
    return f"{folder}/{at:02d}_{_NOT_IN_NAME.sub('_', name).strip('_')[:40]}.svg"
