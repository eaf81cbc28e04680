"""The changes of the data and the drift of the features, by version."""

from math import log

import pytest

from harness.bounds.drift import compute_stability_index
from harness.report.html import render_html
from harness.results import Bin, CalibrationBin, Result, RocPoint, RowChanges, Verdict, VersionResult
from harness.views.drift import build_data_table, build_distribution_panels, build_drift_table
from harness.views.plot_data import find_largest_changes
from harness.views.plots import draw_calibration, draw_distribution, draw_roc
from tests.unit import report_samples as samples
from tests.unit.bounds_samples import judge_one

_NASTY = "$<b>&"


def _bins(*rows: int) -> tuple[Bin, ...]:
    return tuple(Bin(start=float(at), rows=each) for at, each in enumerate(rows))


def _version(name: str, at: int, *rows: int, **changes: object) -> VersionResult:
    facts: dict[str, object] = {
        "distributions": {"dti": _bins(*rows), "term": (Bin(start=_NASTY, rows=3), Bin(start="", rows=1))},
        "roc": tuple(RocPoint(false_positive_rate=x, true_positive_rate=x**0.5) for x in (0, 0.5, 1)),
        "calibration": (CalibrationBin(rows=9, predicted=0.1, observed=0.2),),
    }
    return samples.version(name, at, **(facts | changes))


def _rows_by_label(result: Result) -> dict[str, list[str]]:
    return {row.label: [cell.text for cell in row.cells] for row in build_data_table(result.versions).rows}


def test_the_index_follows_its_formula() -> None:
    """The stability index follows its formula with half a row added to each bin."""
    q, p = (8.5 / 11, 2.5 / 11), (2.5 / 11, 8.5 / 11)
    expected = sum((b - a) * log(b / a) for a, b in zip(q, p, strict=True))
    assert compute_stability_index((8, 2), (2, 8)) == pytest.approx(expected)


def test_equal_shares_have_index_0() -> None:
    """The index of equal shares is 0, also if they are of more rows."""
    assert compute_stability_index((8, 2), (8, 2)) == 0.0


def test_an_empty_bin_has_an_index() -> None:
    """A distribution with an empty bin has a finite index."""
    assert 0 < compute_stability_index((10, 0), (5, 5)) < 10


def test_drift_is_bounded_between_two_versions() -> None:
    """A bound on drift compares the distributions of two versions."""
    versions = (_version("january", 0, 8, 2), _version("march", 1, 2, 8))
    bounds = {"drift": {"dti": {"max": 0.5}}}
    result = judge_one(bounds, versions[1], versions[0])
    assert ("drift(dti)", "<= 0.5 since january", Verdict.FAIL) == (
        result.metric,
        result.text,
        result.verdict,
    )
    assert result.measured == pytest.approx(compute_stability_index((8, 2), (2, 8)))


def test_drift_of_an_empty_feature_is_not_proven() -> None:
    """Without values there is no distribution to compare."""
    now, before = _version("march", 1, 2, 8), _version("january", 0, 0, 0)
    result = judge_one({"drift": {"dti": 0.5}}, now, before)
    assert "no row of version january has a value of 'dti'" == result.reason
    result = judge_one({"drift": {"x": 0.5}}, now, before)
    assert "version january has no feature 'x'" == result.reason


def test_data_are_compared_with_the_previous_version() -> None:
    """The data table shows added and removed rows and columns, and nulls."""
    first = _version("first", 0, 8, 2, nulls={"dti": 0.0, "term": 0.0})
    second = _version(
        "second",
        1,
        2,
        8,
        nulls={"dti": 0.125, "term": 0.0},
        changes=RowChanges(added=5, removed=2, changed=1),
        duplicate_keys=4,
        schema={**first.data_schema, "grade": "string"},
    )
    rows = _rows_by_label(samples.result((first, second)))
    assert (rows["rows added"][1], rows["rows removed"][1], rows["rows changed"][1]) == ("5", "2", "1")
    assert (rows["columns added"][1], rows["columns removed"][1]) == ("1", "0")
    assert rows["duplicate keys"] == ["0", "4"]
    assert rows["nulls(dti)"] == ["0.0 %", "12.5 %"]
    assert "nulls(term)" not in rows
    assert "null keys" not in rows


def test_the_largest_drift_comes_first() -> None:
    """The feature with the largest drift is first in the table and among the plots."""
    result = samples.result((_version("first", 0, 8, 2), _version("second", 1, 2, 8)))
    assert [row.label for row in build_drift_table(result.versions).rows] == ["dti", "term"]
    assert [panel.feature for panel in build_distribution_panels(result.versions)] == ["dti", "term"]
    assert build_drift_table(result.versions).rows[0].cells[1].strong


def test_a_later_feature_is_compared_with_its_first_version() -> None:
    """A feature that is added later is compared with the first version that has it."""
    first = _version("first", 0, 8, 2, distributions={})
    result = samples.result((first, _version("second", 1, 8, 2), _version("third", 2, 2, 8)))
    [panel, _] = build_distribution_panels(result.versions)
    assert panel.names == ("second", "third")
    cells = build_drift_table(result.versions).rows[0].cells
    assert cells[0].text == cells[1].text != cells[2].text


def test_a_single_version_has_no_drift() -> None:
    """A single version has no drift and no changes."""
    result = samples.result((_version("only", 0, 8, 2),))
    assert build_distribution_panels(result.versions) == ()
    assert find_largest_changes(result.versions) == ()
    assert draw_roc({each.name: each.roc for each in result.versions})


def test_without_curves_there_is_no_plot() -> None:
    """Without curves, the page has neither plots nor a section for them."""
    assert draw_roc({each.name: each.roc for each in samples.result().versions}) is None
    assert draw_calibration({each.name: each.calibration for each in samples.result().versions}) is None
    assert 'id="curves"' not in render_html(samples.plan(), samples.result())


def test_each_of_many_curves_has_its_own_line() -> None:
    """Each of many curves is labeled and has its own combination of color and dashes."""
    svg = draw_roc({f"v{at}": _version(f"v{at}", at, 8, 2).roc for at in range(12)})
    assert svg is not None
    assert all(f">v{at}</text>" in svg for at in range(12))
    assert "ROC curves of v0, v1" in svg


def test_names_in_plots_are_escaped() -> None:
    """Names in plots are escaped, whatever characters they have."""
    result = samples.result((_version("first", 0, 8, 2), _version("second", 1, 2, 8)))
    for panel in build_distribution_panels(result.versions):
        svg = draw_distribution(panel)
        assert "<b>" not in svg
        assert panel.feature in svg


def test_the_largest_changes_of_weights_are_shown() -> None:
    """The largest changes list each feature once, with both weights."""
    changes = find_largest_changes(samples.result().versions)
    assert changes[0].text == "int_rate: +0.0083 at january, +0.0102 at february"
    assert len({change.feature for change in changes}) == len(changes) == 3


def test_the_page_shows_the_data_and_the_curves() -> None:
    """The page shows data tables, plots and the definition of drift."""
    versions = (_version("first", 0, 8, 2), _version("second", 1, 2, 8))
    page = render_html(samples.plan(), samples.result(versions))
    for part in ('id="data"', "Features with the largest drift", "Population stability index", 'id="curves"'):
        assert part in page
    assert "Largest changes from one version to the next" in page
    assert "#0101" not in page
