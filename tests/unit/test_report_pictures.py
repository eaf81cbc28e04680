"""The report's plots as separate files."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.results import Bin, CalibrationBin, Result, RocPoint
from harness.views.plots import draw_lineage, draw_pictures
from tests.unit import report_samples as samples


def _result_with_every_plot() -> Result:
    """Return a result that has every kind of plot."""
    versions = []
    for at, version in enumerate(samples.result().versions):
        bins = (Bin(start=0.0, rows=10 + at), Bin(start=1.0, rows=20))
        ends = (RocPoint(false_positive_rate=each, true_positive_rate=each) for each in (0.0, 1.0))
        more = {
            "distributions": {"int_rate/<%>": bins},
            "roc": tuple(ends),
            "calibration": (CalibrationBin(rows=5, predicted=0.1, observed=0.2),),
        }
        versions.append(version.model_copy(update=more))
    return samples.result(tuple(versions))


def test_each_plot_of_the_report_is_a_file() -> None:
    """Each plot of the report is a file, in the report's order, with a portable name."""
    names = list(draw_pictures(_result_with_every_plot().versions))
    assert {"metrics/00_rows.svg", "curves/roc.svg", "curves/calibration.svg"} <= set(names)
    assert ["data/00_int_rate.svg"] == [name for name in names if name.startswith("data/")]
    assert 9 == sum(name.startswith("explanations/") for name in names)


def test_each_file_is_standalone() -> None:
    """Each file is a standalone SVG with its numbers in a text alternative."""
    drawn = {
        **draw_pictures(_result_with_every_plot().versions),
        **draw_lineage(samples.plan(), _result_with_every_plot().versions),
    }
    assert "lineage.svg" in drawn
    for text in drawn.values():
        root = ET.fromstring(text)  # noqa: S314 - drawn by the line above
        assert "{http://www.w3.org/2000/svg}svg" == root.tag
        assert root.attrib["aria-label"]
        assert "var(" not in text


def test_a_result_without_versions_has_no_plots() -> None:
    """A result without versions has no plots."""
    assert {} == draw_pictures(()) == draw_lineage(samples.plan(), ())
