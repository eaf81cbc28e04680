"""The report's plots as separate files, which MLflow shows with a run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.plan import Plan
from harness.results import VersionResult
from harness.views import drift, plot_data
from harness.views.lineage_diagram import lineage_rows, lineage_svg
from harness.views.plots import (
    calibration_svg,
    distribution_svg,
    metric_svg,
    roc_svg,
    weight_span,
    weight_svg,
)
from harness.views.svg import standalone_svg

_NOT_IN_NAME = re.compile(r"\W+")


def draw_pictures(versions: tuple[VersionResult, ...]) -> dict[str, str]:
    """Draw the measurements; return file names with their SVG in the light colors."""
    return {name: standalone_svg(svg) for name, svg in _draw(versions)}


def draw_lineage(plan: Plan, versions: tuple[VersionResult, ...]) -> dict[str, str]:
    """Draw the lineage diagram from steps to bundles; return no file if there are no versions."""
    diagram = lineage_svg(lineage_rows(plan, versions))
    return {"lineage.svg": standalone_svg(diagram)} if diagram else {}


def _draw(versions: tuple[VersionResult, ...]) -> Iterator[tuple[str, str]]:
    for at, metric in enumerate(plot_data.metric_panels(versions)):
        yield _file("metrics", at, metric.metric), metric_svg(metric)
    weights = plot_data.weight_panels(versions)
    span = weight_span(weights)
    for at, weight in enumerate(weights):
        yield _file("explanations", at, weight.feature), weight_svg(weight, span)
    for at, panel in enumerate(drift.distribution_panels(versions)):
        yield _file("data", at, panel.feature), distribution_svg(panel)
    for name, svg in (("roc", roc_svg(versions)), ("calibration", calibration_svg(versions))):
        if svg is not None:
            yield f"curves/{name}.svg", svg


def _file(folder: str, at: int, name: str) -> str:
    """Return a file name that keeps the report's order and is safe for any feature name."""
    return f"{folder}/{at:02d}_{_NOT_IN_NAME.sub('_', name).strip('_')[:40]}.svg"
